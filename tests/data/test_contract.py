"""Every word of the contract, in envs of somebody else's: honoured where they say that they follow it, else not."""

import os
import signal
import time

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation, NormalizeReward, TimeLimit

import hakisa_algos.data.contract as ours
import hakisa_envs.contract as theirs
from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.vectorize import make_envs
from hakisa_envs.vector import ProcessVectorEnv
from tests.helpers.counting import FORMS, CountingEnv, RandomPolicy, columns_of, counting_envs

FOLLOWS = {"hakisa_contract": 1}


def test_both_packages_use_the_same_words():
    words = {name for name in vars(theirs) if name.isupper()} - {"METADATA", "INFOS"}  # which only envs need
    assert len(words) > 15
    for name in words:
        assert getattr(ours, name) == getattr(theirs, name), name


def collector_on(envs, capacity=60, info_keys=(), **options):
    policy = RandomPolicy(envs.single_observation_space)
    buffer = RolloutBuffer(capacity, envs.num_envs, policy.observation)
    collector = Collector(envs, policy, buffer, seed=5, **options)
    collector.info_keys = info_keys
    return collector


class Script(gym.Env):
    """Says what ``infos`` says at each step; rewards are 1, 2, 4, ...; an episode ends after them."""

    def __init__(self, infos, metadata=FOLLOWS):
        self.observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.action_space = spaces.Discrete(3)
        self.metadata = dict(metadata)
        self.infos = infos

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        info = self.infos[self.t]
        self.t += 1
        return np.full(1, self.t, np.float32), 2.0 ** (self.t - 1), self.t == len(self.infos), False, info


def played(infos, metadata=FOLLOWS, **options):
    collector = collector_on(make_envs(Script(infos, metadata)), **options)
    collector.collect(Rows(len(infos)))
    rollout = collector.buffer.rollout(len(infos))
    columns = [rollout.column(name)[:, 0].tolist() for name in ("transition", "learned")]
    return *columns, collector.buffer.episodes()


def test_three_questions_about_a_row_have_an_answer_each():
    transition, learned, (episode,) = played(
        [{}, {"transition": False}, {"transition": False, "counted": True}, {"learned": False}, {"counted": False}, {},
         {"transition": False, "learned": True}, {}]
    )  # fmt: skip
    assert transition == [True, False, False, True, True, True, False, True]
    assert learned == [
        True,
        False,
        False,
        False,
        True,
        True,
        False,
        True,
    ]  # nobody can learn from what is no transition
    assert (episode.total, episode.length) == (1 + 4 + 8 + 32 + 128, 5)


def test_a_row_of_a_reset_is_nothing():
    transition, learned, (episode,) = played([{"resetting": True}, {}, {}])
    assert transition == learned == [False, True, True]
    assert (episode.total, episode.length) == (6.0, 2)


@pytest.mark.parametrize("metadata", [{}, {"hakisa_contract": 0}, {"hakisa_contract": 2}, {"hakisa_contract": "yes"}])
def test_the_infos_of_an_env_that_does_not_follow_it_are_its_own(metadata):
    said = {"transition": False, "resetting": True, "learned": False, "counted": False, "began": True, "outcome": "win"}
    transition, learned, (episode,) = played([said] * 4, metadata)
    assert transition == learned == [True] * 4
    assert (episode.total, episode.length, episode.outcome) == (15.0, 4, None)


@pytest.mark.parametrize("form", FORMS)
def test_outcome_opponent_and_start_belong_to_the_episode_in_whose_last_row_they_are_said(form):
    class Duel(CountingEnv):
        def step(self, action):
            *row, _ = super().step(action)
            name = self.name % 3
            over = row[2] or row[3]
            said = {"outcome": ("win", "loss", "draw")[name], "opponent": f"no. {name}", "start": "left", "hits": name}
            return *row, (said if over else {"outcome": "win", "hits": -1})

    envs = counting_envs(form, make=Duel)
    collector = collector_on(envs, info_keys=("hits", "unknown"))
    collector.collect(Rows(60))
    episodes = collector.buffer.episodes()
    assert len(episodes) > 20
    for episode in episodes:
        number = int(episode.info["hits"])
        assert episode.outcome == ("win", "loss", "draw")[number]
        assert (episode.opponent, episode.start) == (f"no. {number}", "left")
        assert dict(episode.info) == {"hits": number}
    assert len({episode.outcome for episode in episodes}) == 3


def test_chosen_infos_are_those_of_any_env():
    _, _, (episode,) = played([{}, {"score": np.float32(3.5), "name": "x"}], metadata={}, info_keys=("score", "name"))
    assert dict(episode.info) == {"score": 3.5}


class Stateful(CountingEnv):
    """Offers its state; ``resets`` counts how it came to be where it is."""

    metadata: dict

    def get_state(self):
        return {
            "name": self.name,
            "length": self.length,
            "end": str(self.end),
            "count": self.count,
            "total": self.total,
        }

    def set_state(self, state):
        for name, value in state.items():
            setattr(self, name, value)


def stateful_envs(form, limit=None):
    def make(column):
        env = Stateful(column, longest=50)
        return env if limit is None else TimeLimit(env, limit)

    if form == "process":
        return ProcessVectorEnv([lambda i=i: make(i) for i in range(3)])
    return counting_envs("disabled", make=lambda column: make(column))


