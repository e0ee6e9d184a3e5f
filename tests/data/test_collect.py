"""Whatever the autoreset mode: what the collector stores happened, all of it and nothing else."""

import numpy as np
import pytest
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorWrapper
from gymnasium.wrappers import TimeLimit

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Episodes, Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.stepper import episode_seed
from hakisa_algos.policy.observations import same_observation
from hakisa_algos.policy.q_network import QNetwork
from hakisa_envs.vector import ProcessVectorEnv
from tests.helpers.counting import FORMS, CountingEnv, RandomPolicy, columns_of, counting_envs

ROWS = 60


def collector_on(envs, capacity=ROWS, seed=5, policy=None, explore=True):
    policy = policy or RandomPolicy(envs.single_observation_space)
    buffer = RolloutBuffer(capacity, envs.num_envs, policy.observation)
    collector = Collector(envs, policy, buffer, seed=seed)
    collector._whole.explore = explore
    return collector


def transitions(rollout, env):
    """The valid rows of a column: observation, action, reward, what follows, terminated, truncated."""
    n = rollout.num_envs
    seen = rollout.observation(torch.arange(len(rollout))).numpy().reshape(rollout.length, n, -1)
    following = np.concatenate([seen[1:], rollout.next_observation().numpy()[None]])
    names = ("action", "reward", "terminated", "truncated", "transition")
    action, reward, terminated, truncated, valid = (rollout.column(name).numpy() for name in names)
    if truncated.any():
        following[truncated] = rollout.final_observations().numpy()
    for t in np.flatnonzero(valid[:, env]):
        yield (*(x[t, env] for x in (seen, action, reward, following, terminated, truncated)),)


@pytest.mark.parametrize("form", FORMS)
def test_every_stored_transition_is_real_and_every_real_one_is_stored(form):
    envs = counting_envs(form)
    collector = collector_on(envs)
    collector.collect(Rows(20))
    collector.collect(Rows(ROWS - 20))
    rollout = collector.buffer.rollout(ROWS)
    for column, env in enumerate(columns_of(envs)):
        stored = list(transitions(rollout, column))
        assert len(stored) == len(env.real) > 2 * ROWS / 4
        for got, happened in zip(stored, env.real, strict=True):
            observation, action, reward, following, terminated, truncated = happened
            np.testing.assert_array_equal(got[0], observation)
            assert got[1:3] == (action, reward)
            if not terminated:  # nothing is read beyond a termination
                np.testing.assert_array_equal(got[3], following)
            assert got[4:] == (terminated, truncated and not terminated)
    skipped = int((~rollout.column("transition")).sum())
    assert skipped == getattr(envs, "rows", 0)
    assert (skipped > 0) == (form == "foreign_next_step")


@pytest.mark.parametrize("form", FORMS)
def test_episodes_have_their_own_return_and_length(form):
    envs = counting_envs(form)
    collector = collector_on(envs)
    collector.collect(Rows(ROWS))
    found = [[] for _ in columns_of(envs)]
    for episode in collector.buffer.episodes():
        assert episode.seat == episode.env
        found[episode.env].append((episode.total, episode.length))
    for column, env in enumerate(columns_of(envs)):
        expected, total, length = [], 0.0, 0
        for *_, reward, _, terminated, truncated in env.real:
            total, length = total + reward, length + 1
            if terminated or truncated:
                expected.append((total, length))
                total, length = 0.0, 0
        assert found[column] == expected


@pytest.mark.parametrize("form", FORMS)
def test_begin_is_called_for_exactly_the_columns_whose_episode_begins(form):
    """The policy counts its steps since ``begin``; the env shows how many steps the episode is old."""
    envs = counting_envs(form)
    collector = collector_on(envs)
    collector.collect(Rows(7))
    collector.collect(Rows(ROWS - 7))
    rollout = collector.buffer.rollout(ROWS)
    valid = rollout.column("transition")
    seen = rollout.observation(torch.arange(len(rollout))).view(ROWS, envs.num_envs, -1)
    assert (rollout.column("memory")[valid] == seen[..., 2][valid]).all()
    assert (rollout.column("age")[valid] == seen[..., 2][valid]).all()


