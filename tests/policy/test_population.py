"""Who sits where, for how long, and with which seeds."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Games
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.policy.greedy import GreedyPolicy
from hakisa_algos.policy.policy import Seated
from hakisa_algos.policy.population import Population
from tests.helpers.counting import columns_of, counting_envs

SPACE = spaces.Box(-np.inf, np.inf, (4,), np.float32)


def played(players, *, n=3, steps=None, ends=("terminated", "truncated"), longest=6):
    """Plays on ``n`` counting envs, episode e of game g with seed 100 g + e; the episodes, the rows, the envs."""
    network = GreedyPolicy(SPACE, spaces.Discrete(3), hidden_sizes=())
    size = sum(parameter.numel() for parameter in network.parameters())

    def weights(individual):
        # Whatever it sees, individual i chooses action i % 3.
        chosen = np.zeros(size, np.float32)
        chosen[12 + individual % 3] = 1
        return chosen

    population = Population(network, players, weights, lambda game, episode: 100 * game + episode, steps)
    assert isinstance(population, Seated)
    envs = counting_envs(n=n, ends=ends, longest=longest)
    buffer = RolloutBuffer(1, n, population.observation, keep_observations=False)
    Collector(envs, population, buffer, discount=0.5).collect(Games())
    return buffer.episodes(), buffer.rows, columns_of(envs)


@pytest.mark.parametrize("n", [1, 3, 20])
def test_every_game_is_played_once_by_its_player_on_its_seed(n):
    players = [5, 5, 1, 0, 2, 2, 7]
    episodes, rows, columns = played(players, n=n)
    assert sorted(episode.seat for episode in episodes) == list(range(7))
    by_seat = {episode.seat: episode for episode in episodes}
    asked = [seed for column in columns for seed in column.seeds if seed is not None]
    assert sorted(asked) == [100 * game for game in range(7)]
    alone, _, _ = played(players, n=1)
    for episode in alone:
        assert (by_seat[episode.seat].total, by_seat[episode.seat].length) == (episode.total, episode.length)
    assert rows >= -(-sum(episode.length for episode in episodes) // n)
    for column in columns:
        real = [row for row in column.real if row[1] in (0, 1, 2)]
        assert len(real) == rows


@pytest.mark.parametrize("n", [3, 20])  # with 20, most seats are empty
def test_the_action_is_that_of_the_individual_in_the_seat(n):
    players = [2, 0, 1, 2, 1, 0, 0, 1]
    _, _, columns = played(players, n=n)
    for column in columns:
        games = [seed // 100 for seed in column.seeds if seed is not None]
        sums = [int(after[3]) for _, _, _, after, terminated, truncated in column.real if terminated or truncated]
        lengths = [int(after[2]) for _, _, _, after, terminated, truncated in column.real if terminated or truncated]
        for game, total, length in zip(games, sums, lengths, strict=False):
            assert total == players[game] * length


def test_the_next_takes_the_seat_that_becomes_free_first():
    episodes, rows, _ = played(range(30), n=3)
    busy = sum(episode.length for episode in episodes)
    assert busy <= 3 * rows <= busy + 2 * 6  # only at the end are there idle seats, two of them, six steps at most


def test_games_of_counted_steps_go_over_episodes_and_end_with_the_last_step():
    episodes, rows, columns = played([0, 1, 2, 0, 1], n=2, steps=25)
    for game in range(5):
        lengths = [episode.length for episode in episodes if episode.seat == game]
        assert sum(lengths) == 25
        assert len(lengths) > 2
    assert rows == 75  # three rounds on two columns
    asked = [seed for column in columns for seed in column.seeds if seed is not None]
    for game in range(5):
        own = [seed for seed in asked if seed // 100 == game]
        assert own == [100 * game + episode for episode in range(len(own))]


def test_an_endless_episode_is_ended_by_the_steps():
    episodes, rows, _ = played([0, 1], n=1, steps=7, longest=10**6)
    assert [(episode.seat, episode.length) for episode in episodes] == [(0, 7), (1, 7)]
    assert rows == 14


def test_returns_are_discounted_in_each_episode():
    episodes, _, columns = played([0, 1, 2], n=1)
    rewards = [[]]
    for _, _, reward, _, terminated, truncated in columns[0].real:
        rewards[-1].append(reward)
        if terminated or truncated:
            rewards.append([])
    for episode, own in zip(episodes, rewards, strict=False):
        assert episode.discounted == pytest.approx(sum(r * 0.5**t for t, r in enumerate(own)))
        assert episode.total == pytest.approx(sum(own))


def test_the_state_is_not_changed_in_place():
    network = GreedyPolicy(SPACE, spaces.Discrete(3), hidden_sizes=())
    population = Population(network, [0, 1], lambda i: np.zeros(15, np.float32), lambda game, episode: 0, steps=3)
    before = population.initial_state(2)
    copy = before["seats"].clone()
    begun = population.begin(torch.tensor([True, True]), before)
    counted, spent = population.count(begun, np.array([True, False]))
    assert torch.equal(before["seats"], copy)
    assert population.games(begun).tolist() == [0, 1]
    assert not spent.any()
    assert not torch.equal(begun["seats"], counted["seats"])
