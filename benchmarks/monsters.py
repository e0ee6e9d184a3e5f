"""Monsters from pixels: how far PPO comes by the preset "monsters", without its memory, and without the map.

The goal is the second badge, and all milestones on the way there, within 1,000,000 env steps. Of each milestone the
first step, the first minute and the share of the envs that reached it are told, from the run's chronicle.json, and at
the end how many episodes from the true start are won by sampled actions.

One run of each arm and seed, one after the other, each in a folder of its own in --home. What is done there is not run
again, and what was stopped goes on from its last checkpoint by the same command. --table prints the results side by
side, without a run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import _results
from fighter import rates

from hakisa_algos import Agent
from hakisa_algos.cli.presets import GAMES
from hakisa_algos.learners.ppo_config import MONSTERS
from hakisa_algos.training.chronicle import CHRONICLE
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.trainer import Trainer

# Hyperparameters and options of the env that are not the preset's.
ARMS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "memory": ({}, {}),
    "feedforward": ({"memory": None}, {}),
    "no_map": ({}, {"visited_map": False}),
}
# On the way to the second badge, as the env names them: towns and routes are map.0.N.
MILESTONES = {
    "monster": "the first monster",
    "map.0.1": "the first route",
    "map.0.2": "the second town",
    "badge.1": "the first badge",
    "map.0.6": "the second route",
    "map.0.7": "the third town, beyond the tree",
    "badge.2": "the second badge",
}
CHECKPOINT_STEPS = 25_000
CURVE = {"rollout/ep_rew_mean": "return", "explore/places": "places", "explore/maps": "maps"}


def milestones(told: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each that was reached: env steps, minutes of training, and the share of envs that reached it too."""
    return {
        name: {
            "step": one["step"],
            "minutes": round(one["minutes"], 1),
            "share": round(len(one["columns"]) / told["columns"], 3),
            "began_at": one["start"],
        }
        for name, one in told["milestones"].items()
    }


