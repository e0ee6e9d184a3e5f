"""Figures over runs equal those of scipy and rliable, on fixed data."""

import numpy as np
import pytest

from hakisa_algos.errors import ConfigError
from hakisa_algos.training.aggregate import (
    band,
    estimate,
    improvement,
    interquartile_mean,
    wilson,
)

# [runs, tasks], with ties within and between the two.
X = np.array([[1, 20, 0.50], [2, 22, 0.75], [4, 19, 0.50], [8, 30, 0.25], [3, 25, 0.90], [5, 21, 0.10], [2, 28, 0.60]])
Y = np.array([[2, 18, 0.40], [1, 22, 0.75], [3, 15, 0.30], [4, 21, 0.20], [0, 24, 0.80]])

# The expected values below, computed once with rliable 1.2.0, scipy 1.17.1, arch 7.2.0, numpy 2.4.6:
#
#   rliable.metrics.aggregate_iqm(X), aggregate_iqm(Y); scipy.stats.trim_mean(X, 0.25, axis=0)
#   rliable.metrics.probability_of_improvement(X, Y)
#   scipy.stats.mannwhitneyu(X[:, t], Y[:, t], alternative="greater").statistic / 35, for each task t
#   rliable.library.get_interval_estimates({"X": X, "Y": Y}, lambda s: np.array([metrics.aggregate_iqm(s)]),
#       reps=20000, random_state=np.random.RandomState(seed)), seeds 0, 1 and 2
#   the same with {"a": (X, Y)}, lambda x, y: np.array([metrics.probability_of_improvement(x, y)]), reps=5000
#   scipy.stats.bootstrap((X[:, 0],), lambda v, axis: stats.trim_mean(v, 0.25, axis=axis), n_resamples=100000,
#       method="percentile", rng=np.random.default_rng(seed)).confidence_interval
IQM_X, IQM_Y = 5.968181818181819, 4.9944444444444445
TRIMMED_X = [3.2, 23.2, 0.52]
IMPROVEMENT = 0.6476190476190475
IMPROVEMENT_BY_TASK = [0.7, 0.7142857142857143, 0.5285714285714286]
INTERVALS_X = [[5.04545455, 7.16363636], [5.04545455, 7.16363636], [5.05909091, 7.18204545]]
INTERVALS_Y = [[4.19444444, 6.27777778], [4.19444444, 6.28333333], [4.19444444, 6.28333333]]
INTERVALS_IMPROVEMENT = [[0.45238095, 0.82380952], [0.46190476, 0.82392857], [0.45714286, 0.82380952]]
INTERVAL_OF_ONE_TASK = [1.8, 5.4]


def test_interquartile_means_are_rliables_and_scipys():
    assert estimate(X, replicates=1).value == pytest.approx(IQM_X, rel=1e-14)
    assert estimate(Y, replicates=1).value == pytest.approx(IQM_Y, rel=1e-14)
    assert interquartile_mean(X) == pytest.approx(TRIMMED_X, rel=1e-14)


def improvement_probability(x, y):
    return improvement(x, y, replicates=1).value


def test_the_probability_of_improvement_is_rliables_and_scipys():
    assert improvement_probability(X, Y) == pytest.approx(IMPROVEMENT, rel=1e-14)
    by_task = [improvement_probability(X[:, task], Y[:, task]) for task in range(3)]
    assert by_task == pytest.approx(IMPROVEMENT_BY_TASK, rel=1e-14)
    assert improvement_probability(Y, X) == pytest.approx(1 - IMPROVEMENT, rel=1e-14)
    assert improvement_probability(X, X) == 0.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_intervals_are_rliables_but_for_the_draws(seed):
    """Draws differ. Between 7.164 and 7.205 no mean lies, so the upper end of X jumps by that much."""
    for scores, theirs in ((X, INTERVALS_X), (Y, INTERVALS_Y)):
        found = estimate(scores, replicates=20_000, seed=seed)
        assert [found.low, found.high] == pytest.approx(np.mean(theirs, 0), abs=0.07)
    found = improvement(X, Y, replicates=5_000, seed=seed)
    assert [found.low, found.high] == pytest.approx(np.mean(INTERVALS_IMPROVEMENT, 0), abs=0.015)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_interval_of_one_task_is_scipys_exactly(seed):
    """Means of few whole numbers: the ends of the interval are the same for every seed."""
    found = estimate(X[:, 0], replicates=50_000, seed=seed)
    assert [found.low, found.high] == pytest.approx(INTERVAL_OF_ONE_TASK, rel=1e-12)


def test_runs_are_drawn_within_each_task():
    """Two tasks without any spread: a draw that mixed them would spread."""
    scores = np.array([[0.0, 10.0]] * 6)
    found = estimate(scores)
    assert found.low == found.value == found.high == 5.0


def test_the_same_input_gives_the_same_interval():
    assert estimate(X) == estimate(X.copy())
    assert improvement(X, Y) == improvement(X.copy(), Y.copy())
    assert estimate(X, seed=1) != estimate(X)


def test_one_run_is_its_own_interval():
    found = estimate(np.array([3.5]))
    assert (found.low, found.value, found.high) == (3.5, 3.5, 3.5)


def test_a_band_draws_whole_runs():
    """Two runs that only differ by a constant: wherever a draw lies, its points lie alike."""
    base = np.linspace(0, 1, 5)
    found = band(np.stack([base, base + 1, base + 2, base + 3]))
    assert found.value == pytest.approx(base + 1.5)
    assert found.high - found.low == pytest.approx(np.full(5, found.high[0] - found.low[0]))
    assert (found.low < found.value).all()


@pytest.mark.parametrize(
    ("scores", "shape"),
    [(np.zeros((0, 2)), r"\[0, 2\]"), ([1.0, np.nan], r"\[2, 1\]"), (np.zeros((1, 1, 1)), r"\[1, 1, 1\]")],
)
def test_what_cannot_be_summed_up_is_refused(scores, shape):
    with pytest.raises(ConfigError, match=f"scores of shape {shape} cannot be summed up"):
        estimate(scores)


def test_different_tasks_are_not_compared():
    with pytest.raises(ConfigError, match="scores on 3 and on 2 tasks"):
        improvement(X, Y[:, :2])


# Computed once with scipy 1.17.1: stats.binomtest(k, n).proportion_ci(method="wilson").
WILSON = {
    (97, 100): (0.9154806357094724, 0.9897454759759611),
    (0, 10): (0.0, 0.27753279986288926),
    (10, 10): (0.7224672001371109, 1.0),
    (1, 2): (0.09453120573423074, 0.9054687942657693),
    (5, 50): (0.04347576493189041, 0.21360231437479654),
}


@pytest.mark.parametrize(("trials", "ends"), WILSON.items())
def test_the_interval_of_a_share_is_wilsons(trials, ends):
    found = wilson(*trials)
    assert found.value == trials[0] / trials[1]
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-14)
    assert found.low <= found.value <= found.high


def test_a_share_of_nothing_is_none():
    for successes, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ConfigError, match=f"{successes} successes in {n} trials"):
            wilson(successes, n)
