"""``hakisa compare``: algorithms side by side, and a report to share."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hakisa_algos.cli.options import key_values, parse
from hakisa_algos.cli.text import bold, dim, red
from hakisa_algos.comparison.folder import ComparisonFolder
from hakisa_algos.comparison.grid import as_markdown, as_text
from hakisa_algos.comparison.plan import PEERS, PRESETS, RANDOM, Job, Plan
from hakisa_algos.comparison.players import Interrupted, check_plan
from hakisa_algos.comparison.report import write_report
from hakisa_algos.comparison.run import run_missing
from hakisa_algos.comparison.summary import RULE, notes, plain_summary, rankings
from hakisa_algos.comparison.table import outcome_grids, pace_grid, readme_grid, score_grids
from hakisa_algos.data.files import write_json
from hakisa_algos.errors import ConfigError, did_you_mean, require
from hakisa_algos.machine import available_cores
from hakisa_algos.training.signals import exit_status


@dataclass(frozen=True)
class CompareArguments:
    """See :func:`run`. What is None comes from the preset."""

    preset: Literal["quick", "standard", "full", "pong"] = "quick"
    """quick: minutes on two cores. standard: CartPole, Press, LunarLander and Pong, where a run ends
    with its first update after 6 minutes of training, if not before. full: more algorithms, seeds and steps, on small
    envs. pong: from pixels."""
    algorithms: tuple[str, ...] | None = None
    """Names, as in hakisa train; also sb3-ppo, sb3-dqn, sb3-a2c. A random player is always there."""
    envs: tuple[str, ...] | None = None
    """Env ids."""
    seeds: int | None = None
    """Runs of every algorithm on every env, with the seeds 1, 2, ..."""
    steps: int | None = None
    """Env steps of each run, all its envs together; schedules end with it."""
    steps_on: tuple[str, ...] = ()
    """Other env steps for single envs, as env=steps: CartPole-v1=50000"""
    minutes: float | None = None
    """End each run with its first update after so many minutes of training, if that comes first. Its evaluations do
    not count."""
    sb3: Literal["off", "defaults", "zoo"] = "off"
    """Add Stable-Baselines3's PPO, DQN and A2C: with its defaults, or its zoo's hyperparameters for the env."""
    set: tuple[str, ...] = ()
    """Other hyperparameters than the recommended ones, as algorithm.name=value: ppo.learning_rate=1e-3"""
    env_options: tuple[str, ...] = ()
    """Keyword arguments of every env, as key=value."""
    final_episodes: int | None = None
    """Episodes of each final evaluation."""
    evaluate_steps: int | None = None
    """Longest episode of an evaluation, cut there and counted as it is. None: the env's own limit, or 30,000."""
    film_steps: int | None = None
    """Longest video in steps; 0 films nothing."""
    out: Path = Path("runs/compare")
    """Folder for everything that comes of it. If it holds this comparison, only what is missing is run."""
    workers: int | None = None
    """Runs at a time, each in a process with one torch thread; None: one for each core; 0: in this process."""


def run(arguments: Sequence[str]) -> int:
    """Runs what is missing, prints the table and writes the report; 1 if a run failed."""
    chosen = parse(
        CompareArguments,
        arguments,
        "hakisa compare",
        "Compare algorithms on the same envs, budget and seeds. The same command goes on where it was stopped.",
    )
    workers = available_cores() if chosen.workers is None else chosen.workers
    if workers < 0:
        raise ConfigError(f"--workers {workers} is not allowed: it must be at least 1, or 0 for this process alone")
    plan = _plan(chosen)
    check_plan(plan)
    command = shlex.join(["hakisa", "compare", *arguments])
    folder = ComparisonFolder(chosen.out, plan, command)
    missing = len(folder.missing())
    print(f"{bold('compare')}: {len(plan.jobs)} runs, {missing} to do, {max(workers, 1)} at a time, in {chosen.out}")
    try:
        errors = run_missing(folder, workers)
    except (Interrupted, KeyboardInterrupt) as error:  # workers are ended, and what is done stays done
        print(f"\nStopped. To go on:\n  {bold(command)}")
        return exit_status(error.args[0] if error.args else "SIGINT")
    return _show(folder, plan, workers, errors)


def _show(folder: ComparisonFolder, plan: Plan, workers: int, errors: list[tuple[Job, str]]) -> int:
    results = folder.results()
    scores = score_grids(plan, rankings(plan, results)) + outcome_grids(plan, results)
    told = [as_text(grid) for grid in scores]
    told += ["\n".join(lines) for lines in [notes(plan, results)] if lines]
    if errors:
        told.append(
            "\n".join(["Failed, and left out", *(f"  {job}: {error.splitlines()[0]}" for job, error in errors)])
        )
    table = "\n\n".join(told)
    (folder.path / "table.txt").write_text(table + "\n", encoding="utf-8")
    (folder.path / "table.md").write_text(as_markdown(readme_grid(plan, results)) + "\n", encoding="utf-8")
    failed = [{"job": str(job), "error": error} for job, error in errors]
    write_json(folder.path / "scores.json", plain_summary(plan, results) | {"failed": failed})
    print(f"\n{table}\n")
    print(dim("Interquartile mean over runs of the mean return of the final evaluation, on fresh seeds, with its 95 %"))
    print(dim(f"stratified bootstrap interval. P(above next) tells two apart where {RULE}."))
    print(f"\n{as_text(pace_grid(plan, results))}\n")
    if errors:
        print(red("  The same command tries again what failed, and nothing else."))
    print(f"  report        {bold(str(write_report(folder, results, errors, max(workers, 1))))}")
    return 1 if errors else 0


def _plan(chosen: CompareArguments) -> Plan:
    preset = PRESETS[chosen.preset]
    names = preset.algorithms if chosen.algorithms is None else chosen.algorithms
    names = tuple(dict.fromkeys(name for name in names if name != RANDOM))
    if chosen.sb3 != "off":
        names = (*names, *(peer for peer in PEERS if peer not in names))
    if any(name in PEERS for name in names):
        require("stable_baselines3", "sb3")
    changes = key_values(chosen.set, "--set")
    for key in changes:
        if key.partition(".")[0] not in names or not key.partition(".")[2]:
            raise ConfigError(f"--set {key} names no hyperparameter of {', '.join(names)}; write algorithm.name=value")
    seeds = len(preset.seeds) if chosen.seeds is None else chosen.seeds
    envs = preset.envs if chosen.envs is None else chosen.envs
    if seeds < 1 or not names or not envs:
        raise ConfigError(f"{len(names)} algorithms, {len(envs)} envs, {seeds} seeds: at least 1 of each is needed")
    given = {
        name: getattr(chosen, name) for name in ("steps", "minutes", "final_episodes", "evaluate_steps", "film_steps")
    }
    steps_on = key_values(chosen.steps_on, "--steps-on")
    for env in steps_on:
        if env not in envs:
            raise ConfigError(f"--steps-on {env}={steps_on[env]} names none of the envs.{did_you_mean(env, envs)}")
    if chosen.steps is None:  # else a preset's own do not count
        steps_on = {env: steps for env, steps in preset.protocol.steps_on.items() if env in envs} | steps_on
    protocol = dataclasses.replace(
        preset.protocol,
        steps_on=steps_on,
        **{name: value for name, value in given.items() if value is not None},
        peer_settings="zoo" if chosen.sb3 == "zoo" else "defaults",
        changes=changes,
        env_options=key_values(chosen.env_options),
    )
    return Plan((*names, RANDOM), tuple(dict.fromkeys(envs)), tuple(range(1, seeds + 1)), protocol)
