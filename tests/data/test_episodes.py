"""Rewards and steps are added up per episode, as long as it lasts, and what was interrupted is nobody's result."""

import numpy as np
import pytest

from hakisa_algos.data.episodes import Episode, EpisodeCounter

NO, YES = np.zeros(1, bool), np.ones(1, bool)
ENDED: dict = {0: {}}


def test_totals_are_those_of_the_rows_that_count():
    rng = np.random.default_rng(0)
    counter, found, expected = EpisodeCounter(2), [], []
    total, length = np.zeros(2), np.zeros(2, int)
    for _ in range(300):
        reward, done, counted = rng.normal(size=2), rng.random(2) < 0.05, rng.random(2) < 0.8
        total += np.where(counted, reward, 0)
        length += counted
        told = {int(env): {} for env in np.flatnonzero(done & counted)}
        found += counter.count(reward, counted, None, told)
        counter.begin(done)
        for env in np.flatnonzero(done):
            if counted[env]:
                expected.append(Episode(int(env), int(env), total[env], int(length[env]), total[env]))
            total[env] = length[env] = 0
    assert len(expected) > 10
    assert found == expected


@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_rewards_are_discounted_by_the_steps_that_count(discount):
    counter = EpisodeCounter(1, discount)
    for reward, counted in ((1.0, YES), (100.0, NO), (1.0, YES)):
        counter.count(np.array([reward]), counted, None, {})
    (episode,) = counter.count(np.array([1.0]), YES, None, ENDED)
    assert (episode.total, episode.length) == (3.0, 3)
    assert episode.discounted == 1 + discount + discount**2


def test_an_episode_belongs_to_the_seat_that_played_it_and_keeps_what_was_told_of_it():
    told = {0: {}, 1: {"outcome": "win", "opponent": "rusher", "start": "left", "cut": True, "info": {"hits": 3.0}}}
    every = np.ones(2, bool)
    first, second = EpisodeCounter(2).count(np.array([1.0, 2.0]), every, np.array([40, 7]), told)
    assert (first.env, first.seat, first.total, first.outcome) == (0, 40, 1.0, None)
    assert second == Episode(1, 7, 2.0, 1, 2.0, True, "win", "rusher", "left", {"hits": 3.0})


def test_an_episode_that_ends_with_a_row_that_does_not_count_is_nobodys_and_leaves_nothing_to_the_next():
    counter = EpisodeCounter(1)
    counter.count(np.array([100.0]), YES, None, {})
    assert counter.count(np.array([0.0]), NO, None, {}) == []
    counter.begin(YES)
    assert counter.count(np.array([1.0]), YES, None, ENDED) == [Episode(0, 0, 1.0, 1, 1.0)]


def test_an_episode_that_begins_before_another_has_ended_leaves_nothing_of_that_one():
    counter = EpisodeCounter(2)
    counter.count(np.ones(2), np.ones(2, bool), None, {})
    counter.begin(np.array([True, False]))
    ended = counter.count(np.ones(2), np.ones(2, bool), None, {0: {}, 1: {}})
    assert [episode.length for episode in ended] == [1, 2]


def test_a_loaded_counter_goes_on_like_the_saved_one():
    saved, loaded = EpisodeCounter(1, 0.9), EpisodeCounter(1, 0.9)
    saved.count(np.array([3.0]), YES, None, {})
    loaded.load_state(saved.state())
    ends = [counter.count(np.array([5.0]), YES, None, ENDED) for counter in (saved, loaded)]
    assert ends[0] == ends[1] == [Episode(0, 0, 8.0, 2, 3.0 + 0.9 * 5.0)]
