"""Options of envs that are objects: what a run folder and a checkpoint hold of them makes the same env again."""

import json
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from hakisa_algos import PPO, Agent
from hakisa_algos.comparison.plan import Protocol
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.stages.consolidate import Consolidation
from hakisa_algos.stages.report import Asked
from hakisa_algos.stages.study import Study
from hakisa_algos.training.checkpoint import load_checkpoint

CONFIG = PPOConfig(num_envs=2, n_steps=8, minibatch_size=16, total_steps=64)
PLAIN = {"pays": [1.0, [2.0]], "folder": "x/y"}


@dataclass(frozen=True)
class Silent:
    """Files cannot hold it."""

    pays: tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Prices(Silent):
    """Files hold what it gives."""

    folder: Path

    def as_option(self):
        return {"pays": self.pays, "folder": self.folder}


class Shop(gym.Env):
    """Pays what its prices say."""

    observation_space = spaces.Box(0, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, prices, scale=1.0):
        if isinstance(prices, dict):
            low, (high,) = prices["pays"]
            prices = Prices((low, (high,)), Path(prices["folder"]))
        self.prices, self.scale = prices, scale

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        low, high = self.prices.pays
        observation = self.np_random.random(1, np.float32)
        return observation, self.scale * (high[0] if action else low), observation[0] > 0.9, False, {}


@pytest.fixture(autouse=True)
def registered():
    gym.register("Own/Shop-v0", Shop)
    yield
    del gym.registry["Own/Shop-v0"]


def agent(**options):
    return PPO("Own/Shop-v0", CONFIG, seed=3, env_options={"prices": Prices((1.0, (2.0,)), Path("x/y")), **options})


def weights(trained):
    return [tensor.numpy() for tensor in trained.policy.state_dict().values()]


def test_a_run_goes_on_with_the_same_prices(tmp_path):
    straight = agent().learn(run=tmp_path / "straight")
    agent().learn(run=tmp_path / "halves", callbacks=[lambda trainer, metrics: trainer.step < 32])
    assert json.loads((tmp_path / "halves" / "config.json").read_text())["env_options"] == {"prices": PLAIN}
    stored = load_checkpoint(tmp_path / "halves" / "checkpoints").state["identity"]
    assert stored["env_options"] == {"prices": PLAIN}
    again = Agent.load(tmp_path / "halves")
    assert again.envs.envs[0].unwrapped.prices == Prices((1.0, (2.0,)), Path("x/y"))
    again.learn()
    assert again.run_folder.config["changes"] == []
    for one, other in zip(weights(straight), weights(again), strict=True):
        assert (one == other).all()


def test_numbers_of_numpy_are_plain_too(tmp_path):
    trained = agent(scale=np.float32(0.5)).learn(16, run=tmp_path / "a")
    assert trained.identity()["env_options"]["scale"] == 0.5
    assert Agent.load(tmp_path / "a").envs.envs[0].unwrapped.scale == 0.5


def test_what_no_file_can_hold_is_refused_before_a_run_is_made(tmp_path):
    alone = PPO("Own/Shop-v0", CONFIG, env_options={"prices": Silent((1.0, (2.0,)))}).learn(16)
    with pytest.raises(ConfigError, match=r"env_options\.prices is Silent\(pays=.*as_option\(\)"):
        alone.learn(run=tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "made",
    [
        lambda options: Protocol(env_options=options),
        lambda options: Study((), env_options=options),
        lambda options: Consolidation("a", (), env_options=options),
        lambda options: Asked(env_options=options),
    ],
)
def test_what_else_stands_in_files_holds_the_same(made):
    assert made({"prices": Prices((1.0, (2.0,)), Path("x/y"))}).env_options == {"prices": PLAIN}
