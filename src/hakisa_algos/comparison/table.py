"""The tables of a comparison, from its figures; the same results give the same tables, but for what took time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hakisa_algos.comparison.grid import OUTCOME_HEADS, Cell, Figure, Grid, outcome_cells
from hakisa_algos.comparison.plan import RANDOM, Plan
from hakisa_algos.comparison.summary import (
    Ranking,
    Results,
    apart,
    at_equal_time,
    ended,
    pairwise,
    rankings,
    runs_of,
)


def score_grids(plan: Plan, ranked: Sequence[Ranking]) -> list[Grid]:
    """The scores, best first: one table for each ranking."""
    heads = ("algorithm", "runs", "env steps", "deterministic [95 %]", "stochastic [95 %]", "P(above next)")
    grids = []
    for ranking in ranked:
        title = f"{ranking.env} (return)" if ranking.env else "All envs together (0: random player, 1: best run)"
        rows = [
            (
                row.algorithm,
                str(row.runs) if row.runs == len(plan.seeds) else f"{row.runs} of {len(plan.seeds)}",
                "" if row.steps is None else f"{row.steps:,.0f}",
                Figure(row.deterministic),
                Figure(row.stochastic),
                Figure(row.above_next, 2, "told apart" if row.told_apart else "unclear") if row.above_next else "",
            )
            for row in ranking.rows
        ]
        grids.append(Grid(title, heads, rows, drawn=3))
    return grids


def outcome_grids(plan: Plan, results: Results) -> list[Grid]:
    """How games ended, where envs say it: all games of an algorithm, then by opponent and by start."""
    rows: dict[str, list[Sequence[Cell]]] = {}
    for (env, way, algorithm, among), rates in ended(plan, results).items():
        rows.setdefault(f"{env}, {way}: how games ended", []).append((algorithm, among, *outcome_cells(rates)))
    return [Grid(title, ("algorithm", "games", *OUTCOME_HEADS), own) for title, own in rows.items()]


def pace_grid(plan: Plan, results: Results) -> Grid:
    """What it took. Times are measured, and differ from attempt to attempt."""
    timed = plan.protocol.minutes is not None
    heads = ("algorithm", "env", "env steps", "training", "steps/s", *(["ended by minutes"] if timed else []))
    rows, compared = [], []
    for env in plan.envs:
        for algorithm in plan.algorithms:
            runs = runs_of(plan, results, algorithm, env)
            if runs and algorithm != RANDOM:
                steps, seconds = (float(np.mean([run[key] for run in runs])) for key in ("steps", "seconds"))
                speed = f"{steps / seconds if seconds else float('nan'):,.0f}"
                cut = sum(run.get("ended_by") == "minutes" for run in runs)
                more = [f"{cut} of {len(runs)}"] if timed else []
                rows.append((algorithm, env, f"{steps:,.0f}", f"{seconds:,.1f} s", speed, *more))
        seconds, then = at_equal_time(plan, results, env)
        if len(then) > 1:
            by_then = ", ".join(f"{name} {Figure(found)}" for name, found in then.items())
            compared.append(f"After {seconds:,.1f} s of training on {env}: {by_then}.")
    return Grid("What it took", heads, rows, note=" ".join(compared))


def pair_grid(plan: Plan, results: Results) -> Grid | None:
    """Who scores above whom, each pair over the envs that both played; None with fewer than three players."""
    found = pairwise(plan, results)
    names = [name for name in plan.algorithms if any(name in pair for pair in found)]
    if len(names) < 3:
        return None
    done = {name: len({seed for algorithm, _, seed in results if algorithm == name}) for name in names}

    def cell(first: str, second: str) -> Cell:
        estimate = found.get((first, second))
        if estimate is None:
            return "·"
        told = apart(estimate, min(done[first], done[second]))
        return Figure(estimate, 2, mark=("yes" if estimate.value > 0.5 else "no") if told else "")

    rows = [(first, *(cell(first, second) for second in names)) for first in names]
    return Grid("Probability that a run of the row scores above one of the column", ("", *names), rows)


def readme_grid(plan: Plan, results: Results) -> Grid:
    """A line for each algorithm, best first, and a column for each env.

    Deterministic scores; the best of an env is marked where it is told apart from the second.
    """
    found = rankings(plan, results)
    by_env = {ranking.env: ranking.rows for ranking in found if ranking.env is not None}
    heads = [f"{env}, {plan.protocol.on(env).steps:,} env steps" for env in by_env]
    ranked = [row.algorithm for ranking in found for row in ranking.rows]
    rows = []
    for name in dict.fromkeys(ranked):
        cells: list[Cell] = [name]
        for ranking in by_env.values():
            row = next((row for row in ranking if row.algorithm == name), None)
            if row is None:
                cells.append("no run")
                continue
            some = "" if row.runs == len(plan.seeds) else f"({row.runs} of {len(plan.seeds)} runs)"
            best = row is ranking[0] and row.told_apart
            cells.append(Figure(row.deterministic, note=some, mark="best" if best else ""))
        rows.append(cells)
    return Grid("", ["algorithm", *heads], rows)
