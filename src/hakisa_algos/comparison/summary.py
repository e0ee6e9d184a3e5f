"""The figures of a comparison: what tables and reports show, computed from results alone."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hakisa_algos.comparison.plan import RANDOM, Plan
from hakisa_algos.training.aggregate import Band, Estimate, band, estimate, improvement, on_grid

Result = Mapping[str, Any]
# By algorithm, env and seed.
Results = Mapping[tuple[str, str, int], Result]
_GRID = 60
LEAST_RUNS = 4
RULE = f"the interval leaves 0.5 out, over at least {LEAST_RUNS} runs of each"
WAYS = ("deterministic", "stochastic")
# What stands for a video that nobody asked for.
NOT_FILMED = "not asked for"


@dataclass(frozen=True)
class Row:
    """One algorithm in one table.

    Attributes:
        algorithm: its name.
        runs: seeds that the figures are over.
        steps: env steps that its runs took in training, the mean; None over several envs, and of who is not trained.
        deterministic: interquartile mean over runs of the mean return of the final evaluation.
        stochastic: the same with actions drawn as in training.
        above_next: probability that one of its runs scores higher (deterministic) than one of the next row's;
            None in the last row.
        told_apart: whether that tells the two apart; see :func:`apart`.
    """

    algorithm: str
    runs: int
    steps: float | None
    deterministic: Estimate
    stochastic: Estimate
    above_next: Estimate | None
    told_apart: bool


@dataclass(frozen=True)
class Pace:
    """What one algorithm took on one env.

    Attributes:
        algorithm: its name.
        steps: env steps, the mean over runs.
        seconds: of training, the mean over runs.
        runs: how many.
        cut: how many of these were ended by their minutes, not by their steps.
    """

    algorithm: str
    steps: float
    seconds: float
    runs: int
    cut: int


@dataclass(frozen=True)
class Curves:
    """Evaluation return along the runs of one env, by algorithm.

    Attributes:
        by: ``"steps"`` or ``"seconds"`` of training.
        grids: positions, ``[points]``.
        bands: interquartile mean and interval there.
    """

    by: str
    grids: Mapping[str, np.ndarray]
    bands: Mapping[str, Band]


@dataclass(frozen=True)
class Table:
    """Rows from best to worst; ``env`` is None for all envs together, on normalised scores."""

    env: str | None
    rows: tuple[Row, ...]


def apart(probability: Estimate, runs: int) -> bool:
    """Whether a probability of improvement tells two algorithms apart: see :data:`RULE`.

    With fewer runs the bootstrap knows too little of what might have been: three against three in perfect order
    come up by chance once in ten times, four against four once in 35 (the two-sided rank-sum test).

    Args:
        probability: with its interval.
        runs: of the one that has fewer.
    """
    return runs >= LEAST_RUNS and (probability.low > 0.5 or probability.high < 0.5)


def tables(plan: Plan, results: Results) -> list[Table]:
    """One table per env with results, and first, if there are several envs, one over all of them."""
    each = [Table(env, _rows(plan, results, (env,))) for env in plan.envs]
    each = [table for table in each if table.rows]
    if len(each) < 2:
        return each
    envs = tuple(table.env for table in each if table.env)
    rows = _rows(plan, results, envs)
    return [Table(None, rows), *each] if rows else each


def pairwise(plan: Plan, results: Results, algorithms: Sequence[str]) -> dict[tuple[str, str], Estimate]:
    """Probability that the first scores higher than the second, over the envs that both have results on."""
    found = {}
    for first in algorithms:
        for second in algorithms:
            envs = tuple(env for env in plan.envs if _seeds(plan, results, first, (env,)))
            envs = tuple(env for env in envs if _seeds(plan, results, second, (env,)))
            if first != second and envs:
                x, y = (scores(plan, results, name, envs, "deterministic") for name in (first, second))
                if x.size and y.size:
                    found[first, second] = improvement(x, y)
    return found


def scores(plan: Plan, results: Results, algorithm: str, envs: Sequence[str], way: str) -> np.ndarray:
    """Mean return of each run's final evaluation, ``[runs, envs]``; runs are the seeds that all ``envs`` have."""
    return np.array(
        [
            [np.mean(results[algorithm, env, seed]["final"][way]["returns"]) for env in envs]
            for seed in _seeds(plan, results, algorithm, envs)
        ]
    ).reshape(-1, len(envs))


def normalisation(plan: Plan, results: Results, env: str) -> tuple[float, float]:
    """The returns that count as 0 and 1 on ``env``: the random player's mean, and the best run's.

    Without a random player the worst run's mean is 0.
    """
    by_algorithm = {name: scores(plan, results, name, (env,), "deterministic") for name in plan.algorithms}
    every = np.concatenate([found.reshape(-1) for found in by_algorithm.values()])
    chance = by_algorithm.get(RANDOM, np.zeros((0, 1)))
    low, high = float(chance.mean() if chance.size else every.min()), float(every.max())
    return low, high if high > low else low + 1.0


