"""Threads that act and step for some columns each collect what one thread does, and stop together."""

import threading

import pytest
import torch
from gymnasium.vector import VectorWrapper

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Episodes, Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.policy.policy import Decision
from hakisa_algos.policy.precision import torch_threads
from hakisa_envs.atari import make_pong_vec
from tests.helpers.counting import CountingEnv, columns_of
from tests.helpers.grouped import GroupedEnvs, StatelessPolicy
from tests.helpers.learning import assert_same as assert_same_state

NAMES = ("action", "reward", "terminated", "truncated", "transition", "age", "twice")


@pytest.fixture(autouse=True)
def two_threads():
    with torch_threads(2):
        yield
    assert not [thread for thread in threading.enumerate() if thread.name == "hakisa collector"]


def collector_on(sizes=(2, 1), make=CountingEnv, random=False, capacity=200, **options):
    envs = GroupedEnvs(sizes, make, **options)
    policy = StatelessPolicy(random=random)
    return Collector(envs, policy, RolloutBuffer(capacity, envs.num_envs, policy.observation), seed=5)


def rows(collector, length):
    rollout = collector.buffer.rollout(length)
    final = rollout.final_observations()
    columns = [rollout.column(name) for name in NAMES]
    seen = [rollout.observation(torch.arange(len(rollout))), rollout.next_observation()]
    return [*seen, *columns, torch.zeros(0) if final is None else final]


def assert_same(first, second, length):
    for a, b in zip(rows(first, length), rows(second, length), strict=True):
        assert torch.equal(a, b)
    assert first.buffer.episodes() == second.buffer.episodes()
    states = [{k: v for k, v in collector.state().items() if k != "generator"} for collector in (first, second)]
    assert_same_state(*states)


@pytest.mark.parametrize("metadata", [{}, {"episodes_per_seed": 3}], ids=["a seed each", "three per seed"])
@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (4, 4), (1, 2, 3)])
def test_the_transitions_are_those_of_one_thread(sizes, metadata):
    several, one = (collector_on(sizes, metadata=metadata) for _ in range(2))
    for length in (8, 200, 1, 37, 7, 150, 200, 200, 200):
        several.collect(Rows(length))
        with torch_threads(1):
            one.collect(Rows(length))
        assert_same(several, one, length)
    for a, b in zip(columns_of(several.envs), columns_of(one.envs), strict=True):
        assert a.seeds == b.seeds
        assert len(a.real) == len(b.real) == several.buffer.rows
        assert [transition[1:3] for transition in a.real] == [transition[1:3] for transition in b.real]


def test_each_group_has_a_thread_and_torch_one_in_it():
    collector = collector_on((2, 1, 1))
    collector.collect(Rows(20))
    idents, torchs = zip(*collector.policy.threads, strict=True)
    assert len(set(idents)) == 3
    assert set(torchs) == {1}
    assert torch.get_num_threads() == 2
    assert collector.nanoseconds["env"] > 0
    assert collector.nanoseconds["act"] > 0


@pytest.mark.parametrize("need", [Rows(7), Episodes(40)])
def test_few_rows_and_episodes_are_played_by_one_thread(need):
    collector = collector_on()
    collector.collect(need)
    assert {ident for ident, _ in collector.policy.threads} == {threading.get_ident()}
    assert isinstance(need, Rows) or len(collector.buffer.finished) >= 40


class Forwarding(VectorWrapper):
    """Hands on what it does not have."""

    def __getattr__(self, name):
        return getattr(self.env, name)


def threads_of(envs, policy):
    Collector(envs, policy, RolloutBuffer(9, envs.num_envs, policy.observation)).collect(Rows(9))
    return len({ident for ident, _ in policy.threads})


def test_what_cannot_be_shared_out_is_played_by_one_thread():
    grouped = GroupedEnvs((2, 1))
    assert threads_of(grouped, StatelessPolicy()) == 2
    assert threads_of(GroupedEnvs((3,)), StatelessPolicy()) == 1
    assert threads_of(GroupedEnvs((2, 1), metadata={"real_time": True}), StatelessPolicy()) == 1
    wrapped = Forwarding(grouped)
    assert wrapped.groups == grouped.groups  # past whatever the wrapper does
    assert threads_of(wrapped, StatelessPolicy()) == 1


