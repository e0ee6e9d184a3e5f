"""Pong from pixels to 20 points, by any algorithm: wall clock and env steps, confirmed by 100 evaluation episodes.

20 games in a row may be lucky. So a run that reaches the goal is evaluated, and goes on if that does not confirm it.
"""

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
from hakisa_algos import Agent
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.training.trainer import Trainer

TOLERANCE = 0.5  # an evaluation may be so much below the goal
RETRY_STEPS = 50_000  # env steps until the next evaluation, where one did not confirm the goal


def main() -> None:
    """Trains until the 20-episode mean is 20 and confirmed; ``--name`` is that of the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="pong")
    parser.add_argument("--algorithm", default="ppo", help="a registered name")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--goal", type=float, default=20.0, help="stop when the 20-episode mean reaches it")
    parser.add_argument("--env-options", type=json.loads, default={}, help='such as {"difficulty": 3, "sticky": 0.25}')
    parser.add_argument("--config", type=json.loads, default={}, help="changed hyperparameters, as JSON")
    parser.add_argument("--vectorization", default="auto")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--eval-episodes", type=int, default=100)
    parser.add_argument("--run", help="a run folder for checkpoints and metrics")
    arguments = parser.parse_args()

    default = find_algorithm(arguments.algorithm).default_config(gym.spec("Hakisa/Pong-v0").make().observation_space)
    config = dataclasses.replace(default, **arguments.config)
    agent = Agent(
        "Hakisa/Pong-v0",
        config,
        algorithm=arguments.algorithm,
        seed=arguments.seed,
        threads=arguments.threads,
        env_options=arguments.env_options,
        vectorization=arguments.vectorization,
    )
    curve: list[tuple[int, float, float]] = []
    reached: dict[str, dict[str, float]] = {}
    evaluations: list[dict[str, float]] = []
    began = time.perf_counter()

    def evaluate() -> bool:
        """Notes a deterministic and a stochastic evaluation; True if both confirm the goal."""
        nonlocal began
        started = time.perf_counter()
        row: dict[str, float] = {"steps": agent.steps, "minutes": round((started - began) / 60, 2)}
        for kind, deterministic in (("deterministic", True), ("stochastic", False)):
            result = agent.evaluate(arguments.eval_episodes, seed=arguments.seed, deterministic=deterministic)
            row |= {kind: result.mean, "episodes": len(result.returns)}
        row["confirmed"] = min(row["deterministic"], row["stochastic"]) >= arguments.goal - TOLERANCE
        evaluations.append(row)
        print(row, flush=True)
        began += time.perf_counter() - started  # minutes are those of training
        return bool(row["confirmed"])

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
        due = not evaluations or trainer.step >= evaluations[-1]["steps"] + RETRY_STEPS
        return False if mean >= arguments.goal and due and evaluate() else None

    agent.learn(callbacks=[watch], run=arguments.run)
    minutes = (time.perf_counter() - began) / 60
    if not evaluations or evaluations[-1]["steps"] != agent.steps:
        evaluate()
    path = _results.save(
        arguments.name,
        {
            "algorithm": arguments.algorithm,
            "seed": arguments.seed,
            "env_options": arguments.env_options,
            "config": dataclasses.asdict(config),
            "torch_threads": agent.threads,
            "bf16": agent.policy.bf16,
            "torch": torch.__version__,
            "reached_20_episode_mean": reached,
            "evaluations": evaluations,
            "minutes": round(minutes, 2),
            "curve_steps_minutes_mean20": curve[::5],
        },
    )
    print(path)


if __name__ == "__main__":
    main()
