"""The bound of a run: its arithmetic, and that measuring it changes nothing."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from hakisa_algos import DQN, PPO, DQNConfig, PPOConfig
from hakisa_algos.training.bound import Bound, measure_bound


def test_the_share_adds_up_the_parts():
    bound = Bound(forward=0.001, train=0.01)
    assert bound.share(elapsed=10.0, env=2.0, rows=1000, gradient_steps=500) == pytest.approx((2 + 1 + 5) / 10)


@pytest.mark.parametrize("agent", [PPO, DQN])
@pytest.mark.parametrize(
    "env", ["CartPole-v1", "Hakisa/Press-v0", "Hakisa/Pong-v0"], ids=["vector", "conditional", "pictures"]
)
def test_measuring_changes_neither_weights_nor_generators(agent, env):
    learner = agent(env, seed=3).learner
    policy = learner.policy
    space = policy.observation.space
    seen = torch.from_numpy(np.stack([space.sample() for _ in range(3)]))
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    gradients = [None if w.grad is None else w.grad.clone() for w in policy.parameters()]
    random = torch.get_rng_state()
    bound = measure_bound(learner, seen, 8, repeats=2)
    assert min(bound.forward, bound.train) > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in policy.state_dict().items())
    for weight, gradient in zip(policy.parameters(), gradients, strict=True):
        assert (weight.grad is None and gradient is None) or torch.equal(weight.grad, gradient)
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(
    ("agent", "config"),
    [
        (PPO, PPOConfig(num_envs=2, n_steps=4, minibatch_size=8)),
        (DQN, DQNConfig(num_envs=2, buffer_size=200, learning_starts=20, train_every=8, gradient_steps=2)),
    ],
)
def test_a_run_says_its_share_of_the_bound(agent, config):
    shares = []
    env = gym.make("CartPole-v1")
    agent(env, config).learn(200, callbacks=[lambda _, metrics: shares.append(metrics.get("time/bound_share"))])
    assert shares[:19] == [None] * 19
    assert len(shares) > 20
    assert all(np.isfinite(share) and share > 0 for share in shares[19:])