@pytest.mark.parametrize("form", ["sync", "process"])
@pytest.mark.parametrize("limit", [None, 7])
def test_resumed_from_the_states_of_the_envs_equals_uninterrupted(form, limit):
    made = [stateful_envs(form, limit) for _ in range(3)]
    straight, first, second = (collector_on(envs) for envs in made)
    try:
        for collector in (straight, first):
            collector.collect(Rows(13))
        state = first.state()
        assert state["running"]["envs"] is not None
        assert state["running"]["actions"] is None
        second.buffer.restore(first.buffer.state(), None)
        assert second.load_state(state)
        straight.buffer.episodes()
        for collector in (straight, second):
            collector.collect(Rows(40))
        a, b = straight.buffer.rollout(40), second.buffer.rollout(40)
        for name in ("action", "reward", "terminated", "truncated", "age", "memory"):
            assert torch.equal(a.column(name), b.column(name)), name
        assert torch.equal(a.observations(), b.observations())
        assert straight.buffer.episodes() == second.buffer.episodes()
        if form == "sync":
            assert [len(env.unwrapped.real) for env in columns_of(second.envs)] == [40] * 3  # nothing was played again
    finally:
        for envs in made:
            envs.close()


class Living(CountingEnv):
    """A long game in a process of its own; says which."""

    def __init__(self, column):
        super().__init__(column, longest=10**6, metadata={"real_time": True, "hakisa_contract": 1})

    def pid(self):
        return os.getpid()

    def pause(self):
        pass

    def resume(self):
        pass


@pytest.mark.parametrize("when", ["while it is played", "while it is held"])
def test_a_column_whose_process_died_begins_anew_for_everybody(when):
    envs = ProcessVectorEnv([lambda i=i: Living(i) for i in range(2)])
    collector = collector_on(envs, capacity=40_000)
    try:
        collector.collect(Rows(10))
        if when == "while it is played":
            collector.close()  # lets it go on
        pid = envs.call("pid")[1]
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 600
        for over in (False, True):  # until rows are missing, and until there are rows again
            while collector.buffer.rollout(5).column("transition").all().item() is not over:
                assert time.monotonic() < deadline
                collector.collect(Rows(5))
                time.sleep(0.01)  # not thousands of rows before it has begun
    finally:
        envs.close()
    rows = collector.buffer.rows
    rollout = collector.buffer.rollout(rows)
    transition, memory, age = (rollout.column(name)[:, 1].numpy() for name in ("transition", "memory", "age"))
    seen = rollout.observations().numpy().reshape(rows, 2, 4)[:, 1]
    assert not transition.all()
    # The env shows how old its episode is; the policy counts its steps since it was told of it, the buffer for stacks.
    np.testing.assert_array_equal(memory[transition], seen[transition, 2])
    np.testing.assert_array_equal(age[transition], seen[transition, 2])
    assert rollout.column("transition")[:, 0].all()
    names = seen[transition, 1]
    assert len(set(names.tolist())) == 2
    assert collector.buffer.episodes() == []  # neither has ended, and they are not added up
    assert collector._counter.state()["length"][1] == age[-1] + 1


def test_envs_are_lent_with_their_episodes_closed_and_begin_anew_after_that():
    envs = counting_envs(longest=10**6, ends=("truncated",))
    collector = collector_on(envs)
    collector.collect(Rows(5))
    with collector.lend() as lent:
        assert lent is envs
        lent.reset(seed=1)
        lent.step(np.zeros(3, int))
    collector.collect(Rows(4))
    rollout = collector.buffer.rollout(9)
    assert rollout.column("truncated").tolist() == [[False] * 3] * 4 + [[True] * 3] + [[False] * 3] * 4
    assert rollout.column("age")[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert all(len(set(env.seeds)) == len(env.seeds) == 3 for env in columns_of(envs))


@pytest.mark.parametrize("form", FORMS)
def test_an_episode_is_cut_at_the_limit_and_says_so(form):
    envs = counting_envs(form, longest=40)
    collector = collector_on(envs, episode_limit=9)
    collector.collect(Rows(60))
    episodes = collector.buffer.episodes()
    assert {episode.length == 9 for episode in episodes if episode.cut} == {True}
    assert max(episode.length for episode in episodes) == 9
    assert any(episode.cut for episode in episodes)
    if form in ("disabled", "next_step"):  # whose columns can be reset one by one
        rollout = collector.buffer.rollout(60)
        seen = rollout.observations().view(60, 3, 4)
        assert (seen[..., 2] < 9).all()
        assert (rollout.column("age") == seen[..., 2])[rollout.column("transition")].all()


def test_a_run_with_another_number_of_columns_plays_no_episode_twice():
    first, second = collector_on(counting_envs(n=3)), collector_on(counting_envs(n=2))
    first.collect(Rows(30))
    assert not second.load_state(first.state())
    second.collect(Rows(30))
    before = {seed for env in columns_of(first.envs) for seed in env.seeds}
    after = {seed for env in columns_of(second.envs) for seed in env.seeds}
    assert before.isdisjoint(after)


def test_a_row_that_shows_a_new_episode_is_no_transition_whatever_else_is_said():
    transition, learned, (episode,) = played([{}, {"began": True}, {}, {}])
    assert transition == learned == [True, False, True, True]
    assert (episode.total, episode.length) == (4 + 8, 2)  # of the episode that began


def test_an_outcome_that_is_none_of_the_three_is_none():
    _, _, (episode,) = played([{"outcome": "won"}])
    assert episode.outcome is None


@pytest.mark.parametrize("wrap", [lambda env: FrameStackObservation(env, 3), lambda env: NormalizeReward(env)])
def test_a_wrapper_that_may_have_a_state_of_its_own_is_not_passed_over(wrap):
    envs = [counting_envs(make=lambda column: wrap(Stateful(column, longest=50))) for _ in range(2)]
    first, second = (collector_on(each) for each in envs)
    first.collect(Rows(13))
    state = first.state()["running"]
    assert state["envs"] is None
    assert state["actions"] is not None  # they are played again instead
    assert second.buffer.restore(first.buffer.state()) is None
    assert second.load_state(first.state())
    np.testing.assert_array_equal(second.observation, first.observation)