class Remembering(StatelessPolicy):
    """Carries from step to step what it has seen of the episode, and acts by it."""

    def act(self, observation, state, explore, generator):
        seen = state["seen"] * 3 % 1009 + observation[:, 3].long()
        decision = super().act(observation + seen[:, None], state, explore, generator)
        return Decision(decision.action, {"twice": 2 * decision.action}, {"seen": seen})

    def initial_state(self, n):
        return {"seen": torch.full((n,), 7)}

    def begin(self, mask, state):
        return {"seen": torch.where(mask, 0, state["seen"])}


def test_a_policy_with_a_state_carries_it_in_each_thread():
    made = []
    for threads in (2, 1):
        envs, policy = GroupedEnvs((2, 1)), Remembering()
        collector = Collector(envs, policy, RolloutBuffer(200, 3, policy.observation), seed=5)
        with torch_threads(threads):
            for length in (8, 37, 5, 100):
                collector.collect(Rows(length))
        made.append(collector)
    assert_same(*made, 100)


@pytest.mark.parametrize("at", [8, 9, 40, 61])
def test_resumed_equals_uninterrupted(at):
    straight, first, second = (collector_on(random=True, longest=20) for _ in range(3))
    for collector in (straight, first):
        collector.collect(Rows(at))
    second.buffer.restore(first.buffer.state())
    assert second.load_state(first.state())
    straight.buffer.episodes()
    for collector in (straight, second):
        collector.collect(Rows(30))
    assert_same(straight, second, 30)
    assert len(set(rows(straight, 30)[2].flatten().tolist())) == 3


class Breaking(CountingEnv):
    """Fails once, in the column and at the step that are told."""

    fails_in, fails_at = None, 30

    def step(self, action):
        if self.column == self.fails_in and len(self.real) == self.fails_at:
            self.fails_in = None
            raise OSError("the game is gone")
        return super().step(action)


@pytest.mark.parametrize("column", [0, 2])
def test_an_error_in_any_thread_is_raised_and_what_is_in_the_buffer_can_be_resumed(column):
    broken = collector_on(make=Breaking, longest=20)
    broken.collect(Rows(20))
    broken.envs.envs[column].fails_in = column
    with pytest.raises(OSError, match="the game is gone"):
        broken.collect(Rows(100))
    assert torch.get_num_threads() == 2
    written = broken.buffer.rows
    assert 20 < written <= 30
    whole, resumed = (collector_on(longest=20) for _ in range(2))
    whole.collect(Rows(written))
    resumed.buffer.restore(broken.buffer.state())
    assert resumed.load_state(broken.state())
    assert broken.buffer.episodes() == whole.buffer.episodes()
    for collector in (whole, resumed):
        collector.collect(Rows(50))
    assert_same(whole, resumed, 50)

    last = broken.buffer.rollout(1)
    running = ~(last.column("terminated") | last.column("truncated"))
    assert running.any()
    broken.collect(Rows(100))
    assert broken.buffer.rollout(101).column("truncated")[:1][running].all()
    assert broken.buffer.rollout(100).column("age")[0].tolist() == [0, 0, 0]
    assert broken.state()["running"]["actions"] is not None


@pytest.mark.parametrize("num_envs", [2, 3])
def test_pong_is_the_same_from_one_thread_and_from_two(num_envs):
    options = {"frame_size": 16, "frame_stack": 2, "frame_skip": 16, "max_episode_steps": 45, "num_threads": 2}
    made = []
    for threads in (2, 1):
        envs = make_pong_vec(num_envs, **options)
        policy = StatelessPolicy(envs.single_observation_space, choices=6)
        collector = Collector(envs, policy, RolloutBuffer(128, num_envs, policy.observation), seed=3)
        with torch_threads(threads):
            for _ in range(5):
                collector.collect(Rows(128))
        made.append(collector)
    assert_same(*made, 128)
    assert len({ident for ident, _ in made[0].policy.threads}) > 1
    assert len({ident for ident, _ in made[1].policy.threads}) == 1
