"""The collapse detector on made-up runs: it sees a collapse, and nothing else."""

import math
import re

import numpy as np
import pytest

from hakisa_algos.training.checkpoint import Checkpoints, load_checkpoint
from hakisa_algos.training.collapse import CollapseDetector

HEALTHY = {"kl": 0.01, "entropy_fraction": 0.5, "explained_variance": 0.8}
BROKEN = {"kl": 5.0, "entropy_fraction": 0.001, "explained_variance": -1.0}


def feed(detector, returns, chunk=10, kl=0.01, entropy_fraction=0.5, explained_variance=0.8):
    """All that the detector says about ``returns``, ``chunk`` episodes per update."""
    seen = [
        detector.observe([float(x) for x in returns[first : first + chunk]], kl, entropy_fraction, explained_variance)
        for first in range(0, len(returns), chunk)
    ]
    return [collapse for collapse in seen if collapse]


def trained(best=200.0, spread=60.0, seed=0):
    """A detector that saw a run improve from 20 to ``best``."""
    rng = np.random.default_rng(seed)
    detector = CollapseDetector()
    level = np.linspace(20, best, 500)
    assert feed(detector, np.concatenate([level, np.full(300, best)]) + rng.normal(0, spread, 800)) == []
    return detector


def test_a_fallen_return_with_a_kl_spike_fires_once():
    detector = trained()
    detector.observe([], 3.0, 0.5, 0.8)  # the fatal update; afterwards every signal is healthy again
    (collapse,) = feed(detector, np.full(200, 9.4))
    now, best = map(float, re.search(r"return (\S+), was (\S+) at its best", collapse).groups())
    assert now < 100 < best
    assert "KL was 3, 150 x its target" in collapse


@pytest.mark.parametrize(
    ("signals", "says"),
    [
        ({"entropy_fraction": 0.01}, "entropy is 1.00%"),
        ({"explained_variance": -0.2}, "explained variance is negative"),
        ({"kl": 0.21}, "KL was 0.21"),
    ],
)
def test_each_signal_alone_is_enough_with_a_fallen_return(signals, says):
    (collapse,) = feed(trained(), np.full(300, 9.4), **{**HEALTHY, **signals})
    assert [word in collapse for word in ("entropy", "explained variance", "KL")].count(True) == 1  # no other signal
    assert says in collapse


@pytest.mark.parametrize("unknown", [0.01, math.nan])
def test_a_fallen_return_alone_is_a_hard_stretch(unknown):
    assert feed(trained(), np.full(1000, 9.4), kl=unknown) == []
    assert feed(trained(), np.full(1000, 9.4), kl=unknown, explained_variance=math.nan, entropy_fraction=math.nan) == []


def test_an_old_kl_spike_is_forgotten():
    detector = trained()
    detector.observe([], 3.0, 0.5, 0.8)
    assert feed(detector, np.random.default_rng(1).normal(200, 60, 300)) == []
    assert feed(detector, np.full(300, 9.4)) == []


def test_a_critic_that_never_was_good_is_no_signal():
    detector = CollapseDetector()
    rng = np.random.default_rng(0)
    feed(detector, rng.normal(200, 60, 300), explained_variance=0.1)
    assert feed(detector, np.full(300, 9.4), explained_variance=-1.0) == []


@pytest.mark.parametrize("rest", [0.0, 1.0])
def test_a_solved_deterministic_policy_never_fires(rest):
    """Entropy 0, and a return that is flat at its best, but for a rare bad episode."""
    rng = np.random.default_rng(2)
    detector = CollapseDetector()
    assert feed(detector, np.linspace(20, 500, 400)) == []
    solved = np.where(rng.random(5000) < 0.02 * rest, rng.uniform(100, 500, 5000), 500.0)
    assert feed(detector, solved, **BROKEN) == []


