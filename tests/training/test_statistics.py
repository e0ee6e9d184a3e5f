"""Windows over the last episodes: returns, lengths, outcomes, and what their infos say."""

import math

import pytest

from hakisa_algos.data.rollout import Episode
from hakisa_algos.training.statistics import EpisodeStatistics


def episode(total, length=1, **more):
    return Episode(env=0, seat=0, total=total, length=length, discounted=0.0, **more)


def test_means_are_over_the_last_episodes_and_the_best_over_full_windows():
    seen = EpisodeStatistics(window=3)
    assert math.isnan(seen.mean_return)
    assert math.isnan(seen.metrics()["rollout/ep_len_mean"])
    seen.add(episode(100.0, 10))
    seen.add(episode(100.0, 20))
    assert seen.mean_return == 100
    assert math.isnan(seen.best_mean_return)  # two lucky episodes are no window
    for value in (1.0, 2.0, 3.0, 0.0):
        seen.add(episode(value, 3))
    assert (seen.mean_return, seen.count) == (5 / 3, 6)
    assert seen.best_mean_return == 67
    assert seen.metrics() == {"rollout/ep_rew_mean": 5 / 3, "rollout/ep_len_mean": 3, "rollout/episodes": 6}


def test_rates_are_of_the_last_episodes_that_say_an_outcome():
    seen = EpisodeStatistics(window=4)
    for outcome in ("loss", "loss", "win", None, "win", "draw"):
        seen.add(episode(0.0, outcome=outcome))
    metrics = seen.metrics()
    rates = [metrics[f"rollout/{name}_rate"] for name in ("win", "loss", "draw")]
    assert rates == pytest.approx([2 / 3, 0, 1 / 3])


def test_entries_of_infos_are_means_over_the_episodes_that_have_them():
    seen = EpisodeStatistics(window=3)
    for info in ({"badges": 100}, {"badges": 1, "map": 7.0}, {}, {"badges": 2}):
        seen.add(episode(0.0, info=info))
    metrics = seen.metrics()
    assert (metrics["info/badges"], metrics["info/map"]) == (1.5, 7.0)


def test_an_odd_number_in_an_info_ends_nothing():
    seen = EpisodeStatistics()
    for value in (math.inf, -math.inf):
        seen.add(episode(0.0, info={"odd": value}))
    assert math.isnan(seen.metrics()["info/odd"])


def test_statistics_continue_from_their_state():
    first, second = EpisodeStatistics(window=4), EpisodeStatistics(window=4)
    for value in range(10):
        first.add(episode(float(value), value, outcome="win", info={"score": value}))
    second.load_state(first.state())
    for one in (first, second):
        one.add(episode(-5.0, outcome="loss"))
    assert first.state() == second.state()
    assert first.metrics() == second.metrics()


def test_a_state_that_knows_neither_outcomes_nor_infos_is_continued():
    seen = EpisodeStatistics(window=4)
    seen.load_state({"returns": [1.0, 2.0], "lengths": [3, 4], "count": 9, "best": 5.0})
    assert "rollout/win_rate" not in seen.metrics()
    seen.add(episode(3.0, 5, outcome="draw", info={"score": 1}))
    assert seen.metrics() == {
        "rollout/ep_rew_mean": 2.0,
        "rollout/ep_len_mean": 4.0,
        "rollout/episodes": 10,
        "rollout/win_rate": 0.0,
        "rollout/loss_rate": 0.0,
        "rollout/draw_rate": 1.0,
        "info/score": 1.0,
    }