def paces(plan: Plan, results: Results, env: str) -> list[Pace]:
    """Steps and training time of every algorithm that was trained on ``env``."""
    found = []
    for algorithm in plan.algorithms:
        runs = [results[algorithm, env, seed] for seed in _seeds(plan, results, algorithm, (env,))]
        if runs and algorithm != RANDOM:
            steps, seconds = (float(np.mean([run[key] for run in runs])) for key in ("steps", "seconds"))
            cut = sum(run.get("ended_by") == "minutes" for run in runs)
            found.append(Pace(algorithm, steps, seconds, len(runs), cut))
    return found


def curves(plan: Plan, results: Results, env: str, by: str) -> Curves:
    """The learning curves on ``env``; each ends where the shortest run of its algorithm ended."""
    grids, bands = {}, {}
    for algorithm in plan.algorithms:
        runs = [results[algorithm, env, seed]["curve"] for seed in _seeds(plan, results, algorithm, (env,))]
        if not runs or algorithm == RANDOM:
            continue
        lines = [([point[_KEYS[by]] for point in run], [np.mean(point["returns"]) for point in run]) for run in runs]
        grids[algorithm] = np.linspace(0, min(positions[-1] for positions, _ in lines), _GRID)
        bands[algorithm] = band(on_grid(lines, grids[algorithm]))
    return Curves(by, grids, bands)


def plain_summary(plan: Plan, results: Results) -> dict[str, Any]:
    """All figures as JSON says them."""
    return {
        "tables": [dataclasses.asdict(table) for table in tables(plan, results)],
        "scores": {
            env: {
                name: {way: scores(plan, results, name, (env,), way)[:, 0].tolist() for way in WAYS}
                for name in plan.algorithms
            }
            for env in plan.envs
        },
        "improvement": [
            {"first": first, "second": second, **dataclasses.asdict(found)}
            for (first, second), found in pairwise(plan, results, plan.algorithms).items()
        ],
    }


def at_equal_time(plan: Plan, results: Results, env: str) -> tuple[float, dict[str, Estimate]]:
    """The training time that every algorithm on ``env`` has had, in seconds, and the score on the curve by then."""
    found = curves(plan, results, env, "seconds")
    if not found.grids:
        return 0.0, {}
    seconds = min(float(grid[-1]) for grid in found.grids.values())

    def then(name: str, values: np.ndarray) -> float:
        return float(np.interp(seconds, found.grids[name], values))

    return seconds, {
        name: Estimate(then(name, band.value), then(name, band.low), then(name, band.high))
        for name, band in found.bands.items()
    }


def episodes_played(results: Results) -> list[int]:
    """Of the final evaluations: how many there were, every number that occurs."""
    return sorted({len(run["final"][way]["returns"]) for run in results.values() for way in WAYS})


def videos_missing(results: Results) -> dict[str, int]:
    """Why runs have no video though one was asked for, and how many runs each reason has."""
    reasons = Counter(str(run["video"]["missing"]) for run in results.values() if "missing" in run["video"])
    return {reason: count for reason, count in reasons.items() if reason != NOT_FILMED}


def median_seed(plan: Plan, results: Results, algorithm: str, env: str) -> int | None:
    """The seed whose final score is the middle one: who stands for the algorithm in a video."""
    seeds = _seeds(plan, results, algorithm, (env,))
    final = scores(plan, results, algorithm, (env,), "deterministic")[:, 0]
    return seeds[int(np.argsort(final, kind="stable")[len(final) // 2])] if seeds else None


_KEYS = {"steps": "step", "seconds": "seconds"}


def _seeds(plan: Plan, results: Results, algorithm: str, envs: Sequence[str]) -> list[int]:
    return [seed for seed in plan.seeds if all((algorithm, env, seed) in results for env in envs)]


def _rows(plan: Plan, results: Results, envs: Sequence[str]) -> tuple[Row, ...]:
    present = [name for name in plan.algorithms if _seeds(plan, results, name, envs)]
    if not present:
        return ()
    # A single env keeps its own returns.
    ends = [normalisation(plan, results, env) for env in envs] if len(envs) > 1 else [(0.0, 1.0)]
    low, high = (np.array(side) for side in zip(*ends, strict=True))

    def normalised(name: str, way: str) -> np.ndarray:
        found: np.ndarray = (scores(plan, results, name, envs, way) - low) / (high - low)
        return found

    spent = {pace.algorithm: pace.steps for pace in paces(plan, results, envs[0])} if len(envs) == 1 else {}
    best = {name: estimate(normalised(name, "deterministic")) for name in present}
    ranked = sorted(present, key=lambda name: -best[name].value)
    rows = []
    for name, after in zip(ranked, [*ranked[1:], None], strict=True):
        mine = normalised(name, "deterministic")
        above = improvement(mine, normalised(after, "deterministic")) if after else None
        fewer = min(len(mine), len(scores(plan, results, after, envs, "deterministic"))) if after else 0
        told_apart = above is not None and apart(above, fewer)
        drawn = estimate(normalised(name, "stochastic"))
        rows.append(Row(name, len(mine), spent.get(name), best[name], drawn, above, told_apart))
    return tuple(rows)
