"""What PPO, A2C and REINFORCE learn towards: bootstraps, losses and gradients against values worked out by hand."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.ppo import (
    A2CLearner,
    PPOLearner,
    REINFORCELearner,
    clipped_policy_loss,
    explained_variance,
    normalized,
    squared_value_loss,
)
from hakisa_algos.learners.ppo_config import PPOConfig, REINFORCEConfig
from tests.helpers.counting import FORMS, CountingEnv, counting_envs
from tests.helpers.learning import make_loop


class Payday(CountingEnv):
    """Pays 1 in each of the 4 steps of an episode; ends as ``ends`` says."""

    def reset(self, **arguments):
        observation, infos = super().reset(**arguments)
        self.length = 4
        return observation, infos

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, 1.0, *rest


def with_constant_value(loop, value):
    with torch.no_grad():
        loop.learner.policy.value_head.weight.zero_()
        loop.learner.policy.value_head.bias.fill_(value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("end", "beyond"), [("terminated", 0), ("truncated", 10), ("both", 0)])
def test_truncation_bootstraps_and_termination_does_not(form, end, beyond):
    """With V = 10 everywhere and lambda 1, a return is the rewards to the end, and V beyond it unless terminated."""
    envs = counting_envs(form, make=Payday, ends=(end,))
    loop = make_loop(envs, n_steps=13, gamma=0.5, gae_lambda=1.0, normalize_advantage=False)
    with_constant_value(loop, 10.0)
    rollout = loop.collect()
    batch = loop.learner._batch(rollout)
    age = rollout.column("age").view(-1)[batch.index]
    assert ((age < 4).all(), len(batch.index)) == (True, int(rollout.column("learned").sum()))
    period = 5 if form == "foreign_next_step" else 4
    for position, step, found in zip(batch.index.tolist(), age.tolist(), batch.returns.tolist(), strict=True):
        row = position // 3
        left = min(4 - step, 13 - row)
        cut = left < 4 - step  # the rollout ends before the episode does
        bootstrap = 10 if cut else beyond
        assert row % period == step
        assert found == pytest.approx(sum(0.5**k for k in range(left)) + 0.5**left * bootstrap)
    assert batch.advantage.tolist() == pytest.approx((batch.returns - 10).tolist())


@pytest.mark.parametrize("form", FORMS)
def test_rows_that_are_no_transitions_teach_nothing(form):
    """The reward of a reset row is NaN here, and its position must not be among those that are learned from."""
    envs = counting_envs(form)
    loop = make_loop(envs, n_steps=32, normalize_observation=True)
    for _ in range(3):
        rollout = loop.collect()
        batch = loop.learner._batch(rollout)
        assert batch.index.tolist() == rollout.column("learned").view(-1).nonzero().squeeze(-1).tolist()
        metrics = loop.learner.update(loop.buffer)
        assert np.isfinite([metrics[f"train/{name}"] for name in ("loss", "approx_kl", "explained_variance")]).all()
    assert all(np.isfinite(episode.total) for episode in loop.buffer.episodes())


def test_rewards_are_scaled_and_clipped_for_learning_only():
    envs = counting_envs(make=Payday, ends=("terminated",))
    loop = make_loop(envs, n_steps=8, gamma=1.0, gae_lambda=1.0, reward_scale=3.0, reward_clip=2.0)
    with_constant_value(loop, 0.0)
    rollout = loop.collect()
    assert (rollout.column("reward") == 1).all()
    assert {episode.total for episode in loop.buffer.episodes()} == {4.0}
    returns = loop.learner._batch(rollout).returns.view(8, 3)
    assert returns[:4, 0].tolist() == [8.0, 6.0, 4.0, 2.0]  # 3 x 1, clipped to 2
    assert loop.learner.config.reward_scale == 3.0


def policy_gradient(loop, rollout, batch, weight):
    """The gradient of the plain policy gradient loss and the value loss."""
    policy = loop.learner.policy
    distribution, value = policy(rollout.observation(batch.index))
    policy_loss = -(weight * distribution.log_prob(batch.action)).mean()
    coefficient = 0.5 if isinstance(loop.learner, A2CLearner | REINFORCELearner) else 0.25  # SB3's A2C, CleanRL's PPO
    loss = policy_loss + coefficient * (value - batch.returns).square().mean()
    return torch.autograd.grad(loss, list(policy.parameters()))


@pytest.mark.parametrize("algorithm", [A2CLearner, PPOLearner, REINFORCELearner])
def test_one_epoch_in_one_minibatch_is_the_policy_gradient(algorithm):
    config = {"epochs": 1, "minibatch_size": 10**9, "normalize_advantage": False, "max_grad_norm": 1e9}
    loop = make_loop("CartPole-v1", algorithm, **config, n_steps=32)
    rollout = loop.collect()
    batch = loop.learner._batch(rollout)
    baseline = batch.value if algorithm is not REINFORCELearner else 0.0
    expected = policy_gradient(loop, rollout, batch, batch.returns - baseline)
    loop.learner.update(loop.buffer)
    for parameter, wanted in zip(loop.learner.policy.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, atol=1e-5, rtol=1e-4)


def test_a2c_is_ppo_with_one_epoch_and_one_minibatch():
    a2c = make_loop("CartPole-v1", A2CLearner, A2CLearner.config_class(num_envs=4), num_envs=4)
    same = PPOConfig(
        num_envs=4,
        n_steps=5,
        epochs=1,
        minibatch_size=20,
        learning_rate=7e-4,
        learning_rate_schedule="constant",
        gae_lambda=1.0,
        value_coefficient=1.0,
        normalize_advantage=False,
        optimizer="rmsprop",
    )
    ppo = make_loop("CartPole-v1", PPOLearner, same, num_envs=4)
    for _ in range(10):
        a2c.step()
        ppo.step()
    for a, b in zip(a2c.learner.policy.parameters(), ppo.learner.policy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_reinforce_looks_at_whole_returns_without_a_baseline():
    config = REINFORCEConfig()
    assert (config.gae_lambda, config.baseline, config.epochs) == (1.0, False, 1)
    loop = make_loop("CartPole-v1", REINFORCELearner)
    batch = loop.learner._batch(loop.collect())
    assert torch.equal(batch.advantage, batch.returns)


def test_the_policy_loss_is_the_worse_of_ratio_and_clipped_ratio():
    ratio = torch.tensor([0.5, 0.9, 1.1, 1.5] * 2)
    advantage = torch.tensor([1.0] * 4 + [-1.0] * 4)
    gains = [0.5, 0.9, 1.1, 1.2, -0.8, -0.9, -1.1, -1.5]
    assert clipped_policy_loss(ratio, advantage, 0.2) == pytest.approx(-np.mean(gains))


def test_the_value_loss_with_and_without_its_clip():
    value, old, returns = (torch.tensor(x) for x in ([2.0, 5.0, 0.0], [1.0, 1.0, 1.0], [2.0, 1.0, 3.0]))
    assert squared_value_loss(value, old, returns, None) == pytest.approx(0.5 * (0 + 16 + 9) / 3)
    # kept within 0.5 of the old value: 1.5, 1.5, 0.5; the worse of each pair counts
    assert squared_value_loss(value, old, returns, 0.5) == pytest.approx(0.5 * (0.25 + 16 + 9) / 3)


def test_a_clipped_value_stops_learning_beyond_its_clip():
    loops = [make_loop("CartPole-v1", value_clip=clip, learning_rate=1e-2, epochs=8, seed=1) for clip in (None, 1e-6)]
    moved = []
    for loop in loops:
        rollout = loop.collect()
        everything = rollout.observation(torch.arange(len(rollout)))
        before = loop.learner.policy.value(everything).clone()
        loop.learner.update(loop.buffer)
        moved.append((loop.learner.policy.value(everything) - before).abs().mean())
    assert moved[1] < 0.5 * moved[0]


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1234.567, 1e7])
@pytest.mark.parametrize("n", [1, 2, 250])
def test_advantages_without_spread_lose_their_mean_and_no_more(value, n):
    assert normalized(torch.full((n,), value)).tolist() == [0.0] * n


def test_advantages_are_normalized():
    raw = torch.tensor([1.0, 2.0, 3.0, 4.0]) * 1e-3
    found = normalized(raw)
    assert found.mean() == pytest.approx(0, abs=1e-6)
    assert found.square().mean() == pytest.approx(1, rel=1e-4)


def test_explained_variance():
    returns = torch.tensor([1.0, 2.0, 3.0])
    assert explained_variance(returns, returns) == 1
    assert explained_variance(torch.full((3,), 9.0), returns) == pytest.approx(0)
    assert explained_variance(-returns, returns) == pytest.approx(-3)
    assert np.isnan(explained_variance(returns, torch.ones(3)))


def test_the_entropy_coefficient_pulls_towards_the_uniform_policy():
    class Lever(gym.Env):
        observation_space = spaces.Box(-1, 1, (1,))
        action_space = spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(1, np.float32), {}

        def step(self, action):
            return np.zeros(1, np.float32), 0.0, False, False, {}

    steps = {"epochs": 4, "minibatch_size": 256, "learning_rate": 1e-2, "learning_rate_schedule": "constant"}
    loop = make_loop(Lever, entropy_coefficient=1.0, **steps)
    with torch.no_grad():
        loop.learner.policy.heads.linear.bias.copy_(torch.tensor([2.0, -2.0]))
    entropies = [loop.step()["train/entropy_fraction"] for _ in range(40)]
    assert entropies[0] < 0.2
    assert entropies[-1] > 0.9


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"n_steps": 0}, "n_steps=0 must be greater than 0"),
        ({"learning_rate": -1e-3}, "learning_rate=-0.001 must be greater than 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be a finite number"),
        ({"gamma": 1.01}, r"gamma=1.01 must lie in 0\.\.1"),
        ({"gae_lambda": -0.1}, r"gae_lambda=-0.1 must lie in 0\.\.1"),
        ({"target_kl": 0.0}, "target_kl=0.0 must be greater than 0, or None"),
        ({"optimizer": "sgd"}, r"optimizer='sgd' is unknown\. Choices: 'adam', 'rmsprop'"),
        ({"clip_schedule": "linaer"}, "clip_schedule='linaer' is unknown. Did you mean 'linear'"),
    ],
)
def test_options_out_of_range_are_refused(option, message):
    with pytest.raises(ConfigError, match=message):
        PPOConfig(**option)
