"""An evaluation is fair, repeatable, on seeds that training never sees, and changes nothing."""

import numpy as np
import pytest
import torch

from hakisa_algos.agent import PPO
from hakisa_algos.data.collect import episode_seed
from hakisa_algos.learners.ppo import PPOConfig
from hakisa_algos.training.evaluate import Evaluation, evaluate
from tests.helpers.counting import FORMS, CountingEnv, RandomPolicy, columns_of, counting_envs
from tests.helpers.learning import assert_same

SMALL = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16)


@pytest.mark.parametrize("form", FORMS)
def test_every_column_plays_the_same_number_of_whole_episodes(form):
    envs = counting_envs(form, longest=20)
    result = evaluate(RandomPolicy(), envs, episodes=10)
    assert len(result.returns) == len(result.lengths) == 12  # 4 in each of 3 columns
    for column, env in enumerate(columns_of(envs)):
        lengths, total, returns = [], 0.0, []
        for seen, _, reward, _, terminated, truncated in env.real:
            total += reward
            if terminated or truncated:
                returns.append(total)
                lengths.append(int(seen[2]) + 1)
                total = 0.0
        assert result.returns.reshape(3, 4)[column].tolist() == returns[:4]
        assert result.lengths.reshape(3, 4)[column].tolist() == lengths[:4]


def test_its_seeds_are_none_of_those_of_training():
    trained = {episode_seed(run, column, k) for run in range(10) for column in range(10) for k in range(100)}
    envs = counting_envs()
    evaluate(RandomPolicy(), envs, episodes=60, seed=3)
    seeds = {seed for env in columns_of(envs) for seed in env.seeds}
    assert len(seeds) >= 60
    assert not seeds & trained


def test_the_same_evaluation_comes_out_the_same_and_another_seed_another():
    agent = PPO("CartPole-v1", SMALL)
    first, again, other = (agent.evaluate(6, seed=seed, deterministic=False) for seed in (1, 1, 2))
    assert first.returns.tolist() == again.returns.tolist()
    assert first.returns.tolist() != other.returns.tolist()


def test_the_best_action_or_drawn_ones():
    agent = PPO("CartPole-v1", SMALL)
    with torch.no_grad():
        agent.policy.heads.linear.weight.zero_()
        agent.policy.heads.linear.bias.copy_(torch.tensor([0.01, 0.0]))
    best, drawn = agent.evaluate(20), agent.evaluate(20, deterministic=False)
    assert best.mean < 11 < drawn.mean  # always the same push falls soonest


def test_the_policy_is_not_changed():
    agent = PPO("CartPole-v1", SMALL).learn(64)
    before = agent.learner.state()
    before = {"policy": {k: v.clone() for k, v in before["policy"].items()}, "generator": before["generator"].clone()}
    agent.evaluate(4, deterministic=False)
    assert_same({name: agent.learner.state()[name] for name in before}, before)


def test_figures():
    result = Evaluation(np.array([1.0, 3.0]), np.array([5, 7]))
    assert (result.mean, result.std) == (2.0, 1.0)
    assert str(result) == "2.00 +/- 1.00 over 2 episodes"


def test_no_more_columns_than_episodes():
    made = []

    def make():
        made.append(1)
        return CountingEnv()

    agent = PPO(make, PPOConfig(num_envs=8))
    made.clear()
    agent.evaluate(3)
    assert len(made) == 3
    made.clear()
    agent.evaluate(20, num_envs=5)
    assert len(made) == 5
