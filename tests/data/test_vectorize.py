"""Every form in which people hold an env is taken, and what cannot work is refused with the way out."""

from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorWrapper

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.vectorize import ResetMode, is_deterministic, make_envs, reset_columns, reset_mode
from hakisa_algos.errors import ConfigError
from tests.helpers.counting import CountingEnv, RandomPolicy, counting_envs


def test_an_id():
    with closing(make_envs("CartPole-v1", 3)) as envs:
        assert isinstance(envs, SyncVectorEnv)
        assert envs.num_envs == 3
        assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED


def test_an_id_with_options():
    with closing(make_envs("MountainCar-v0", 2, {"goal_velocity": 0.5})) as envs:
        assert envs.get_attr("goal_velocity") == (0.5, 0.5)


def test_an_id_of_hakisa_uses_its_vector_env_when_asked_nothing():
    with closing(make_envs("Hakisa/Press-v0", 5, {"num_keys": 4})) as envs:
        assert type(envs).__name__ == "PressVectorEnv"
        assert envs.game.num_keys == 4
        assert reset_mode(envs) is ResetMode.MASKED


def test_options_that_only_the_single_env_takes_fall_back_to_it():
    with closing(make_envs("Hakisa/Pong-v0", 2, {"difficulty": 3, "frame_size": 42})) as envs:
        assert isinstance(envs, SyncVectorEnv)
        assert [env.unwrapped.options.difficulty for env in envs.envs] == [3, 3]


@pytest.mark.parametrize(("vectorization", "kind"), [("sync", SyncVectorEnv), ("async", AsyncVectorEnv)])
def test_the_way_to_vectorize_can_be_chosen(vectorization, kind):
    with closing(make_envs("CartPole-v1", 2, vectorization=vectorization)) as envs:
        assert isinstance(envs, kind)
        assert reset_mode(envs) is ResetMode.MASKED


def test_a_vector_entry_point_that_takes_no_mask_is_used_only_when_asked_for():
    with closing(make_envs("CartPole-v1", 2)) as envs:
        assert isinstance(envs, SyncVectorEnv)
    with closing(make_envs("CartPole-v1", 2, vectorization="vector_entry_point")) as envs:
        assert not isinstance(envs, SyncVectorEnv)
        assert reset_mode(envs) is ResetMode.NEXT_STEP


def test_a_callable():
    with closing(make_envs(CountingEnv, 4)) as envs:
        assert envs.num_envs == 4
        assert len({id(env) for env in envs.envs}) == 4


def test_an_env_object_is_one_column():
    env = CountingEnv()
    envs = make_envs(env)
    assert envs.num_envs == 1
    assert envs.envs[0] is env


