"""The Fighter against all 15 opponents, from pixels: PPO on the shipped states, then whole matches from others.

Rounds are trained from the 30 states that are shipped, rather those where rounds are lost, for so many decisions or
minutes at most. Then matches are played, as many against each opponent: from states that were never trained from
(whoever waits on the title screen meets the same opponents with other chance), with and without sticky actions, and
from those that were, so that memorising is told from generalising. Matches that went alike count once.

What was done before a stop is not done again: the same command with the same --home goes on, and a result is there as
soon as one part has been played. Minutes are those of training alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _results
from _fighter_matches import OPPONENTS, PARTS, WAITS, WAYS, play, record_held_out, starts, states_of, summary
from _stages import kept
from fighter import RETRY_STEPS, Clock

from hakisa_algos import Agent
from hakisa_algos.cli.presets import GAMES
from hakisa_algos.learners.ppo_config import FIGHTER
from hakisa_algos.policy.precision import torch_threads
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.trainer import Trainer

ENV, PRESET = GAMES["fighter"]
STATES = [state for opponent in OPPONENTS for state in states_of(opponent)]
OPTIONS = {**PRESET, "states": STATES, "sampling": "lost"}
DECISIONS = 1_200_000
GOAL = 0.9


def train(run: Path, given: argparse.Namespace) -> tuple[Agent, dict[str, Any], bool]:
    """Trains to the end, or goes on with it: the agent, what is to be told of its training, and whether it is over."""
    if (run / "config.json").is_file():
        agent = Agent.load(run, threads=given.threads)
    else:
        config = dataclasses.replace(FIGHTER, **{"total_steps": DECISIONS, **given.config})
        options = {**OPTIONS, **given.env_options}
        agent = Agent(ENV, config, algorithm="ppo", seed=given.seed, threads=given.threads, env_options=options)
    clock = Clock(run, agent.steps)

    def watch(trainer: Trainer, metrics: Mapping[str, float]) -> bool | None:
        clock.note({"steps": trainer.step, "minutes": round(clock.minutes, 4)})
        won = metrics.get("rollout/win_rate", 0.0)
        print(f"{trainer.step:8d} {clock.minutes:6.2f} min {metrics['time/fps']:5.0f}/s {won:.2f}", flush=True)
        return False if clock.minutes >= given.minutes else None

    if agent.steps < agent.config.total_steps and clock.minutes < given.minutes:
        agent.learn(run=run, options=RunOptions(checkpoint_every=RETRY_STEPS, threads=given.threads), callbacks=[watch])
    agent.close()
    told = {
        "seed": given.seed,
        "env_options": agent.identity()["env_options"],
        "config": dataclasses.asdict(agent.config),
        "torch_threads": agent.threads,
        "decisions": agent.steps,
        "minutes": round(clock.minutes, 2),
        "curve_of_rounds": curve(run),
    }
    return agent, told, agent.stopped_by in (None, "callback")


def curve(run: Path) -> list[list[float]]:
    """Decisions, and the share of the last 100 rounds that was won, where those that are lost come more often."""
    rows = [row for row in read_metrics(run / "metrics.jsonl") if row.get("rollout/win_rate") is not None]
    return [[int(row["step"]), round(row["rollout/win_rate"], 3)] for row in rows[:: max(1, len(rows) // 50)]]


def main() -> None:
    """Trains one seed, then plays what has not been played yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="where it goes on; default: runs/fighter_matches_SEED")
    parser.add_argument("--minutes", type=float, default=120.0, help="of training, at most")
    parser.add_argument("--matches", type=int, default=100, help="against each opponent, in each part")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--config", type=json.loads, default={}, help="changed hyperparameters, as JSON")
    parser.add_argument("--env-options", type=json.loads, default={}, help='of training, such as {"sticky": 0.25}')
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--name", help="of the result file; default: fighter_matches_seedSEED")
    given = parser.parse_args()

    home = given.home or Path(f"runs/fighter_matches_{given.seed}")
    home.mkdir(parents=True, exist_ok=True)
    agent, training, over = train(home / "run", given)
    if not over:
        print(f"Stopped by {agent.stopped_by}, and saved: the same command goes on.")
        return
    record_held_out(home / "held_out")
    folder = home / f"matches_{agent.steps}_{given.matches}"
    folder.mkdir(exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    for way, name in ((way, name) for way in given.ways for name in given.parts):
        played = []
        for number, opponent in enumerate(OPPONENTS):
            part = PARTS[name]
            options = {
                **training["env_options"],
                "states": starts(part, opponent, (home / "held_out").resolve()),
                "sampling": "uniform",
                "sticky": part.sticky,
            }
            path = folder / f"{name} {opponent} {way}.json".replace(" ", "_")
            how = (given.matches, 1000 * given.seed + number, WAYS[way], agent.device)
            with torch_threads(agent.threads):
                played.append(kept(path, lambda how=how, options=options: play(agent.policy, ENV, options, *how)))  # type: ignore[misc]
            print(way, name, opponent, summary(played[-1:])["all"], flush=True)
        found.setdefault(way, {})[name] = summary(played)
        goal = found.get("sampled", {}).get("held out", {"all": {"won": 0.0}})["all"]["won"]
        figures = {"held_out_waits": WAITS, "goal": GOAL, "reached": goal >= GOAL, "training": training, "won": found}
        print(_results.save(given.name or f"fighter_matches_seed{given.seed}", figures), flush=True)


if __name__ == "__main__":
    main()
