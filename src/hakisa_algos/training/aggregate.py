"""Many runs as one figure with its uncertainty, as Agarwal et al. (2021) recommend for a handful of seeds.

Scores are ``[runs, tasks]``, or ``[runs]`` where there is one task. Bootstraps are stratified: runs are drawn with
replacement within each task, so that no draw leaves a task out. Every function gives the same for the same input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from hakisa_algos.errors import ConfigError

REPLICATES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and the interval in which it lies."""

    value: float
    low: float
    high: float


class Band(NamedTuple):
    """A curve over runs: interquartile mean and interval at each point, each ``[points]``."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def interquartile_mean(scores: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean of the middle half along ``axis``; with fewer than four entries the mean.

    The same as ``scipy.stats.trim_mean(scores, 0.25, axis)``: whole entries are cut, ``n // 4`` at each end.
    """
    ordered = np.sort(np.asarray(scores, float), axis=axis)
    n = ordered.shape[axis]
    cut = n // 4
    middle: np.ndarray = np.take(ordered, np.arange(cut, n - cut), axis=axis).mean(axis)
    return middle


def estimate(
    scores: np.ndarray,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    middle: Callable[..., Any] = interquartile_mean,
) -> Estimate:
    """Interquartile mean over all runs and tasks together, with its stratified bootstrap interval.

    More ``replicates`` make the ends of the interval steadier and take longer. ``middle`` is another figure than the
    interquartile mean, such as ``np.mean``.
    """
    scores = _matrix(scores)
    generator = np.random.default_rng(seed)
    drawn = _resampled(scores, replicates, generator).reshape(replicates, -1)
    low, high = _ends(middle(drawn, axis=1))
    return Estimate(float(middle(scores.reshape(-1))), float(low), float(high))


def improvement(x: np.ndarray, y: np.ndarray, *, replicates: int = REPLICATES, seed: int = 0) -> Estimate:
    """Probability that a run of X scores higher than a run of Y, ties counted as a half; the mean over tasks.

    That is the Mann-Whitney U of each task, divided by the number of pairs. Both are scores on the same tasks, else a
    ConfigError; the numbers of runs may differ. See :func:`estimate` for the interval.
    """
    x, y = _matrix(x), _matrix(y)
    if x.shape[1] != y.shape[1]:
        raise ConfigError(f"scores on {x.shape[1]} and on {y.shape[1]} tasks cannot be compared; take the common ones")
    generator = np.random.default_rng(seed)
    drawn = _improvement(_resampled(x, replicates, generator), _resampled(y, replicates, generator))
    low, high = _ends(drawn)
    return Estimate(float(_improvement(x[None], y[None])[0]), float(low), float(high))


def wilson(successes: int, n: int) -> Estimate:
    """A share of ``n`` independent trials with its score interval (Wilson 1927), which holds for few trials too."""
    if not 0 <= successes <= n or n == 0:
        raise ConfigError(f"{successes} successes in {n} trials are no share; at least one trial is needed")
    z, share = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), successes / n
    middle = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    scale = 1 + z**2 / n
    # No rounding beyond the share itself, which at 0 and at n successes is an end.
    return Estimate(share, max(0.0, min(share, (middle - half) / scale)), min(1.0, max(share, (middle + half) / scale)))


@dataclass(frozen=True)
class Rates:
    """How games ended: shares with their Wilson 95 % intervals.

    Games that went exactly alike count once, since they are no further evidence; ``games`` is how many are left.
    """

    games: int
    win: Estimate
    loss: Estimate
    draw: Estimate

    def __str__(self) -> str:
        ways = ((self.win, "won"), (self.loss, "lost"), (self.draw, "drawn"))
        shares = (f"{rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}] {how}" for rate, how in ways if rate.value)
        return f"{', '.join(shares)} of {self.games} different games"


def rates_by(
    names: Sequence[str | None], outcomes: Sequence[str | None], trajectories: Sequence[Hashable]
) -> dict[str, Rates]:
    """Rates for each name (such as an opponent), in order of their first game; without names or outcomes of None.

    Outcomes are ``"win"``, ``"loss"`` or ``"draw"``; trajectories are equal where games went alike.
    """
    games: dict[str, set[tuple[str, Hashable]]] = {}
    for name, outcome, trajectory in zip(names, outcomes, trajectories, strict=True):
        if name is not None and outcome is not None:
            games.setdefault(name, set()).add((outcome, trajectory))
    found = {}
    for name, played in games.items():
        ends = [outcome for outcome, _ in played]
        found[name] = Rates(len(ends), *(wilson(ends.count(way), len(ends)) for way in ("win", "loss", "draw")))
    return found


def band(curves: np.ndarray) -> Band:
    """Interquartile mean of curves ``[runs, points]``, all on one grid, with its bootstrap interval at each point."""
    curves = _matrix(curves)
    generator = np.random.default_rng(0)
    # Whole runs are drawn: the points of one run belong together.
    rows = generator.integers(0, len(curves), (2_000, len(curves)))
    low, high = _ends(np.stack([interquartile_mean(curves[chosen]) for chosen in rows]))
    return Band(interquartile_mean(curves), low, high)


def _matrix(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, float)
    scores = scores[:, None] if scores.ndim == 1 else scores
    if scores.ndim != 2 or scores.size == 0 or not np.isfinite(scores).all():
        raise ConfigError(
            f"scores of shape {list(scores.shape)} cannot be summed up: they must be finite numbers, [runs] or "
            "[runs, tasks], at least one; leave out runs that failed"
        )
    return scores


def _resampled(scores: np.ndarray, replicates: int, generator: np.random.Generator) -> np.ndarray:
    """``[replicates, runs, tasks]``: runs drawn anew in each task."""
    runs, tasks = scores.shape
    rows = generator.integers(0, runs, (replicates, runs, tasks))
    return scores[rows, np.arange(tasks)]


def _improvement(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of ``[replicates, runs, tasks]`` each, ``[replicates]``."""
    difference = x[:, :, None, :] - y[:, None, :, :]
    wins: np.ndarray = ((difference > 0) + 0.5 * (difference == 0)).mean((1, 2, 3))
    return wins


def _ends(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail], axis=0)
    return low, high
