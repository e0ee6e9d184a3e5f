"""Episode windows, and a timer whose shares add up."""

import math

from hakisa_algos.training.statistics import EpisodeStatistics


def test_means_are_over_the_last_episodes_and_the_best_over_full_windows():
    seen = EpisodeStatistics(window=3)
    assert math.isnan(seen.mean_return)
    assert math.isnan(seen.mean_length)
    seen.add(100.0, 10)
    seen.add(100.0, 20)
    assert seen.mean_return == 100
    assert math.isnan(seen.best_mean_return)  # two lucky episodes are no window
    for value in (1.0, 2.0, 3.0, 0.0):
        seen.add(value, 3)
    assert (seen.mean_return, seen.mean_length, seen.count) == (5 / 3, 3, 6)
    assert seen.best_mean_return == 67


def test_statistics_continue_from_their_state():
    first, second = EpisodeStatistics(window=4), EpisodeStatistics(window=4)
    for value in range(10):
        first.add(float(value), value)
    second.load_state(first.state())
    for one in (first, second):
        one.add(-5.0, 1)
    assert first.state() == second.state()
