"""Rows that are played while a learner works are those of the policy before that work, whatever the work does."""

import threading

import numpy as np
import pytest
import torch
from gymnasium.vector import VectorWrapper

from hakisa_algos.data.collect import Collector, Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.policy.policy import Decision
from hakisa_algos.policy.precision import torch_threads
from tests.data.test_concurrent import Breaking, assert_same
from tests.helpers.counting import CountingEnv, counting_envs
from tests.helpers.grouped import GroupedEnvs, StatelessPolicy

DEADLINE = 600


@pytest.fixture(autouse=True)
def two_threads():
    with torch_threads(2):
        yield
        assert torch.get_num_threads() == 2
    assert not [thread for thread in threading.enumerate() if thread.name == "hakisa collector"]


class Weighted(StatelessPolicy, torch.nn.Module):
    """Its action is what the weight says, or, without one, what it sees."""

    def __init__(self, weight):
        torch.nn.Module.__init__(self)
        StatelessPolicy.__init__(self)
        self.weight = torch.nn.Parameter(torch.tensor(float(weight)), requires_grad=False)

    def act(self, observation, state, explore, generator):
        decision = StatelessPolicy.act(self, observation, state, explore, generator)
        if self.weight < 0:
            return decision
        action = torch.full_like(decision.action, int(self.weight))
        return Decision(action, {"twice": 2 * action}, {})


def collector_on(make=CountingEnv, weight=-1, **options):
    envs = GroupedEnvs((2, 1), make, **options)
    policy = Weighted(weight)
    return Collector(envs, policy, RolloutBuffer(200, envs.num_envs, policy.observation), seed=5)


def test_the_transitions_are_those_of_a_collection_by_itself():
    beside, alone = collector_on(longest=20), collector_on(longest=20)
    for length in (1, 4, 50, 200, 3):
        assert beside.collect(Rows(length), lambda: "learned") == "learned"
        with torch_threads(1):
            alone.collect(Rows(length))
        assert_same(beside, alone, length)


def test_the_policy_before_the_work_plays_however_the_work_changes_it():
    collector = collector_on(weight=0)
    for weight in (1, 2, 0):
        before = int(collector.policy.weight)

        def learn(weight=weight):
            collector.policy.weight.fill_(weight)
            collector.policy.version += 1

        version = collector.policy.version
        collector.collect(Rows(30), learn)
        played = collector.buffer.rollout(30)
        assert (played.column("action") == before).all()
        assert (played.column("policy_version") == version).all()


class Telling(CountingEnv):
    """Says that it was stepped."""

    stepped = threading.Event()

    def step(self, action):
        self.stepped.set()
        return super().step(action)


def test_the_games_go_on_while_the_work_runs_and_the_buffer_waits_for_it():
    collector = collector_on(Telling)
    seen = []

    def learn():
        assert Telling.stepped.wait(DEADLINE)  # by the other thread, or nothing is beside anything
        seen.append((collector.buffer.rows, torch.get_num_threads()))

    collector.collect(Rows(5), learn)
    Telling.stepped.clear()
    collector.collect(Rows(5), learn)
    assert seen == [(0, 1), (5, 1)]
    assert collector.buffer.rows == 10


@pytest.mark.parametrize("make", [lambda: GroupedEnvs((2, 1)), lambda: counting_envs(n=3)], ids=["groups", "plain"])
def test_what_is_played_does_not_depend_on_whether_there_is_a_thread_to_spare(make):
    made = []
    for threads in (3, 2, 1):
        envs, policy = make(), Weighted(0)
        collector = Collector(envs, policy, RolloutBuffer(200, 3, policy.observation), seed=5)
        with torch_threads(threads):
            for weight in (2, -1, 1, -1):
                collector.collect(Rows(25), lambda weight=weight, policy=policy: policy.weight.fill_(weight))
        made.append(collector)
    assert_same(made[0], made[1], 100)
    collector.buffer.finished = made[0].buffer.finished = []
    assert_same(made[0], made[2], 100)


def test_a_game_is_held_once_its_rows_are_played_and_not_stepped_after_that():
    calls = []

    class Live(CountingEnv):
        def pause(self):
            calls.append("pause")
            Live.paused.set()

        def resume(self):
            calls.append("resume")

        def step(self, action):
            calls.append("step")
            return super().step(action)

    Live.paused = threading.Event()
    envs, policy = counting_envs(n=1, make=Live, longest=10**6), Weighted(0)
    collector = Collector(envs, policy, RolloutBuffer(9, 1, policy.observation))
    for _ in range(2):
        Live.paused.clear()
        collector.collect(Rows(2), lambda: Live.paused.wait(DEADLINE))
        assert Live.paused.is_set()
    assert calls == ["step", "step", "pause", "resume", "step", "step", "pause"]


def test_an_error_of_the_work_ends_the_games_and_new_ones_begin():
    collector = collector_on(longest=20)
    collector.collect(Rows(7), lambda: None)

    def fail():
        raise ArithmeticError("not finite")

    with pytest.raises(ArithmeticError, match="not finite"):
        collector.collect(Rows(7), fail)
    assert collector.buffer.rows == 7  # nothing of what nobody learned from
    collector.collect(Rows(5), lambda: None)
    last = collector.buffer.rollout(6)
    assert (last.column("terminated")[0] | last.column("truncated")[0]).all()
    assert last.column("age")[1].tolist() == [0, 0, 0]


def test_an_error_of_a_game_is_raised_after_the_work():
    broken = collector_on(Breaking, longest=20)
    broken.collect(Rows(20), lambda: None)
    broken.envs.envs[2].fails_in = 2
    worked = []
    with pytest.raises(OSError, match="the game is gone"):
        broken.collect(Rows(100), lambda: worked.append(True))
    assert worked == [True]
    assert 20 < broken.buffer.rows <= 30
    broken.collect(Rows(5), lambda: None)
    assert broken.buffer.rollout(5).column("age")[0].tolist() == [0, 0, 0]


class Reusing(VectorWrapper):
    """Writes over what it has returned."""

    row = None

    def step(self, actions):
        *row, infos = self.env.step(actions)
        self.row = self.row or [np.array(entry) for entry in row]
        for own, entry in zip(self.row, row, strict=True):
            own[:] = entry
        return *self.row, infos


def test_rows_are_safe_from_an_env_that_uses_its_arrays_again():
    made = []
    for wrap in (Reusing, VectorWrapper):
        envs, policy = wrap(counting_envs("next_step", longest=20)), Weighted(-1)
        collector = Collector(envs, policy, RolloutBuffer(200, 3, policy.observation), seed=5)
        for _ in range(3):
            collector.collect(Rows(20), lambda: None)
        made.append(collector)
    for name in ("reward", "terminated", "truncated", "action"):
        assert torch.equal(*(collector.buffer.rollout(60).column(name) for collector in made)), name
