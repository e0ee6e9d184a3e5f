"""The Fighter from pixels: PPO by the preset "fighter" until it wins 95 % of its rounds, or 90 % of its matches.

Rounds are against the default opponent, from both sides. Once enough of the last 100 in training are won, 100 are
played on fresh seeds by sampled actions; where enough of these are won, 100 on other seeds have to confirm it. The best
actions are evaluated beside them. What is not confirmed is tried again later, and at the end.

What has begun goes on by the same command, from the last checkpoint, and a run that is stopped leaves a result that
says so. Minutes are those of training alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _results
import torch

from hakisa_algos import Agent
from hakisa_algos.cli.presets import GAMES
from hakisa_algos.learners.ppo_config import FIGHTER
from hakisa_algos.training.evaluate import Evaluation
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.trainer import Trainer

EPISODES = 100
RETRY_STEPS = 20_000  # env steps until the next evaluation, where one did not confirm the goal
CONFIRMING = 1_000_000  # added to the seed of what has to confirm


def rates(found: Evaluation) -> dict[str, Any]:
    """Games won, as the result file says it; those that went alike count once."""
    assert found.rates is not None
    win = found.rates.win
    return {
        "won": round(win.value, 4),
        "interval": [round(win.low, 4), round(win.high, 4)],
        "games": found.rates.games,
        "decisions_a_game": round(float(found.lengths.mean()), 1),
    }


class Clock:
    """Minutes of training, and what was found at which step: a file beside the checkpoints, so that it goes on."""

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / "benchmark.json"
        rows = json.loads(self._path.read_text()) if self._path.is_file() else []
        # A run that was killed goes on from a checkpoint, and plays again what came after it.
        self.rows: list[dict[str, Any]] = [row for row in rows if row["steps"] <= step]
        self._before = self.rows[-1]["minutes"] if self.rows else 0.0
        self._began = time.perf_counter()

    @property
    def minutes(self) -> float:
        return self._before + (time.perf_counter() - self._began) / 60

    def evaluations(self) -> list[dict[str, Any]]:
        """Rows in which something was found; the others only say what time it is."""
        return [row for row in self.rows if "sampled" in row]

    def note(self, row: dict[str, Any]) -> None:
        """Keeps a row; the time since its minutes were read does not count."""
        self.rows.append(row)
        self._path.write_text(json.dumps(self.rows))
        self._before, self._began = row["minutes"], time.perf_counter()


def main() -> None:
    """Trains one seed until it is confirmed, or to its end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--goal", type=float, default=0.95, help="share of rounds")
    parser.add_argument("--config", type=json.loads, default={}, help="changed hyperparameters, as JSON")
    parser.add_argument("--env-options", type=json.loads, default={}, help='such as {"sticky": 0.25}')
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--run", type=Path, help="default: runs/fighter_SEED")
    parser.add_argument("--name", help="of the result file; default: fighter_seedSEED")
    arguments = parser.parse_args()

    run = arguments.run or Path(f"runs/fighter_{arguments.seed}")
    config = dataclasses.replace(FIGHTER, **arguments.config)
    env, options = GAMES["fighter"]
    if (run / "config.json").is_file():
        agent = Agent.load(run, threads=arguments.threads)
    else:
        agent = Agent(
            env,
            config,
            algorithm="ppo",
            seed=arguments.seed,
            threads=arguments.threads,
            env_options={**options, **arguments.env_options},
        )
    agent.start_run(run, RunOptions(checkpoint_every=RETRY_STEPS, threads=arguments.threads))
    clock = Clock(run, agent.steps)

    def play(seed: int, deterministic: bool) -> dict[str, Any]:
        return rates(agent.evaluate(EPISODES, seed=seed, deterministic=deterministic))

    def evaluate(step: int) -> bool:
        """Whether the goal is reached, and confirmed."""
        row: dict[str, Any] = {"steps": step, "minutes": round(clock.minutes, 2)}
        row["sampled"] = play(step + arguments.seed, False)
        row["confirmed"] = False
        if row["sampled"]["won"] >= arguments.goal:
            row["confirming"] = play(step + arguments.seed + CONFIRMING, False)
            row["best_actions"] = play(step + arguments.seed, True)
            row["confirmed"] = row["confirming"]["won"] >= arguments.goal
        clock.note(row)
        print(row, flush=True)
        return bool(row["confirmed"])

    def watch(trainer: Trainer, metrics: Mapping[str, float]) -> bool | None:
        clock.note({"steps": trainer.step, "minutes": round(clock.minutes, 4)})
        won = metrics.get("rollout/win_rate", 0.0)
        print(f"{trainer.step:7d} {clock.minutes:6.2f} min {metrics['time/fps']:5.0f}/s {won:.2f}", flush=True)
        last = max([row["steps"] for row in clock.evaluations()], default=-RETRY_STEPS)
        due = (
            won >= arguments.goal and len(trainer.statistics.returns) >= EPISODES and trainer.step >= last + RETRY_STEPS
        )
        return False if due and won >= arguments.goal and evaluate(trainer.step) else None

    agent.learn(callbacks=[watch])
    stopped = agent.stopped_by not in (None, "callback")
    if stopped:
        print(f"Stopped by {agent.stopped_by}, and saved: the same command goes on.")
    elif not any(row["steps"] == agent.steps for row in clock.evaluations()):
        evaluate(agent.steps)
    agent.close()
    evaluations = clock.evaluations()
    curve = [
        [int(row["step"]), round(row["rollout/win_rate"], 3)]
        for row in read_metrics(run / "metrics.jsonl")
        if row.get("rollout/win_rate") is not None
    ]
    figures = {
        "seed": arguments.seed,
        "goal": arguments.goal,
        "env_options": agent.identity()["env_options"],
        "config": dataclasses.asdict(agent.config),
        "torch_threads": agent.threads,
        "bf16": agent.policy.bf16,
        "torch": torch.__version__,
        "reached": bool(evaluations) and evaluations[-1]["confirmed"],
        "steps": agent.steps,
        "minutes": round(clock.minutes, 2),
        "stopped_before_the_end": stopped,
        "evaluations": evaluations,
        "curve_steps_win_rate": curve[::10],
    }
    print(_results.save(arguments.name or f"fighter_seed{arguments.seed}", figures))


if __name__ == "__main__":
    main()
