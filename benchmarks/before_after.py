"""Training speed of this checkout against another one: short alternating pieces, each checkout in a process of its own.

    python benchmarks/before_after.py ../other [--pairs 30] [--tasks pong cartpole press dqn_pong processes]

A pair is a piece of each; which comes first alternates. The ratio of a pair is this checkout's speed over the other's:
above 1, this one is faster. Printed and stored: the median over pairs, and its bootstrap interval of 95 %.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve()
# Updates in a piece: about two seconds on two cores.
UPDATES = {"pong": 1, "cartpole": 24, "press": 24, "dqn_pong": 32, "processes": 6}
ROLLOUTS = {"num_envs": 8, "n_steps": 128, "epochs": 4, "minibatch_size": 256, "total_steps": 10**8}


def make_agent(task: str) -> Any:
    """What is trained; the same in both checkouts."""
    from hakisa_algos import DQN, PPO
    from hakisa_algos.learners.dqn import DQNConfig
    from hakisa_algos.learners.ppo_config import PPOConfig

    pong = "Hakisa/Pong-v0"
    if task == "cartpole":
        return PPO("CartPole-v1", PPOConfig(**ROLLOUTS), vectorization="vector_entry_point")
    if task == "processes":
        return PPO("CartPole-v1", PPOConfig(**ROLLOUTS), vectorization="async")
    if task == "press":
        return PPO("Hakisa/Press-v0", PPOConfig(**ROLLOUTS))
    if task == "pong":
        # SB3's zoo, as in speed.py.
        zoo = {"clip": 0.1, "clip_schedule": "linear", "entropy_coefficient": 0.01, "network": "nature"}
        return PPO(pong, PPOConfig(**ROLLOUTS, **zoo, precision="bf16"))
    config = DQNConfig(
        total_steps=10**8, buffer_size=20_000, learning_starts=1_000, train_every=8, gradient_steps=2, batch_size=32,
        n_step=3, learning_rate=1e-4, dueling=True, target_every=2_000, normalize_observation=True,
    )  # fmt: skip
    if "learn_beside" in {field.name for field in dataclasses.fields(config)}:  # elsewhere it needs no asking
        config = dataclasses.replace(config, learn_beside=True)
    return DQN(pong, config)


def serve(task: str) -> None:
    """Trains a piece for every line that comes in, and answers with its seconds per env step."""
    agent = make_agent(task)

    def piece(updates: int) -> float:
        steps, left = agent.steps, [updates]

        def more(trainer: Any, metrics: Any) -> bool:
            left[0] -= "train/n_updates" in metrics
            return left[0] > 0

        began = time.perf_counter()
        agent.learn(callbacks=[more], collapse="off")
        return (time.perf_counter() - began) / (agent.steps - steps)

    piece(max(2, UPDATES[task] // 4))  # warm
    print("ready", flush=True)
    for _ in sys.stdin:
        print(piece(UPDATES[task]), flush=True)


def started(checkout: Path, task: str) -> subprocess.Popen[str]:
    """A process that serves the code of ``checkout``."""
    command = [sys.executable, str(HERE), "--serve", task]
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != "ready":
        if process.poll() is not None:
            raise SystemExit(f"{task} in {checkout.name} ended before it began")
    return process


def compare(other: Path, task: str, pairs: int) -> dict[str, Any]:
    """The ratios of one task."""
    processes = [started(checkout, task) for checkout in (HERE.parents[1], other)]

    def ask(number: int) -> float:
        process = processes[number]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        return float(process.stdout.readline())

    seconds = np.empty((pairs, 2))
    for pair in range(pairs):
        for number in (0, 1) if pair % 2 else (1, 0):
            seconds[pair, number] = ask(number)
    for process in processes:
        process.communicate()
    ratios = seconds[:, 1] / seconds[:, 0]
    drawn = np.random.default_rng(0).integers(0, pairs, (10_000, pairs))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5])
    this, that = (1 / np.median(seconds, axis=0)).tolist()
    found = {"ratio": float(np.median(ratios)), "low": float(low), "high": float(high)}
    print(
        f"{task:<9} {found['ratio']:.3f} [{low:.3f}, {high:.3f}]  {this:,.0f} against {that:,.0f} steps/s", flush=True
    )
    return found | {"this_steps_per_second": this, "other_steps_per_second": that, "ratios": ratios.round(4).tolist()}


def main() -> None:
    """Compares, and stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, nargs="?", help="another checkout")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--tasks", nargs="+", default=list(UPDATES), choices=UPDATES)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    import _results

    git = ["git", "-C", str(chosen.other), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    found = {task: compare(chosen.other.resolve(), task, chosen.pairs) for task in chosen.tasks}
    print(json.dumps({task: round(figures["ratio"], 3) for task, figures in found.items()}))
    _results.save("before_after", {"other_commit": commit, "pairs": chosen.pairs, "tasks": found})


if __name__ == "__main__":
    main()