@pytest.mark.parametrize("form", ["disabled", "next_step"])
def test_every_episode_has_a_seed_of_its_own_that_comes_again(form):
    def seeds_and_rows():
        envs = counting_envs(form)
        collector = collector_on(envs)
        collector.collect(Rows(ROWS))
        return [env.seeds for env in columns_of(envs)], collector.buffer.rollout(ROWS)

    (seeds, rows), (again, same) = seeds_and_rows(), seeds_and_rows()
    assert seeds == again
    assert torch.equal(rows.observation(torch.arange(len(rows))), same.observation(torch.arange(len(same))))
    for column, mine in enumerate(seeds):
        assert len(mine) > 5
        assert mine == [episode_seed(5, column, k) for k in range(len(mine))]
    assert len({seed for mine in seeds for seed in mine}) == sum(map(len, seeds))


def test_an_env_may_ask_for_fewer_seeds():
    envs = counting_envs("disabled", metadata={"episodes_per_seed": 4})
    collector_on(envs).collect(Rows(ROWS))
    for column, env in enumerate(columns_of(envs)):
        expected = [None if k % 4 else episode_seed(5, column, k) for k in range(len(env.seeds))]
        assert len(expected) > 8
        assert env.seeds == expected


def test_another_run_seed_gives_other_episodes():
    assert len({episode_seed(run, column, k) for run in range(9) for column in range(9) for k in range(9)}) == 9**3


def test_episodes_are_collected_until_so_many_have_ended():
    collector = collector_on(counting_envs(), capacity=10**4)
    collector.collect(Episodes(11))
    last = collector.buffer.rows - 1
    ended = collector.buffer.episodes()
    assert 11 <= len(ended) < 11 + 3
    collector.collect(Episodes(2))
    assert collector.buffer.rows > last + 1
    assert len(collector.buffer.episodes()) >= 2


def test_no_more_than_the_buffer_holds_is_collected():
    collector = collector_on(counting_envs(longest=10**6, ends=("truncated",)), capacity=8)
    collector.collect(Episodes(10**6))
    assert collector.buffer.rows == 8


def test_rows_tell_which_policy_acted():
    policy = RandomPolicy()
    collector = collector_on(counting_envs(), policy=policy)
    for policy.version in (3, 4):
        collector.collect(Rows(2))
    version = collector.buffer.rollout(4).column("policy_version")
    assert version.tolist() == [[3] * 3, [3] * 3, [4] * 3, [4] * 3]


def test_time_is_counted():
    collector = collector_on(counting_envs())
    collector.collect(Rows(5))
    assert collector.nanoseconds["env"] > 0
    assert collector.nanoseconds["act"] > 0


def test_games_are_held_from_one_collection_to_the_next_and_let_go_at_the_end():
    calls = []

    class Live(CountingEnv):
        def pause(self):
            calls.append("pause")

        def resume(self):
            calls.append("resume")

        def step(self, action):
            calls.append("step")
            return super().step(action)

    collector = collector_on(counting_envs(n=1, make=Live, longest=10**6))
    for _ in range(2):
        collector.collect(Rows(2))
    collector.close()
    collector.close()
    assert calls == ["step", "step", "pause", "resume", "step", "step", "pause", "resume"]


def test_methods_of_an_env_that_follows_no_contract_are_its_own_affair():
    class Own(CountingEnv):
        def pause(self):
            raise AssertionError("not for us")

        resume = pause

        def __init__(self, column, **options):
            super().__init__(column, **options)
            self.metadata = {}

    collector = collector_on(counting_envs(n=1, make=Own))
    collector.collect(Rows(2))
    collector.close()
    assert collector.buffer.rows == 2


class Paused(CountingEnv):
    """Shows in place of its column how often it was paused, and resumed as tens."""

    def pause(self):
        self.column += 1

    def resume(self):
        self.column += 10


def process_envs(make=Paused):
    return AsyncVectorEnv([make] * 2, autoreset_mode=AutoresetMode.DISABLED)


HOLDABLE = {
    "sync": lambda: counting_envs(n=2, make=lambda column: Paused()),
    "async": process_envs,
    "process": lambda: ProcessVectorEnv([Paused] * 2),
    "wrapped async": lambda: VectorWrapper(process_envs()),
    "wrapped process": lambda: VectorWrapper(ProcessVectorEnv([Paused] * 2)),
    "wrapped single": lambda: counting_envs(n=2, make=lambda column: TimeLimit(Paused(), 5)),
}


