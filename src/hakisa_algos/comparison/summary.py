"""The figures of a comparison: what tables and reports show, computed from results alone."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hakisa_algos.comparison.plan import RANDOM, Plan
from hakisa_algos.training.aggregate import Estimate, Rates, band, estimate, improvement, rates_by

Result = Mapping[str, Any]
# By algorithm, env and seed.
Results = Mapping[tuple[str, str, int], Result]
# A learning curve: positions, in env steps or seconds of training, and there its value, low and high end.
Curve = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_GRID = 60
LEAST_RUNS = 4
RULE = f"the interval leaves 0.5 out, over at least {LEAST_RUNS} runs of each"
WAYS = ("deterministic", "stochastic")
# What stands for a video that nobody asked for.
NOT_FILMED = "not asked for"


@dataclass(frozen=True)
class Row:
    """One algorithm in one ranking, over ``runs`` seeds.

    Its scores are interquartile means over runs of the mean return of the final evaluation; ``steps`` is the mean of
    what its runs took, None over several envs and of who is not trained. ``above_next`` is the probability that one of
    its runs scores higher (deterministic) than one of the next row's, None in the last row; :func:`apart` says whether
    that tells the two apart.
    """

    algorithm: str
    runs: int
    steps: float | None
    deterministic: Estimate
    stochastic: Estimate
    above_next: Estimate | None
    told_apart: bool


@dataclass(frozen=True)
class Ranking:
    """Rows from best to worst; ``env`` is None for all envs together, on normalised scores."""

    env: str | None
    rows: tuple[Row, ...]


def apart(probability: Estimate, runs: int) -> bool:
    """Whether a probability of improvement tells two algorithms apart: see :data:`RULE`.

    With fewer runs the bootstrap knows too little of what might have been: three against three in perfect order
    come up by chance once in ten times, four against four once in 35 (the two-sided rank-sum test).
    """
    return runs >= LEAST_RUNS and (probability.low > 0.5 or probability.high < 0.5)


def rankings(plan: Plan, results: Results) -> list[Ranking]:
    """One for each env with results, and first, if there are several envs, one over all of them."""
    each = [Ranking(env, _rows(plan, results, (env,))) for env in plan.envs]
    each = [ranking for ranking in each if ranking.rows]
    envs = tuple(ranking.env for ranking in each if ranking.env)
    rows = _rows(plan, results, envs) if len(envs) > 1 else ()
    return [Ranking(None, rows), *each] if rows else each


def pairwise(plan: Plan, results: Results) -> dict[tuple[str, str], Estimate]:
    """Probability that the first scores higher than the second, over the envs that both have results on."""
    played = {name: {env for env in plan.envs if seeds_of(plan, results, name, (env,))} for name in plan.algorithms}
    found = {}
    for first, second in itertools.permutations(plan.algorithms, 2):
        envs = [env for env in plan.envs if env in played[first] & played[second]]
        if envs:
            x, y = (scores(plan, results, name, envs, "deterministic") for name in (first, second))
            if x.size and y.size:
                found[first, second] = improvement(x, y)
    return found


def scores(plan: Plan, results: Results, algorithm: str, envs: Sequence[str], way: str) -> np.ndarray:
    """Mean return of each run's final evaluation, ``[runs, envs]``; runs are the seeds that all ``envs`` have."""
    seeds = seeds_of(plan, results, algorithm, envs)
    means = [[np.mean(results[algorithm, env, seed]["final"][way]["returns"]) for env in envs] for seed in seeds]
    return np.array(means).reshape(-1, len(envs))


def chance(plan: Plan, results: Results, env: str) -> float | None:
    """The random player's mean return on ``env``, if it has played there."""
    found = scores(plan, results, RANDOM, (env,), "deterministic")
    return float(found.mean()) if found.size else None


def normalisation(plan: Plan, results: Results, env: str) -> tuple[float, float]:
    """The returns that count as 0 and 1 on ``env``: the random player's mean, and the best run's.

    Without a random player the worst run's mean is 0.
    """
    every = np.concatenate([scores(plan, results, name, (env,), "deterministic") for name in plan.algorithms])
    low, high = chance(plan, results, env), float(every.max())
    low = float(every.min()) if low is None else low
    return low, high if high > low else low + 1.0


def curves(plan: Plan, results: Results, env: str, by: str) -> dict[str, Curve]:
    """The learning curves on ``env`` over ``by`` (``"step"`` or ``"seconds"`` of training), by algorithm.

    Each ends where the shortest run of its algorithm ended.
    """
    found = {}
    for algorithm in plan.algorithms:
        runs = [run["curve"] for run in runs_of(plan, results, algorithm, env)]
        if runs and algorithm != RANDOM:
            lines = [([point[by] for point in run], [np.mean(point["returns"]) for point in run]) for run in runs]
            grid = np.linspace(0, min(positions[-1] for positions, _ in lines), _GRID)
            found[algorithm] = grid, *band(np.stack([np.interp(grid, *line) for line in lines]))
    return found


def at_equal_time(plan: Plan, results: Results, env: str) -> tuple[float, dict[str, Estimate]]:
    """The training time that every algorithm on ``env`` has had, in seconds, and the score on the curve by then."""
    found = curves(plan, results, env, "seconds")
    seconds = min((float(grid[-1]) for grid, *_ in found.values()), default=0.0)
    return seconds, {
        name: Estimate(*(float(np.interp(seconds, grid, line)) for line in lines))
        for name, (grid, *lines) in found.items()
    }