def test_a_vector_env_is_taken_as_it_is():
    envs = counting_envs("next_step")
    assert make_envs(envs) is envs
    assert make_envs(envs, 3) is envs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((CountingEnv(), 2), "num_envs=2, but one env object is one column; pass an id or a callable"),
        ((counting_envs(n=3), 2), "num_envs=2, but the vector env has 3; leave num_envs out"),
        ((CountingEnv, 0), "num_envs=0 must be at least 1"),
        ((CountingEnv, 2, {"longest": 3}), r"options \['longest'\] need an env id"),
        ((7,), "env 7 is neither an id, an env, a vector env nor a callable"),
        (("CartPole-v1", 1, None, "asynk"), "vectorization='asynk' is unknown. Did you mean 'async'"),
        (("CartPoll-v1",), "env id 'CartPoll-v1' is not registered.*Did you mean 'CartPole-v1'"),
        (("Hakisa/Pomg-v0",), "Did you mean 'Hakisa/Pong-v0'"),
        (
            ("nowhere_at_all:Thing-v0",),
            r"the module 'nowhere_at_all' cannot be imported \(No module named 'nowhere_at_all'",
        ),
        (("json:Thing-v0",), "env id 'Thing-v0' is not registered; module 'json' does not do it"),
        (("json:CartPol-v1",), "module 'json' does not do it. Did you mean 'CartPole-v1'"),
        ((":CartPole-v1",), "env id ':CartPole-v1' is not whole: it must be Id, or package:Id"),
        (("gymnasium:",), "env id 'gymnasium:' is not whole"),
        (("MountainCar-v0", 1, {"goal_velocty": 1}), "MountainCar-v0 does not take the options {'goal_velocty': 1}"),
        (("Hakisa/Press-v0", 1, {"num_kes": 1}), "no option 'num_kes': did you mean 'num_keys'"),
        (("Hakisa/Press-v0", 1, {"wrong_cost": 7}, "vector_entry_point"), "options {'wrong_cost': 7}: wrong_cost=7"),
        (("Hakisa/ScreenGame-v0",), "cannot be made without options: .*'game'"),
        (("MountainCar-v0", 1, None, "vector_entry_point"), "registers no vector env; use vectorization="),
    ],
)
def test_what_cannot_work_is_refused_with_the_way_out(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_envs(*arguments)


def test_each_autoreset_mode_is_recognised():
    expected = {
        "disabled": ResetMode.MASKED,
        "next_step": ResetMode.MASKED,
        "same_step": ResetMode.SAME_STEP,  # the env resets before anybody could do it with a mask
        "foreign_next_step": ResetMode.NEXT_STEP,
        "foreign_same_step": ResetMode.SAME_STEP,
    }
    assert {form: reset_mode(counting_envs(form)) for form in expected} == expected


def test_a_mode_may_be_declared_by_its_name():
    envs = counting_envs("foreign_same_step")
    envs.metadata = {"autoreset_mode": "SameStep"}
    assert reset_mode(envs) is ResetMode.SAME_STEP


def test_an_env_that_nobody_can_reset_is_refused():
    with pytest.raises(ConfigError, match=r'DISABLED.*declare .*metadata\["masked_reset"\] = True'):
        reset_mode(VectorWrapper(counting_envs("disabled")))


def test_only_the_columns_in_the_mask_are_reset():
    envs = counting_envs("disabled")
    reset_columns(envs, np.ones(3, bool), [1, 2, 3])
    envs.step(np.ones(3, int))
    seen, _ = reset_columns(envs, np.array([False, True, False]), [7, 8, 9])
    assert [env.seeds for env in envs.envs] == [[1], [2, 8], [3]]
    assert seen[:, 2].tolist() == [1.0, 0.0, 1.0]


def test_an_env_says_whether_it_is_deterministic():
    assert is_deterministic(counting_envs())
    doubtful = CountingEnv()
    doubtful.spec = gym.envs.registration.EnvSpec("Doubtful-v0", "nowhere:Env", nondeterministic=True)
    assert not is_deterministic(make_envs(doubtful))


def test_ale_pys_vector_env_as_it_is():
    """Its time-limited columns are reset by mask: no reset row, and each final observation its own episode's."""
    vector_env = pytest.importorskip("ale_py.vector_env")

    def collected():
        envs = vector_env.AtariVectorEnv(
            "pong", 3, img_height=42, img_width=42, noop_max=30, max_num_frames_per_episode=60, reward_clipping=False
        )
        assert reset_mode(make_envs(envs)) is ResetMode.MASKED
        policy = RandomPolicy(envs.single_observation_space)
        buffer = RolloutBuffer(60, 3, policy.observation)
        Collector(envs, policy, buffer, seed=3).collect(Rows(60))
        envs.close()
        return buffer

    buffer, again = collected(), collected()
    rollout = buffer.rollout(60)
    done = rollout.column("terminated") | rollout.column("truncated")
    assert rollout.column("transition").all()
    assert rollout.column("truncated").sum() >= 9
    assert torch.equal(rollout.column("age")[1:] == 0, done[:-1])
    assert all(episode.length < 20 for episode in buffer.episodes())
    # A picture after a reset begins with three black frames; the last of an episode has none.
    final = rollout.final_observations()
    assert final.shape == (int(rollout.column("truncated").sum()), 4, 42, 42)
    assert (final.flatten(2).amax(2) > 0).all()
    seen = rollout.observation(torch.arange(180)).view(60, 3, 4, 42, 42)
    young = rollout.column("age") == 0
    assert (seen[young][:, :3] == 0).all()
    assert torch.equal(seen, again.rollout(60).observation(torch.arange(180)).view_as(seen))


def test_a_callable_must_make_an_env_of_its_own_for_each_column():
    env = gym.make("CartPole-v1")
    with pytest.raises(ConfigError, match="same env object"):
        make_envs(lambda: env, 2)


class Broken(CountingEnv):
    def __init__(self, longest=1, **options):
        super().__init__(longest)
        len(longest)


@pytest.mark.parametrize("options", [{}, {"size": 3}])
def test_an_env_that_is_broken_is_not_blamed_on_its_options(options):
    gym.register("Own/Broken-v0", Broken)
    try:
        with pytest.raises(TypeError, match="has no len"):
            make_envs("Own/Broken-v0", 1, options)
    finally:
        del gym.registry["Own/Broken-v0"]
