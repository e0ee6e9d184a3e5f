"""The user's face: predict, save and load as in SB3; and every mistake gets an answer that helps."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from hakisa_algos.agent import PPO, Agent
from hakisa_algos.errors import ConfigError, RunFolderError
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.training.run_folder import RunFolder
from tests.helpers.counting import CountingEnv, RandomPolicy, counting_envs
from tests.helpers.learning import assert_same

SMALL = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16)


class Own(nn.Module):
    def __init__(self, space, features=8):
        super().__init__()
        self.features = features
        self.layer = nn.Linear(int(np.prod(space.shape)), features)

    def forward(self, observation):
        return torch.relu(self.layer(observation))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A short run on CartPole, in its folder."""
    path = tmp_path_factory.mktemp("agent") / "run"
    agent = PPO("CartPole-v1", SMALL, seed=5).learn(64, run=path)
    return path, agent


@pytest.mark.parametrize(
    ("env", "options", "action_shape"),
    [
        ("CartPole-v1", {}, ()),
        ("Hakisa/Press-v0", {}, (3,)),
        ("Hakisa/Press-v0", {"observation": "pixels", "num_keys": 4, "grid_size": 4}, (3,)),
    ],
    ids=["vector", "conditional", "pixels"],
)
def test_predict_has_sb3s_shapes(env, options, action_shape):
    agent = PPO(env, PPOConfig(num_envs=2, network="small" if len(options) > 1 else "auto"), env_options=options)
    space, actions = agent.envs.single_observation_space, agent.envs.single_action_space
    one = space.sample()
    action, state = agent.predict(one)
    assert np.shape(action) == action_shape
    assert actions.contains(np.asarray(action)[()])
    assert state == {}
    batch = np.stack([space.sample() for _ in range(5)])
    many, _ = agent.predict(batch)
    assert many.shape == (5, *action_shape)
    assert isinstance(many, np.ndarray)
    for row, single in zip(batch, many, strict=True):
        np.testing.assert_array_equal(agent.predict(row)[0], single)


def test_predict_takes_dict_observations_with_and_without_a_batch():
    class Keyed(gym.ObservationWrapper):
        observation_space = spaces.Dict({"a": CountingEnv().observation_space})

        def observation(self, observation):
            return {"a": observation}

    agent = PPO(lambda: Keyed(CountingEnv()), SMALL)
    assert np.shape(agent.predict({"a": np.zeros(4, np.float32)})[0]) == ()
    assert agent.predict({"a": np.zeros((3, 4), np.float32)})[0].shape == (3,)
    with pytest.raises(ValueError, match=r"needs the keys \['a'\]"):
        agent.predict({"b": np.zeros(4)})


def test_predict_draws_unless_deterministic():
    agent = PPO("CartPole-v1", SMALL)
    batch = np.zeros((200, 4), np.float32)
    assert len(set(agent.predict(batch)[0].tolist())) == 1
    assert len(set(agent.predict(batch, deterministic=False)[0].tolist())) == 2


def test_predict_begins_episodes_where_it_is_told():
    agent = PPO(CountingEnv, SMALL)
    agent.learner.policy = RandomPolicy()  # counts its steps since the episode began
    batch = np.zeros((3, 4), np.float32)
    _, state = agent.predict(batch)
    assert state["count"].tolist() == [1, 1, 1]
    _, state = agent.predict(batch, state)
    assert state["count"].tolist() == [2, 2, 2]
    _, state = agent.predict(batch, state, np.array([False, True, False]))
    assert state["count"].tolist() == [3, 1, 3]
    _, state = agent.predict(batch[0])
    assert state["count"].tolist() == [1]


def test_predict_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"shape \(3,\) does not fit: it needs \(4,\)"):
        PPO("CartPole-v1", SMALL).predict(np.zeros(3))


@pytest.mark.parametrize("what", ["run", "checkpoints", "one checkpoint"])
def test_a_run_loads_from_its_folder_its_checkpoints_or_one_of_them(saved, what):
    path, agent = saved
    folder = {"run": path, "checkpoints": path / "checkpoints"}.get(what, path / "checkpoints" / "step_000000064")
    for face in (PPO, Agent):
        loaded = face.load(folder)
        assert loaded.config == agent.config
        assert (loaded.name, loaded.seed) == ("ppo", 5)
        assert_same(loaded.learner.state(), agent.learner.state())
        batch = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
        np.testing.assert_array_equal(loaded.predict(batch)[0], agent.predict(batch)[0])


