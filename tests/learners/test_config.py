"""Hyperparameters of the wrong type or out of range are refused by name, whichever algorithm's they are."""

import math

import numpy as np
import pytest

from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.dqn import DQNConfig
from hakisa_algos.learners.ppo_config import A2CConfig, PPOConfig, REINFORCEConfig
from hakisa_algos.learners.pqn import PQNConfig

ALL = (PPOConfig, A2CConfig, REINFORCEConfig, DQNConfig, PQNConfig)


@pytest.mark.parametrize("config_class", ALL)
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"num_envs": 2.0}, r"num_envs=2\.0 must be a whole number"),
        ({"num_envs": True}, "num_envs=True must be a whole number"),
        ({"total_steps": "many"}, "total_steps='many' must be a whole number"),
        ({"num_envs": None}, "num_envs=None must be a whole number"),
        ({"learning_rate": math.inf}, "learning_rate=inf must be a finite number"),
        ({"gamma": math.nan}, "gamma=nan must be a finite number"),
        ({"gamma": False}, "gamma=False must be a finite number"),
        ({"reward_clip": "1"}, "reward_clip='1' must be a finite number"),
        ({"reward_clip": -1.0}, r"reward_clip=-1\.0 must be greater than 0, or None to do without"),
        ({"hidden_sizes": (64, 0)}, r"hidden_sizes=\(64, 0\) must be greater than 0"),
        ({"hidden_sizes": (64, 2.5)}, r"hidden_sizes=\(64, 2\.5\) must be whole numbers"),
        ({"hidden_sizes": 64}, "hidden_sizes=64 must be whole numbers"),
        ({"network": None}, "network=None must be text"),
        ({"precision": "fp23"}, r"precision='fp23' is unknown\. Did you mean 'fp32'"),
        ({"precision": 16}, r"precision=16 is unknown\."),
        ({"learning_rate_schedule": "cosin"}, r"learning_rate_schedule='cosin' is unknown\. Did you mean 'cosine'"),
    ],
)
def test_of_every_algorithm(config_class, option, message):
    with pytest.raises(ConfigError, match=message):
        config_class(**option)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"entropy_coefficient": -0.01}, r"entropy_coefficient=-0\.01 must not be negative"),
        ({"value_coefficient": -0.5}, r"value_coefficient=-0\.5 must not be negative"),
        ({"normalize_advantage": 1}, "normalize_advantage=1 must be True or False"),
    ],
)
def test_of_ppo(option, message):
    with pytest.raises(ConfigError, match=message):
        PPOConfig(**option)


@pytest.mark.parametrize("config_class", ALL)
def test_what_people_write_is_taken(config_class):
    config = config_class(learning_rate=1, gamma=np.float64(0.5), hidden_sizes=[8, 8], reward_clip=None)
    assert (config.learning_rate, config.gamma, config.reward_clip) == (1, 0.5, None)
