"""A comparison as one HTML file that needs nothing else: curves, table, videos, settings, machine, command."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hakisa_algos.comparison.folder import ComparisonFolder
from hakisa_algos.comparison.grid import Figure
from hakisa_algos.comparison.page import AXES, CHANCE, Film, Page, colours_of, write_page
from hakisa_algos.comparison.plan import PEER_PREFIX, RANDOM, Job, Plan
from hakisa_algos.comparison.summary import (
    RULE,
    Ranking,
    Results,
    chance,
    curves,
    median_seed,
    notes,
    rankings,
    seeds_of,
)
from hakisa_algos.comparison.table import outcome_grids, pace_grid, pair_grid, score_grids
from hakisa_algos.training import plots


def write_report(folder: ComparisonFolder, results: Results, errors: Sequence[tuple[Job, str]], workers: int) -> Path:
    """Writes report.html and curves, see :func:`hakisa_algos.comparison.page.write_page`.

    ``workers`` is how many runs were trained at a time, which their times depend on.
    """
    plan = folder.plan
    trained = [name for name in plan.algorithms if name != RANDOM]
    ranked, pairs = rankings(plan, results), pair_grid(plan, results)
    grids = [*score_grids(plan, ranked), *outcome_grids(plan, results), *([pairs] if pairs else [])]
    return write_page(
        folder.path,
        Page(
            title=_title(plan),
            lead=_lead(ranked),
            facts=_facts(plan, results, workers),
            colours=colours_of(trained) | {RANDOM: "cr"},
            legend=trained,
            charts={by: _charts(plan, results, by, unit) for by, unit, _ in AXES},
            grids=[*grids, pace_grid(plan, results)],
            reading=_reading(plan),
            films=_films(folder, results),
            failures=[(str(job), error) for job, error in errors],
            folds=_folds(results),
            command=folder.command,
        ),
    )


def _title(plan: Plan) -> str:
    names = [name.upper().replace(PEER_PREFIX.upper(), "SB3 ") for name in plan.algorithms if name != RANDOM]
    return f"{_listed(names)} on {_listed(plan.envs)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lead(ranked: Sequence[Ranking]) -> str:
    """One sentence on who is ahead, no stronger than the intervals allow."""
    if not ranked:
        return "No run is done yet."
    env, (first, *rest) = ranked[0].env, ranked[0].rows
    who, where = first.algorithm, f"On {env}" if env else "Over all envs"
    if first.above_next is None:
        return f"{where}, {who} scores {Figure(first.deterministic)}."
    ahead = "is ahead" if first.told_apart else f"and {rest[0].algorithm} cannot be told apart"
    above = f"a run of {who} scores above one of {rest[0].algorithm} with probability {Figure(first.above_next, 2)}"
    return f"{where}, {who} {ahead}: {above}."


def _facts(plan: Plan, results: Results, workers: int) -> list[str]:
    protocol = plan.protocol
    steps = (
        [f"{protocol.on(env).steps:,} on {env}" for env in plan.envs] if protocol.steps_on else [f"{protocol.steps:,}"]
    )
    facts = [
        f"{_listed(steps)} env steps per run; the table says what was used",
        f"{len(plan.seeds)} seeds",
        f"{protocol.final_episodes} episodes per final evaluation, on fresh seeds",
        f"{len(results)} of {len(plan.jobs)} runs done",
        f"{workers} at a time, {protocol.threads} torch thread each",
    ]
    if protocol.minutes is not None:
        facts.append(f"training ends with the first update after {protocol.minutes:g} minutes")
    return facts + notes(plan, results)


def _reading(plan: Plan) -> str:
    many = " Over all envs, 0 is the random player and 1 the best run of each env." if len(plan.envs) > 1 else ""
    return (
        "Interquartile mean over runs of the mean return, with its 95 % stratified bootstrap interval. “P(above next)” "
        " is the probability that a run of this algorithm scores higher than one of the next; two algorithms are "
        f"told apart where {RULE}.{many} Curves: evaluations of {plan.protocol.curve_episodes} "
        "episodes on fresh seeds, deterministic; their time is not counted as training."
    )


def _charts(plan: Plan, results: Results, by: str, unit: str) -> list[plots.Chart]:
    """One for each env with results, with the random player's return."""
    charts = []
    for env in plan.envs:
        level = chance(plan, results, env)
        levels = {} if level is None else {CHANCE: level}
        lines, label = curves(plan, results, env, by), "return, interquartile mean and 95 % band"
        charts += [plots.Chart(lines, env, unit, label, levels)] if lines else []
    return charts


def _films(folder: ComparisonFolder, results: Results) -> list[Film]:
    films = []
    plan = folder.plan
    for env, name in itertools.product(plan.envs, plan.algorithms):
        seed = median_seed(plan, results, name, env)
        if seed is None:
            continue
        video = results[name, env, seed]["video"]
        path = folder.of(Job(name, env, seed, plan.protocol.on(env))) / str(video.get("file"))
        runs = len(seeds_of(plan, results, name, (env,)))
        which = f"seed {seed}, the middle one of {runs}" if runs > 1 else f"seed {seed}"
        films.append(Film(name, env, which, path, video))
    return films


def _folds(results: Results) -> list[tuple[str, str, str]]:
    """One per algorithm and set of hyperparameters, which may differ between envs; then the machines."""
    folds: dict[tuple[str, str, str], list[str]] = {}
    for (name, env, _), result in results.items():
        envs = folds.setdefault((name, _indented(result["config"]), result["source"]), [])
        envs += [] if env in envs else [env]
    for system in dict.fromkeys(_indented(result["system"]) for result in results.values()):
        folds["Machine and versions", system, "what runs were made with"] = ["all envs"]
    return [(name, f"{_listed(envs)}: {source}", values) for (name, values, source), envs in folds.items()]


def _indented(values: Any) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False)
