"""From a teacher's play to an agent that plays better: several arms, each seed of one a job of its own.

    python benchmarks/stages.py --home runs/stages teacher             # records, studies, measures who was there before
    python benchmarks/stages.py --home runs/stages arm prior --seed 1  # of each arm and seed: trains and evaluates
    python benchmarks/stages.py --home runs/stages table               # all that is there, side by side

With --game pong or circuslinux before the job it is another game.

The arms: alone (PPO, RL alone), plain (the clone, then plain PPO), prior (the clone, whose critic warms up, held to
itself until it plays better), dqn (DQN with demonstrations). With _shuffled after one of the last three the teacher's
actions are shuffled within each episode; with _random it is random play that was recorded. In all of them reward is
points, less something for a lost ball; net, settings and seeds are the same, but for what the arm is about.

A job that was stopped or killed goes on by the same command, from its last checkpoint; so a long one can be done in
parts, with --wall-minutes 30. Minutes are those that count: what a killed run had not saved is played again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import _arms
import _arms_table
import _results
import _stages
from _arms import RANDOM, RECORDED, SOURCES, TEACHER
from _games import GAMES, Game
from _stages import kept
from _teaching import find_delay, record_all, score, study


def record(game: Game, home: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The teacher and random play for a time, and the teacher on two more displays, so that its score is known well."""
    folder = home / "recordings"
    asked: dict[Path, Any] = {
        folder / TEACHER: (game.delay, given.random, 0, given.minutes, None),
        folder / RANDOM: (game.delay, 1.0, 1, given.minutes, None),
    }
    lives = given.teacher_lives or game.teacher_lives
    for number in (2, 3):
        asked[folder / f"more{number}"] = (game.delay, given.random, number, None, -(-lives // 2))
    found = record_all(game.teach, asked)
    points = [life for path, one in zip(asked, found, strict=True) if path.name != RANDOM for life in one["points"]]
    recordings = {
        path.name: {k: v for k, v in one.items() if k != "points"} for path, one in zip(asked, found, strict=True)
    }
    return {"minutes": given.minutes, "teacher": score(points) | {"points": points}, "recordings": recordings}


def teacher(game: Game, home: Path, given: argparse.Namespace) -> dict[str, Any]:
    """All that is the same for all arms."""
    recorded = kept(home / RECORDED, lambda: record(game, home, given))
    print(recorded["recordings"], flush=True)
    first = home / "recordings" / TEACHER
    delay = kept(home / "delay.json", lambda: find_delay(first, given.delay_steps, given.threads))
    studied = {}
    for source in SOURCES:
        recording, run = _arms.source_of(home, source), _arms.clone_of(home, source)
        studied[source] = kept(
            home / f"studied_{source}.json",
            lambda recording=recording, run=run: study(recording, run, delay, given.steps, given.threads),
        )
        print(source, studied[source], flush=True)
    clone = _arms.clone_of(home, TEACHER)
    return {
        "game": game.name,
        "env_options": dict(game.options),
        "teacher": {"delay": game.delay, "random": given.random} | recorded["teacher"],
        "human_minutes": recorded["minutes"],
        "recordings": recorded["recordings"],
        "delay_found": delay,
        "studied": studied,
        "clone": {
            way: kept(
                home / f"clone_{way}.json",
                lambda best=best: _arms.of_run(game, clone, given.lives, best, given),
            )
            for way, best in (("best", True), ("drawn", False))
        },
        "random": kept(home / "chance.json", lambda: _arms.of_chance(game, given.lives, given)),
    }


def main() -> int:
    """One job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", required=True, help="a folder in which recordings, clones and runs lie")
    parser.add_argument("--game", choices=GAMES, default="lbreakout2")
    parser.add_argument("--results", type=Path, default=_results.RESULTS, help="a folder for the figures")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    jobs = parser.add_subparsers(dest="job", required=True)
    first = jobs.add_parser(TEACHER, help="record, study, and measure teacher, clone and random play")
    first.add_argument("--minutes", type=float, default=15.0, help="that the teacher and random play are recorded for")
    first.add_argument("--random", type=float, default=0.1, help="share of the teacher's actions that are random")
    first.add_argument("--teacher-lives", type=int, help="on two more displays, to know its score")
    first.add_argument("--steps", type=int, default=2000, help="gradient steps of a clone, at most")
    first.add_argument("--delay-steps", type=int, default=400, help="gradient steps for each delay that is tried")
    arm = jobs.add_parser("arm", help="train and evaluate one arm with one seed")
    arm.add_argument("name", choices=_arms.NAMES)
    arm.add_argument("--seed", type=int, default=1)
    arm.add_argument("--steps", type=int, help="env steps of training; default: the game's")
    arm.add_argument("--minutes", type=float, help="of play on all displays, instead")
    arm.add_argument("--wall-minutes", type=float, help="of training, after which it stops, and is to be gone on with")
    arm.add_argument("--warmup", type=int, default=20_000, help="env steps at most for the critic alone (prior)")
    arm.add_argument("--evaluations", type=int, default=6, help="by which the prior's weight falls")
    arm.add_argument("--evaluation-lives", type=int, default=40, help="of each, by best actions and by drawn ones")
    arm.add_argument("--config", type=json.loads, default={}, help="changed hyperparameters, as JSON")
    for one in (first, arm):
        one.add_argument("--lives", type=int, help="that players are measured on; default: the game's")
        one.add_argument("--displays", type=int, help="at the same time; default: the game's")
    jobs.add_parser("table", help="sum up all results that are there")
    given = parser.parse_args()

    game = GAMES[given.game]
    _results.RESULTS = given.results
    name = f"stages_{game.name}"
    if given.job == "table":
        taught, runs = _arms_table.load(given.results, game.name)
        text = _arms_table.table(taught, runs, game.unit)
        (given.results / f"{name}.md").write_text(text, encoding="utf-8")
        _arms_table.draw(given.results / f"{name}.png", taught, runs, game.unit)
        print(text)
        return 0
    given.displays, given.lives = given.displays or game.displays, given.lives or game.lives
    with _stages.home(f"{given.home}/{game.name}") as home:
        if given.job == TEACHER:
            print(_results.save(f"{name}_teacher", teacher(game, home, given)))
            return 0
        found = _arms.measure(game, given.name, home, given)
    if found is None:
        return 1
    print(_results.save(f"{name}_{given.name}_seed{given.seed}", found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