@pytest.mark.parametrize("form", HOLDABLE)
def test_games_are_held_whatever_steps_them(form):
    envs = HOLDABLE[form]()
    try:
        envs.metadata = {**envs.metadata, "masked_reset": True, "hakisa_contract": 1}
        collector = collector_on(envs)
        collector.collect(Rows(1))
        collector.collect(Rows(1))
        collector.close()
        envs.reset()
        assert envs.step(np.zeros(2, int))[0][:, 0].tolist() == [22.0, 22.0]
    finally:
        envs.close()


@pytest.mark.parametrize("make", [lambda: counting_envs("foreign_next_step"), lambda: process_envs(CountingEnv)])
def test_envs_that_cannot_be_held_do_not_notice(make):
    envs = make()
    collector = collector_on(envs)
    collector.collect(Rows(1))
    collector.close()
    assert collector.buffer.rows == 1
    envs.close()


def test_a_dict_observation_arrives_whole_in_each_mode():
    import gymnasium as gym
    from gymnasium import spaces

    class Keyed(gym.ObservationWrapper):
        def __init__(self, column, **options):
            super().__init__(CountingEnv(column, **options))
            box = self.env.observation_space
            self.observation_space = spaces.Dict({"a": box, "b": box})

        def observation(self, observation):
            return {"a": observation, "b": -observation}

    for form in FORMS:
        envs = counting_envs(form, make=Keyed, ends=("truncated",), longest=3)
        collector = collector_on(envs)
        collector.collect(Rows(ROWS))
        rollout = collector.buffer.rollout(ROWS)
        seen = rollout.observation(torch.arange(len(rollout)))
        final = rollout.final_observations()
        assert torch.equal(seen["a"], -seen["b"])
        assert torch.equal(final["a"], -final["b"])
        names = seen["a"].view(ROWS, 3, 4)[..., 1]
        truncated = rollout.column("truncated")
        assert torch.equal(final["a"][:, 1], names[truncated])
        assert same_observation(final, {k: v.clone() for k, v in final.items()})


class Judging(CountingEnv):
    """Says of some of its rows that they are no transitions, of some that they are, and of some nothing."""

    def step(self, action):
        observation, reward, terminated, truncated, _ = super().step(action)
        said = ({}, {"transition": True}, {"transition": False}, {"resetting": True}, {"resetting": False})
        info = said[(self.name + self.count + self.column) % len(said)]
        if info in ({"transition": False}, {"resetting": True}):
            self.real.pop()
        return observation, reward, terminated, truncated, info


@pytest.mark.parametrize("form", FORMS)
def test_rows_that_the_env_calls_no_transitions_are_none(form):
    envs = counting_envs(form, make=Judging, longest=9)
    collector = collector_on(envs)
    collector.collect(Rows(ROWS))
    rollout = collector.buffer.rollout(ROWS)
    for column, env in enumerate(columns_of(envs)):
        stored = list(transitions(rollout, column))
        assert len(stored) == len(env.real) > ROWS / 4
        for got, (observation, action, reward, *_) in zip(stored, env.real, strict=True):
            np.testing.assert_array_equal(got[0], observation)
            assert got[1:3] == (action, reward)
    assert int((~rollout.column("transition")).sum()) > getattr(envs, "rows", 0) + ROWS / 2


def test_infos_without_masks_speak_for_every_column():
    class Plain(VectorWrapper):
        def step(self, actions):
            return *self.env.step(actions)[:4], {"transition": np.array([True, False, True])}

    collector = collector_on(Plain(counting_envs("next_step", ends=("terminated",), longest=10**6)))
    collector.collect(Rows(4))
    assert collector.buffer.rollout(4).column("transition").tolist() == [[True, False, True]] * 4


def test_a_collection_in_bfloat16_acts_with_the_weights_that_the_last_update_left():
    envs = counting_envs(FORMS[0])
    policy = QNetwork(envs.single_observation_space, envs.single_action_space, hidden_sizes=(3,), bf16=True)
    collector = collector_on(envs, policy=policy, explore=False)
    for best in (1, 0, 2):
        with torch.no_grad():  # the network's one layer says which action is the best; heads are never in bfloat16
            policy.trunk.layers[0].weight.zero_()
            policy.trunk.layers[0].bias.copy_(torch.eye(3)[best])
            policy.heads.values.weight.copy_(torch.eye(3))
        collector.collect(Rows(5))
        assert (collector.buffer.rollout(5).column("action") == best).all()