def test_save_and_load_without_a_run(tmp_path):
    agent = PPO("CartPole-v1", SMALL).learn(64)
    where = agent.save(tmp_path / "mine")
    assert_same(Agent.load(where).learner.state(), agent.learner.state())
    assert_same(Agent.load(tmp_path / "mine").learner.state(), agent.learner.state())


def test_an_agent_that_never_learned_can_be_saved_and_learns_after_loading(tmp_path):
    PPO("CartPole-v1", SMALL, seed=3).save(tmp_path / "new")
    loaded = PPO.load(tmp_path / "new").learn(64)
    assert_same(loaded.learner.state(), PPO("CartPole-v1", SMALL, seed=3).learn(64).learner.state())


def test_a_loaded_agent_can_be_saved_and_loaded_again(saved, tmp_path):
    path, agent = saved
    PPO.load(path).save(tmp_path / "copy")
    assert_same(PPO.load(tmp_path / "copy").learner.state(), agent.learner.state())


def test_a_trained_agent_moves_to_another_env_of_the_same_spaces(saved):
    loaded = PPO.load(saved[0], lambda: gym.make("CartPole-v1", max_episode_steps=10))
    assert loaded.evaluate(4).lengths.max() <= 10


@pytest.mark.parametrize("kind", ["id", "callable", "env", "vector env"])
def test_every_kind_of_env_learns_and_is_evaluated(kind):
    env = {
        "id": "CartPole-v1",
        "callable": CountingEnv,
        "env": CountingEnv(),
        "vector env": counting_envs("same_step"),
    }[kind]
    eval_env = None if kind in ("id", "callable") else CountingEnv()
    agent = PPO(env, SMALL, eval_env=eval_env).learn(64)
    assert agent.config.num_envs == {"env": 1, "vector env": 3}.get(kind, 2)
    assert len(agent.evaluate(4).returns) == 4
    assert len(agent.evaluate(4).returns) == 4


def test_an_eval_env_of_the_users_is_left_open():
    class Once(CountingEnv):
        def close(self):
            raise AssertionError("closed")

    agent = PPO(CountingEnv(), SMALL, eval_env=Once())
    assert agent.evaluate(2).mean == agent.evaluate(2).mean


def test_env_options_are_for_the_env_that_is_an_id():
    agent = PPO("CartPole-v1", SMALL, env_options={"max_episode_steps": 7}, eval_env=gym.make("CartPole-v1"))
    assert agent.evaluate(5).lengths.max() > 7
    assert PPO("CartPole-v1", SMALL, env_options={"max_episode_steps": 7}).evaluate(5).lengths.max() == 7


def test_a_network_of_the_users_own(tmp_path):
    agent = PPO("CartPole-v1", SMALL, network=Own).learn(64, run=tmp_path / "run")
    assert isinstance(agent.policy.trunk, Own)
    with pytest.raises(ConfigError, match="trained with a network of your own; pass it again as network="):
        PPO.load(tmp_path / "run")
    assert_same(PPO.load(tmp_path / "run", network=Own).learner.state(), agent.learner.state())
    with pytest.raises(ConfigError, match=r"the weights in .* do not fit this env or network"):
        PPO.load(tmp_path / "run", network=lambda space: Own(space, 9))


def test_a_run_folder_may_be_named_again_by_its_own_agent_only(tmp_path):
    agent = PPO("CartPole-v1", SMALL).learn(64, run=tmp_path / "run")
    agent.learn(128, run=tmp_path / "run")
    assert agent._trainer.step == 128
    with pytest.raises(RunFolderError, match=r"exists and is not empty.*hakisa resume"):
        PPO("CartPole-v1", SMALL).learn(64, run=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["algorithm"] == "ppo"


def test_a_loaded_agent_goes_on_in_its_own_run_folder(tmp_path):
    PPO("CartPole-v1", SMALL).learn(64, run=tmp_path / "run")
    assert PPO.load(tmp_path / "run").learn(128, run=tmp_path / "run")._trainer.step == 128
    assert RunFolder.open(tmp_path / "run").config["algorithm"] == "ppo"