def test_early_noise_never_fires():
    """The first two windows have nothing to fall from."""
    detector = CollapseDetector()
    assert feed(detector, np.r_[np.full(100, 50.0), np.full(99, 0.0)], chunk=1, **BROKEN) == []


def test_a_trifle_is_not_worth_a_word():
    detector = CollapseDetector()
    feed(detector, np.r_[np.full(100, 0.0), np.full(200, 500.0)])
    assert feed(detector, np.full(500, 480.0), **BROKEN) == []  # steady, so infinitely significant


def learning(rng, n):
    return 500 / (1 + np.exp(-(np.arange(n) - n / 3) / (n / 20))) + rng.normal(0, 60, n)


def autocorrelated(rng, n):
    noise, series = rng.normal(0, math.sqrt(0.75), n), np.zeros(n)
    for index in range(1, n):
        series[index] = 0.5 * series[index - 1] + noise[index]
    return series


SERIES = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "learning": learning,
    "drifting": lambda rng, n: learning(rng, n) + np.cumsum(rng.normal(0, 0.5, n)),
    "autocorrelated": autocorrelated,
    "heavy tails": lambda rng, n: rng.standard_t(2.5, n),
    "sparse": lambda rng, n: (rng.random(n) < 0.02).astype(float),
    "mostly won": lambda rng, n: (rng.random(n) < 0.95).astype(float),
    "skewed": lambda rng, n: rng.exponential(50, n),
}


@pytest.mark.parametrize("kind", SERIES)
def test_noise_never_fires_even_with_every_signal_standing(kind):
    """The critic and entropy signals stand throughout, KL spikes in each update: the return alone decides."""
    rng = np.random.default_rng(7)
    fired = 0
    for _ in range(30):
        detector = CollapseDetector()
        detector.observe([], 0.0, 1.0, 0.9)
        fired += bool(feed(detector, SERIES[kind](rng, 3000), chunk=int(rng.integers(5, 60)), **BROKEN))
    assert fired == 0


def test_real_collapses_are_found_soon_in_every_series():
    """From a learnt 200 or 20 to what a broken policy gets, with the spreads of real envs."""
    rng = np.random.default_rng(3)
    for best, spread, fallen, noise in ((200, 80, -100, 80), (20, 1, -21, 0.1), (500, 0, 9.4, 0.7), (0.95, 0.2, 0, 0)):
        detector = CollapseDetector()
        feed(detector, np.r_[rng.normal(fallen, spread, 200), rng.normal(best, spread, 400)])
        collapse = feed(detector, rng.normal(fallen, noise, 150), **BROKEN)
        assert len(collapse) == 1, (best, fallen)


def test_it_is_silent_until_the_return_recovered_then_fires_again():
    detector = trained()
    assert len(feed(detector, np.full(1000, 9.4), **BROKEN)) == 1
    rng = np.random.default_rng(5)
    assert feed(detector, rng.normal(200, 60, 400)) == []
    assert len(feed(detector, np.full(400, 9.4), **BROKEN)) == 1


def test_rearm_waits_for_a_new_window_and_keeps_the_standard():
    detector = trained()
    assert len(feed(detector, np.full(200, 9.4), **BROKEN)) == 1
    detector.rearm()
    assert feed(detector, np.full(99, 9.4), chunk=1, **BROKEN) == []
    (again,) = feed(detector, np.full(300, 9.4), **BROKEN)
    assert float(re.search(r"was (\S+) at its best", again)[1]) > 150


def test_it_continues_from_its_state_through_a_checkpoint(tmp_path):
    detector, other = trained(), CollapseDetector()
    feed(detector, np.full(40, 9.4), **BROKEN)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"step": 1, "collapse": detector.state()})
    checkpoints.wait()
    other.load_state(load_checkpoint(tmp_path).state["collapse"])
    assert other.state() == detector.state()
    assert feed(detector, np.full(300, 9.4)) == feed(other, np.full(300, 9.4)) != []
