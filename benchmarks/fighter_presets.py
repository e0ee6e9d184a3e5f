"""Hakisa's own experiments on the Fighter: the presets "hakisa" of PPO, DQN and the GA, and each for ten times as long.

The env is as it comes (84 x 84 pixels, 4 frames a decision), with the reward and the buttons of those experiments. What
is told is rounds won against the default opponent, from both sides, by sampled actions and by the best ones; random
play stands beside it. What is there already is not run again; a run that was stopped starts anew. ``fighter_tables.py``
makes the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from typing import Any

import _results
from fighter import rates
from gymnasium.spaces import Box

from hakisa_algos import Agent
from hakisa_algos.learners.registry import find_algorithm

ENV = "Hakisa/Fighter-v0"
OPTIONS = {"reward": "hakisa", "actions": "buttons", "states": ["mixed.normal.left", "mixed.normal.right"]}


def run(algorithm: str, times: int, seed: int, rounds: int, threads: int | None) -> dict[str, Any]:
    """Trains one agent, and plays rounds that it has not seen; with 0 times, one that knows nothing yet."""
    preset = find_algorithm(algorithm).default_config(Box(0, 255, (4, 84, 84), "uint8"), "hakisa")
    config = dataclasses.replace(preset, total_steps=max(times, 1) * preset.total_steps)
    agent = Agent(ENV, config, algorithm=algorithm, seed=seed, threads=threads, env_options=OPTIONS)
    began = time.perf_counter()
    if times:
        agent.learn(collapse="off")
    found: dict[str, Any] = {"decisions": agent.steps, "minutes": round((time.perf_counter() - began) / 60, 2)}
    for kind, deterministic in (("sampled", False), ("best_actions", True)):
        found[kind] = rates(agent.evaluate(rounds, seed=seed, num_envs=4, deterministic=deterministic))
    agent.close()
    return found


def main() -> None:
    """Runs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="+", default=["ppo", "dqn", "ga"], choices=["ppo", "dqn", "ga"])
    parser.add_argument("--times", nargs="+", type=int, default=[0, 1, 10], help="the preset's steps; 0: none")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, default=100, help="of each evaluation")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    arguments = parser.parse_args()

    for algorithm in arguments.algorithms:
        for times in arguments.times:
            name = f"fighter_presets_{algorithm}_{times}"
            path = _results.RESULTS / f"{name}.json"
            runs = json.loads(path.read_text())["runs"] if path.is_file() else {}
            for seed in arguments.seeds:
                if str(seed) in runs:
                    continue
                runs[str(seed)] = run(algorithm, times, seed, arguments.rounds, arguments.threads)
                print(algorithm, times, seed, runs[str(seed)], flush=True)
                _results.save(name, {"algorithm": algorithm, "times": times, "env_options": OPTIONS, "runs": runs})


if __name__ == "__main__":
    main()
