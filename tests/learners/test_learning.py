"""They learn: short runs that a broken update cannot pass. How well they learn is the benchmarks' affair."""

from dataclasses import replace

import pytest

from hakisa_algos.agent import A2C, PPO, REINFORCE
from hakisa_algos.learners.ppo_config import A2CConfig, PPOConfig, REINFORCEConfig

CARTPOLE = {
    PPO: (PPOConfig(n_steps=32, epochs=10, gamma=0.98, gae_lambda=0.8, learning_rate=2e-3), 20_000),
    A2C: (A2CConfig(n_steps=8, gae_lambda=0.95, normalize_advantage=True, learning_rate=2e-3), 20_000),
    REINFORCE: (REINFORCEConfig(n_steps=128, gamma=0.95, learning_rate=1e-2), 30_000),
}


@pytest.mark.parametrize("algorithm", CARTPOLE, ids=lambda a: a.algorithm)
def test_each_algorithm_learns_to_balance(algorithm):
    config, steps = CARTPOLE[algorithm]
    agent = algorithm("CartPole-v1", config, seed=1)
    assert agent.evaluate(16, deterministic=False).mean < 40
    agent.learn(steps)
    assert agent.evaluate(32, deterministic=False).mean > 80


PRESS = PPOConfig(n_steps=32, minibatch_size=64, learning_rate=2e-3, gamma=0.0, entropy_coefficient=0.01)


def test_ppo_learns_conditional_actions():
    options = {"num_keys": 3, "grid_size": 2, "episode_length": 8}
    agent = PPO("Hakisa/Press-v0", PRESS, seed=1, env_options=options)
    assert agent.evaluate(50, deterministic=False).mean < 3
    agent.learn(16_000)
    assert agent.evaluate(50).mean >= 0.95 * 8


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_ppo_learns_from_pixels_in_either_precision(precision):
    options = {"num_keys": 2, "grid_size": 2, "episode_length": 8, "observation": "pixels"}
    config = replace(PRESS, learning_rate=1e-3, network="small", precision=precision)
    agent = PPO("Hakisa/Press-v0", config, seed=1, env_options=options, threads=1)
    assert agent.policy.bf16 == (precision == "bf16")
    assert agent.evaluate(50, deterministic=False).mean < 3
    agent.learn(4096)
    assert agent.evaluate(50).mean >= 0.9 * 8