def curve(run: Path, points: int = 50) -> list[dict[str, float]]:
    """What the run's metrics say over time, at some of its updates."""
    rows = [row for row in read_metrics(run / "metrics.jsonl") if "explore/places" in row]
    kept = rows[:: max(1, len(rows) // points)]
    return [
        {"step": int(row["step"]), **{name: round(row[key], 3) for key, name in CURVE.items() if key in row}}
        for row in kept
    ]


def learn(arm: str, seed: int, arguments: argparse.Namespace) -> bool:
    """Trains one seed of an arm to its end, and stores what came of it; False if it was stopped."""
    name, run = f"{arguments.name}_{arm}_seed{seed}", arguments.home / f"{arm}_{seed}"
    done = run / "benchmark.json"
    if done.is_file():
        print(f"{name} is done: {done}", flush=True)
        return True
    if (run / "config.json").is_file():
        agent = Agent.load(run, threads=arguments.threads)
    else:
        changes, options = ARMS[arm]
        env, preset_options = GAMES["monsters"]
        agent = Agent(
            env,
            dataclasses.replace(MONSTERS, **{"total_steps": arguments.steps, **changes, **arguments.config}),
            algorithm="ppo",
            seed=seed,
            threads=arguments.threads,
            env_options={**preset_options, **options, **arguments.env_options},
        )

    def watch(trainer: Trainer, metrics: Mapping[str, float]) -> bool | None:
        reached = [name for name in MILESTONES if f"milestone/{name}" in metrics]
        print(
            f"{name} {trainer.step:8,d} {trainer.chronicle.minutes:6.2f} min {metrics['time/fps']:5.0f}/s "
            f"{metrics.get('explore/places', 0):4.0f} places, {reached[-1] if reached else 'no milestone'}",
            flush=True,
        )
        share = metrics.get("milestone/badge.2", 0.0)
        return False if arguments.until is not None and share >= arguments.until else None

    try:
        agent.start_run(
            run,
            RunOptions(
                checkpoint_every=CHECKPOINT_STEPS,
                threads=arguments.threads,
                start_mix=arguments.start_mix,
                carry_on=arguments.carry_on,
            ),
        )
        agent.learn(callbacks=[watch])
        if agent.stopped_by not in (None, "callback"):
            print(f"{name} was stopped by {agent.stopped_by}, and saved: the same command goes on.")
            return False
        figures = {"arm": arm, "seed": seed, **told(agent, run), "evaluation": evaluation(agent, arguments)}
    finally:
        agent.close()
    print("Written:", _results.save(name, figures), flush=True)
    done.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return True


def told(agent: Agent, run: Path) -> dict[str, Any]:
    """What the folder of a run that is over says."""
    chronicle = json.loads((run / CHRONICLE).read_text(encoding="utf-8"))
    found = milestones(chronicle)
    return {
        "env_options": agent.identity()["env_options"],
        "config": dataclasses.asdict(agent.config),
        "torch_threads": agent.threads,
        "steps": agent.steps,
        "minutes": round(chronicle["minutes"], 1),
        "ended_early": agent.stopped_by is not None,
        "reached": all(name in found for name in MILESTONES),
        "milestones": found,
        "assists": chronicle["assists"],
        "assists_in_training": chronicle["assists_in_training"],
        "farms": [farm["says"] for farm in chronicle["farms"]],
        "curve": curve(run),
    }


def evaluation(agent: Agent, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Episodes from the true start, by sampled actions."""
    if not arguments.episodes:
        return None
    found = agent.evaluate(arguments.episodes, seed=agent.seed, deterministic=False, max_steps=arguments.longest)
    return {**rates(found), "longest": arguments.longest, "return": round(float(found.returns.mean()), 2)}


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Milestones by arm, as Markdown: the median of first steps and minutes, the mean share of envs, how many seeds."""
    arms = [arm for arm in ARMS if any(one["arm"] == arm for one in results)]
    lines = [f"| milestone | {' | '.join(arms)} |", "|---" * (len(arms) + 1) + "|"]
    for name, words in MILESTONES.items():
        cells = []
        for arm in arms:
            runs = [one["milestones"] for one in results if one["arm"] == arm]
            found = [one[name] for one in runs if name in one]
            share = sum(one["share"] for one in found) / len(runs)
            cells.append(
                f"{median(one['step'] for one in found):,.0f}, {median(one['minutes'] for one in found):.1f} min, "
                f"{share:.0%} of envs, {len(found)} of {len(runs)}"
                if found
                else f"0 of {len(runs)}"
            )
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing, and prints the table of what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=MONSTERS.total_steps, help="env steps of a run")
    parser.add_argument("--until", type=float, help="end a run when this share of the envs has had the second badge")
    parser.add_argument("--episodes", type=int, default=20, help="from the true start, when a run is over; 0: none")
    parser.add_argument("--longest", type=int, default=4_096, help="steps after which such an episode is cut")
    parser.add_argument(
        "--start-mix", type=float, default=0.0, help="share of envs that begin at milestones: an assist"
    )
    parser.add_argument("--carry-on", type=float, default=0.0, help="share of cut episodes that go on: an assist")
    parser.add_argument("--config", type=json.loads, default={}, help="changed hyperparameters, as JSON")
    parser.add_argument("--env-options", type=json.loads, default={}, help='such as {"until_control": 120}')
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--home", type=Path, default=Path("runs/monsters"), help="of the folders of the runs")
    parser.add_argument("--name", default="monsters", help="that result files begin with: NAME_ARM_seedSEED")
    parser.add_argument("--table", action="store_true", help="only print the table")
    arguments = parser.parse_args()

    # Seed by seed, so that the arms can be compared however early it is stopped.
    if not arguments.table and not all(
        learn(arm, seed, arguments) for seed in arguments.seeds for arm in arguments.arms
    ):
        return
    paths = sorted(_results.RESULTS.glob(f"{arguments.name}_*_seed*.json"))
    print(table([json.loads(path.read_text(encoding="utf-8")) for path in paths]))


if __name__ == "__main__":
    main()
