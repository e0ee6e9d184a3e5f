"""A user's network with dropout or batch norm: eval() mode but for gradient steps, whichever the algorithm."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from hakisa_algos import DQN, GA, PPO, PQN, Agent, DQNConfig, GAConfig, PPOConfig, PQNConfig
from hakisa_algos.errors import NonFiniteError
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.policy.policy import acting

SMALL = {
    PPO: PPOConfig(n_steps=16, minibatch_size=32, epochs=2, num_envs=4),
    PQN: PQNConfig(n_steps=16, minibatch_size=32, epochs=2, num_envs=4),
    DQN: DQNConfig(train_every=64, gradient_steps=3, batch_size=32, learning_starts=32, num_envs=4, buffer_size=256),
    GA: GAConfig(population=4, parents=2, candidates=1, validation_episodes=1, num_envs=4),
}
PICTURES = {"observation": "pixels", "grid_size": 4, "episode_length": 6}


class Vector(nn.Module):
    """Both layers that behave otherwise while learning; remembers the modes that it was called in."""

    features = 8

    def __init__(self, space):
        super().__init__()
        size = int(np.prod(space.shape))
        self.layers = nn.Sequential(nn.Linear(size, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
        self.modes = []

    def forward(self, observation):
        self.modes.append((self.training, torch.is_grad_enabled()))
        return self.layers(observation.float())


class Picture(Vector):
    """The same over pictures."""

    def __init__(self, space):
        super().__init__(space)
        size = int(np.prod(space.shape[1:]))
        self.layers = nn.Sequential(
            nn.Conv2d(space.shape[0], 2, 1), nn.BatchNorm2d(2), nn.Dropout2d(), nn.Flatten(), nn.Linear(2 * size, 8)
        )


def agent_of(algorithm, network):
    env, options = ("CartPole-v1", None) if network is Vector else ("Hakisa/Press-v0", PICTURES)
    return algorithm(env, SMALL[algorithm], network=network, env_options=options, seed=1, threads=1)


def statistics(agent):
    buffers = dict(agent.policy.trunk.named_buffers())
    return {name: tensor.clone() for name, tensor in buffers.items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


everywhere = pytest.mark.parametrize("network", [Vector, Picture])
every_algorithm = pytest.mark.parametrize("algorithm", SMALL, ids=lambda algorithm: algorithm.algorithm)


@everywhere
@every_algorithm
def test_acting_changes_nothing_and_says_the_same_twice(algorithm, network):
    agent = agent_of(algorithm, network)
    for trained in (False, True):
        if trained:
            agent.learn(300)
        before = statistics(agent)
        space = agent.envs.single_observation_space
        batch = np.stack([space.sample() for _ in range(64)])
        first, second = (agent.predict(batch)[0] for _ in range(2))
        assert np.array_equal(first, second)
        assert np.array_equal(agent.predict(batch[0])[0], first[0])  # one observation, whose variance is none
        assert agent.evaluate(3, seed=1).returns.tolist() == agent.evaluate(3, seed=1).returns.tolist()
        assert same(statistics(agent), before)
        assert not any(module.training for module in agent.policy.modules())


@everywhere
@pytest.mark.parametrize("algorithm", [PPO, PQN, DQN], ids=lambda algorithm: algorithm.algorithm)
def test_gradient_steps_alone_are_in_train_mode(algorithm, network):
    agent = agent_of(algorithm, network)
    before = statistics(agent)
    agent.learn(256)
    assert set(agent.policy.trunk.modes) == {(True, True), (False, False)}
    assert not same(statistics(agent), before)
    if algorithm is DQN:
        target = agent.learner.target
        assert {mode for mode, _ in target.trunk.modes} == {False}
        assert not any(module.training for module in target.modules())


def test_the_statistics_move_with_gradient_steps_alone():
    agent = agent_of(DQN, Vector).learn(256)
    learner = agent.learner
    norm = learner.policy.trunk.layers[1]
    before = int(norm.num_batches_tracked)
    steps = learner.update(agent._trainer.buffer)["train/gradient_steps"]
    assert norm.num_batches_tracked - before == steps  # not of what chooses the next action, too


def test_the_target_has_the_statistics_of_the_network_that_it_copies():
    agent = agent_of(DQN, Vector).learn(512)
    learner = agent.learner
    learner.move_target(1.0)
    assert same(dict(learner.policy.trunk.named_buffers()), dict(learner.target.trunk.named_buffers()))


@pytest.mark.parametrize("gradient_steps", [1, 3])
@pytest.mark.parametrize("algorithm", [PPO, PQN, DQN], ids=lambda algorithm: algorithm.algorithm)
def test_a_bad_update_takes_the_statistics_back(algorithm, gradient_steps):
    agent = agent_of(algorithm, Vector)
    if algorithm is DQN:
        agent.learner.config = dataclasses.replace(agent.config, gradient_steps=gradient_steps)
    agent.learn(256)
    learner, buffer = agent.learner, agent._trainer.buffer
    before = copy.deepcopy(learner.state())
    buffer._arrays["reward"][:] = np.nan
    with pytest.raises(NonFiniteError):
        learner.update(buffer)
    after = learner.state()
    for key in {"policy", "target"} & set(after):
        assert same(before[key], after[key])
    assert not any(module.training for module in learner.policy.modules())


def test_a_network_whose_train_is_its_own_affair_keeps_it():
    class Frozen(Vector):
        def train(self, mode=True):
            return super().train(False)

    agent = Agent("CartPole-v1", SMALL[PPO], algorithm="ppo", network=Frozen, seed=1)
    before = statistics(agent)
    agent.learn(64)
    assert same(statistics(agent), before)


@pytest.mark.parametrize("name", ["ppo", "a2c", "reinforce", "pqn", "dqn", "ga"])
def test_policies_are_made_in_eval_mode(name):
    learner_class = find_algorithm(name)
    box, choices = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)
    learner = learner_class(
        box, choices, learner_class.config_class(), num_envs=2, seed=0, device=torch.device("cpu"), network=Vector
    )
    assert not any(module.training for module in learner.policy.modules())


def test_acting_puts_every_module_back_into_its_mode():
    module = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2)))
    module[1].eval()
    modes = [each.training for each in module.modules()]
    with acting(module):
        assert not any(each.training for each in module.modules())
    assert [each.training for each in module.modules()] == modes == [True, True, False, False]
    with acting(object()):  # a policy need not be a module
        pass
