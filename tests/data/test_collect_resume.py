"""A collector stopped and loaded elsewhere goes on exactly where it stood, or says that it cannot."""

import logging

import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from tests.helpers.counting import CountingEnv, RandomPolicy, columns_of, counting_envs
from tests.helpers.rows import carry_over


class Doubtful(CountingEnv):
    """Says that the same seed and actions may give another episode."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.spec = EnvSpec("Doubtful-v0", entry_point="nowhere:Env", nondeterministic=True)


class Liar(CountingEnv):
    """Says nothing, and is another one each time it is made."""

    made = 0

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        Liar.made += 1
        self.column = 100 + Liar.made


def collector_on(form="disabled", make=CountingEnv, **options):
    envs = counting_envs(form, make=make, **options)
    policy = RandomPolicy()
    return Collector(envs, policy, RolloutBuffer(40, envs.num_envs, policy.observation), seed=5)


def moved(old, new):
    """``new`` loaded with the state of ``old``, in the order in which the trainer does it."""
    new.buffer.restore(old.buffer.state())
    return new.load_state(old.state())


def rows(collector, length):
    rollout = collector.buffer.rollout(length)
    names = ("action", "reward", "terminated", "truncated", "transition", "memory", "age")
    columns = [rollout.column(name) for name in names]
    return [rollout.observation(torch.arange(len(rollout))), rollout.next_observation(), *columns]


@pytest.mark.parametrize("metadata", [{}, {"episodes_per_seed": 3}], ids=["a seed each", "three per seed"])
@pytest.mark.parametrize("at", [0, 1, 2, 3, 5, 8, 13, 21])
def test_resumed_equals_uninterrupted(at, metadata):
    straight, first, second = (collector_on(metadata=metadata) for _ in range(3))
    for collector in (straight, first):
        collector.collect(Rows(at))
    assert moved(first, second)
    ended = second.buffer.episodes()
    assert ended == []
    straight.buffer.episodes()
    for collector in (straight, second):
        collector.collect(Rows(30))
    for a, b in zip(rows(straight, 30), rows(second, 30), strict=True):
        assert torch.equal(a, b)
    assert straight.buffer.episodes() == second.buffer.episodes()
    assert [env.name for env in columns_of(straight.envs)] == [env.name for env in columns_of(second.envs)]


def test_resumed_twice_equals_uninterrupted():
    straight, first, second, third = (collector_on(longest=20) for _ in range(4))
    straight.collect(Rows(60))
    first.collect(Rows(20))
    assert moved(first, second)
    second.collect(Rows(10))
    assert moved(second, third)
    third.collect(Rows(30))
    for a, b in zip(rows(straight, 30), rows(third, 30), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("form", "make"),
    [
        ("disabled", Doubtful),
        ("disabled", Liar),
        ("foreign_next_step", CountingEnv),
        ("foreign_same_step", CountingEnv),
    ],
    ids=["nondeterministic", "wrongly declared", "NEXT_STEP", "SAME_STEP"],
)
def test_what_cannot_be_replayed_is_closed_as_truncated_with_a_warning(form, make, caplog, tmp_path):
    options = {"longest": 10**6, "ends": ("truncated",)}
    first, second = (collector_on(form, make, **options) for _ in range(2))
    first.collect(Rows(9))
    carry_over(first.buffer, second.buffer, tmp_path, 9)
    with caplog.at_level(logging.WARNING):
        assert not second.load_state(first.state())
    assert "closed as truncated" in caplog.text
    assert "not bit for bit" in caplog.text
    rollout = second.buffer.rollout(9)
    assert rollout.column("truncated")[-1].all()
    assert not rollout.column("truncated")[:-1].any()
    np.testing.assert_array_equal(rollout.final_observations(), first.observation)
    second.collect(Rows(5))
    begun = second.buffer.rollout(5)
    assert begun.column("transition").all()
    assert begun.column("age")[0].tolist() == begun.column("memory")[0].tolist() == [0, 0, 0]
    assert set(begun.observation(torch.arange(3))[:, 1].tolist()).isdisjoint(
        first.buffer.rollout(1).observation(torch.arange(3))[:, 1].tolist()
    )


def test_an_episode_too_long_for_the_log_is_not_replayed(monkeypatch):
    monkeypatch.setattr("hakisa_algos.data.rebuild._LONGEST_REPLAY", 10)
    first, second = (collector_on(longest=10**6, ends=("truncated",)) for _ in range(2))
    first.collect(Rows(11))
    assert first.state()["running"]["actions"] is None
    second.buffer.restore(first.buffer.state())
    assert not second.load_state(first.state())


def test_the_log_of_actions_stays_as_long_as_the_oldest_running_episode():
    collector = collector_on(longest=6)
    for _ in range(20):
        collector.collect(Rows(10))
        assert len(collector.state()["running"]["actions"]) <= 6


def test_a_state_is_a_copy():
    collector = collector_on(longest=20)
    collector.collect(Rows(10))
    state = collector.state()
    kept = {name: value.copy() for name, value in state.items() if isinstance(value, np.ndarray)}
    collector.collect(Rows(25))
    for name, value in kept.items():
        np.testing.assert_array_equal(state[name], value)
