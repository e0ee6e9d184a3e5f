"""Pong from pixels to 20 points: wall clock and env steps, then 100 evaluation episodes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Mapping

import _results
import gymnasium as gym
import torch

import hakisa_envs  # noqa: F401 (registers the ids)
from hakisa_algos import PPO
from hakisa_algos.learners.ppo import PPO as PPOLearner
from hakisa_algos.training.trainer import Trainer


def main() -> None:
    """Trains until the 20-episode mean is 20, then evaluates; ``--name`` is that of the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="pong")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--goal", type=float, default=20.0, help="stop when the 20-episode mean reaches it")
    parser.add_argument("--env-options", type=json.loads, default={}, help='such as {"difficulty": 3, "sticky": 0.25}')
    parser.add_argument("--config", type=json.loads, default={}, help="changed hyperparameters, as JSON")
    parser.add_argument("--vectorization", default="auto")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--eval-episodes", type=int, default=100)
    parser.add_argument("--run", help="a run folder for checkpoints and metrics")
    arguments = parser.parse_args()

    default = PPOLearner.default_config(gym.spec("Hakisa/Pong-v0").make().observation_space)
    config = dataclasses.replace(default, **arguments.config)
    agent = PPO(
        "Hakisa/Pong-v0",
        config,
        seed=arguments.seed,
        threads=arguments.threads,
        env_options=arguments.env_options,
        vectorization=arguments.vectorization,
    )
    curve: list[tuple[int, float, float]] = []
    reached: dict[str, dict[str, float]] = {}
    began = time.perf_counter()

    def watch(trainer: Trainer, metrics: Mapping[str, float]) -> bool | None:
        recent = trainer.statistics.returns[-20:]
        if len(recent) < 20:
            return None
        mean = sum(recent) / 20
        minutes = (time.perf_counter() - began) / 60
        curve.append((trainer.step, round(minutes, 3), mean))
        for goal in (0, 18, 20):
            if mean >= goal and str(goal) not in reached:
                reached[str(goal)] = {"steps": trainer.step, "minutes": round(minutes, 2)}
                print(f"mean {mean:.2f} >= {goal} at {trainer.step} steps, {minutes:.1f} minutes", flush=True)
        if len(curve) % 25 == 0:
            share = {k[5:-6]: round(v, 2) for k, v in metrics.items() if k.endswith("_share")}
            print(f"{trainer.step:8d} {minutes:5.1f} min {metrics['time/fps']:6.0f}/s {mean:7.2f} {share}", flush=True)
        return False if mean >= arguments.goal else None

    agent.learn(callbacks=[watch], run=arguments.run)
    minutes = (time.perf_counter() - began) / 60
    print(f"trained {minutes:.1f} minutes; evaluating", flush=True)
    evaluations = {}
    for kind, deterministic in (("deterministic", True), ("stochastic", False)):
        result = agent.evaluate(arguments.eval_episodes, seed=arguments.seed, deterministic=deterministic)
        evaluations[kind] = {"mean": result.mean, "std": result.std, "episodes": len(result.returns)}
        print(f"{kind}: {result}", flush=True)
    path = _results.save(
        arguments.name,
        {
            "seed": arguments.seed,
            "env_options": arguments.env_options,
            "config": dataclasses.asdict(config),
            "torch_threads": agent.threads,
            "bf16": agent.policy.bf16,
            "torch": torch.__version__,
            "reached_20_episode_mean": reached,
            "evaluation": evaluations,
            "minutes": round(minutes, 2),
            "curve_steps_minutes_mean20": curve[::5],
        },
    )
    print(path)


if __name__ == "__main__":
    main()
