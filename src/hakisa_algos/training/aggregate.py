"""Many runs as one figure with its uncertainty, as Agarwal et al. (2021) recommend for a handful of seeds.

Scores are ``[runs, tasks]``, or ``[runs]`` where there is one task. Bootstraps are stratified: runs are drawn with
replacement within each task, so that no draw leaves a task out. Every function gives the same for the same input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hakisa_algos.errors import ConfigError

REPLICATES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and its percentile-bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True)
class Band:
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
    scores: np.ndarray, *, replicates: int = REPLICATES, confidence: float = CONFIDENCE, seed: int = 0
) -> Estimate:
    """Interquartile mean over all runs and tasks together, with its stratified bootstrap interval.

    Args:
        scores: ``[runs]`` or ``[runs, tasks]``.
        replicates: bootstrap draws. More make the ends of the interval steadier and take longer.
        confidence: of the interval.
        seed: of the draws.
    """
    scores = _matrix(scores)
    generator = np.random.default_rng(seed)
    drawn = _resampled(scores, replicates, generator).reshape(replicates, -1)
    low, high = _ends(interquartile_mean(drawn, axis=1), confidence)
    return Estimate(float(interquartile_mean(scores.reshape(-1))), float(low), float(high))


def improvement_probability(x: np.ndarray, y: np.ndarray) -> float:
    """Probability that a run of X scores higher than a run of Y, ties counted as a half; the mean over tasks.

    That is the Mann-Whitney U of each task, divided by the number of pairs.

    Args:
        x: scores of X, ``[runs]`` or ``[runs, tasks]``.
        y: scores of Y on the same tasks; the number of runs may differ.
    """
    x, y = _pair(x, y)
    return float(_improvement(x[None], y[None])[0])


def improvement(
    x: np.ndarray,
    y: np.ndarray,
    *,
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Estimate:
    """:func:`improvement_probability` with its stratified bootstrap interval; see :func:`estimate`."""
    x, y = _pair(x, y)
    generator = np.random.default_rng(seed)
    drawn = _improvement(_resampled(x, replicates, generator), _resampled(y, replicates, generator))
    low, high = _ends(drawn, confidence)
    return Estimate(improvement_probability(x, y), float(low), float(high))


def band(curves: np.ndarray, *, replicates: int = 2_000, confidence: float = CONFIDENCE, seed: int = 0) -> Band:
    """Interquartile mean of curves with its pointwise bootstrap interval over runs.

    Args:
        curves: ``[runs, points]``, all on the same grid (see :func:`on_grid`).
        replicates: see :func:`estimate`.
        confidence: see :func:`estimate`.
        seed: see :func:`estimate`.
    """
    curves = _matrix(curves)
    generator = np.random.default_rng(seed)
    # Whole runs are drawn: the points of one run belong together.
    rows = generator.integers(0, len(curves), (replicates, len(curves)))
    low, high = _ends(np.stack([interquartile_mean(curves[chosen]) for chosen in rows]), confidence)
    return Band(interquartile_mean(curves), low, high)


def on_grid(curves: Sequence[tuple[Sequence[float], Sequence[float]]], grid: np.ndarray) -> np.ndarray:
    """Curves of (positions, values), each at positions of its own, as ``[runs, points]`` at the points of ``grid``.

    Between positions they are straight lines; before the first and after the last one they keep that value.
    """
    return np.stack([np.interp(grid, positions, values) for positions, values in curves])


def _matrix(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, float)
    scores = scores[:, None] if scores.ndim == 1 else scores
    if scores.ndim != 2 or scores.size == 0 or not np.isfinite(scores).all():
        raise ConfigError(
            f"scores of shape {list(scores.shape)} cannot be summed up: they must be finite numbers, [runs] or "
            "[runs, tasks], at least one; leave out runs that failed"
        )
    return scores


def _pair(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = _matrix(x), _matrix(y)
    if x.shape[1] != y.shape[1]:
        raise ConfigError(f"scores on {x.shape[1]} and on {y.shape[1]} tasks cannot be compared; take the common ones")
    return x, y


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


def _ends(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence={confidence!r} must lie between 0 and 1, such as 0.95")
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, [tail, 100 - tail], axis=0)
    return low, high