def ended(plan: Plan, results: Results) -> dict[tuple[str, str, str, str], Rates]:
    """How the games of final evaluations ended where envs say it, by env, way to play, algorithm, and among which.

    Those are all games of an algorithm, of all its runs together, and then those of an opponent or from a start. Games
    of one run that went alike count once.
    """
    found = {}
    for env, way, algorithm in itertools.product(plan.envs, WAYS, plan.algorithms):
        seeds = seeds_of(plan, results, algorithm, (env,))
        finals = [(seed, results[algorithm, env, seed]["final"][way]) for seed in seeds]
        outcomes = [outcome for _, final in finals for outcome in final["outcomes"]]
        games = [(seed, number) for seed, final in finals for number in final["trajectories"]]
        groups: list[list[str | None]] = [["all"] * len(games)]
        for kind, word in (("opponents", "against"), ("starts", "from")):
            names = [name for _, final in finals for name in final[kind]]
            groups.append([None if name is None else f"{word} {name}" for name in names])
        for group in groups:
            for among, rates in rates_by(group, outcomes, games).items():
                found[env, way, algorithm, among] = rates
    return found


def notes(plan: Plan, results: Results) -> list[str]:
    """What a reader of the figures must know: episodes that were cut, and why runs have no video."""
    found = []
    for env, algorithm in itertools.product(plan.envs, plan.algorithms):
        finals = [run["final"][way] for run in runs_of(plan, results, algorithm, env) for way in WAYS]
        if cut := sum(sum(final["cut"]) for final in finals):
            played = sum(len(final["cut"]) for final in finals)
            after = f"after {finals[0]['limit']:,} steps"
            found.append(f"{cut} of {played} final episodes of {algorithm} on {env} were cut {after}")
    reasons = Counter(str(run["video"]["missing"]) for run in results.values() if "missing" in run.get("video", ()))
    return found + [f"{count} runs have no video: {why}" for why, count in reasons.items() if why != NOT_FILMED]


def plain_summary(plan: Plan, results: Results) -> dict[str, Any]:
    """All figures as JSON says them."""
    return {
        "tables": [dataclasses.asdict(ranking) for ranking in rankings(plan, results)],
        "scores": {
            env: {
                name: {way: scores(plan, results, name, (env,), way)[:, 0].tolist() for way in WAYS}
                for name in plan.algorithms
            }
            for env in plan.envs
        },
        "improvement": [
            {"first": first, "second": second, **dataclasses.asdict(found)}
            for (first, second), found in pairwise(plan, results).items()
        ],
        "outcomes": [
            {**dict(zip(("env", "way", "algorithm", "among"), key, strict=True)), **dataclasses.asdict(rates)}
            for key, rates in ended(plan, results).items()
        ],
        "notes": notes(plan, results),
    }


def median_seed(plan: Plan, results: Results, algorithm: str, env: str) -> int | None:
    """The seed whose final score is the middle one: who stands for the algorithm in a video."""
    seeds = seeds_of(plan, results, algorithm, (env,))
    final = scores(plan, results, algorithm, (env,), "deterministic")[:, 0]
    return seeds[int(np.argsort(final, kind="stable")[len(final) // 2])] if seeds else None


def seeds_of(plan: Plan, results: Results, algorithm: str, envs: Sequence[str]) -> list[int]:
    """The seeds whose runs are done on all ``envs``."""
    return [seed for seed in plan.seeds if all((algorithm, env, seed) in results for env in envs)]


def runs_of(plan: Plan, results: Results, algorithm: str, env: str) -> list[Result]:
    """What is done of an algorithm on an env."""
    return [results[algorithm, env, seed] for seed in seeds_of(plan, results, algorithm, (env,))]


def _rows(plan: Plan, results: Results, envs: Sequence[str]) -> tuple[Row, ...]:
    present = [name for name in plan.algorithms if seeds_of(plan, results, name, envs)]
    if not present:
        return ()
    # A single env keeps its own returns.
    ends = [normalisation(plan, results, env) for env in envs] if len(envs) > 1 else [(0.0, 1.0)]
    low, high = (np.array(side) for side in zip(*ends, strict=True))
    scaled = {
        way: {name: (scores(plan, results, name, envs, way) - low) / (high - low) for name in present} for way in WAYS
    }
    best, drawn = ({name: estimate(found) for name, found in scaled[way].items()} for way in WAYS)
    ranked = sorted(present, key=lambda name: -best[name].value)
    rows = []
    for name, after in zip(ranked, [*ranked[1:], None], strict=True):
        mine = scaled["deterministic"][name]
        steps, above, told_apart = None, None, False
        if len(envs) == 1 and name != RANDOM:
            steps = float(np.mean([run["steps"] for run in runs_of(plan, results, name, envs[0])]))
        if after is not None:
            theirs = scaled["deterministic"][after]
            above = improvement(mine, theirs)
            told_apart = apart(above, min(len(mine), len(theirs)))
        rows.append(Row(name, len(mine), steps, best[name], drawn[name], above, told_apart))
    return tuple(rows)
