"""A learner that needs no envs, as cloning will be: its own count, its own end, and the face of all others."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from hakisa_algos import Agent, register
from hakisa_algos.data.needs import Nothing
from hakisa_algos.learners import registry
from hakisa_algos.learners.config import GradientConfig
from hakisa_algos.learners.gradient import Descent
from hakisa_algos.learners.learner import Facts, Learner
from hakisa_algos.policy.policy import ActorCritic, learning


@dataclasses.dataclass(frozen=True)
class CopyingConfig(GradientConfig):
    """Of :class:`Copying`."""

    total_steps: int = 40
    """Batches in all."""
    hidden_sizes: tuple[int, ...] = (16,)


class Copying:
    """Learns to push the way the pole leans, from states that it makes up."""

    config_class = CopyingConfig

    def __init__(self, observation_space, action_space, config, *, num_envs, seed, device, network):
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = ActorCritic(observation_space, action_space, hidden_sizes=config.hidden_sizes)
        self.generator = torch.Generator().manual_seed(seed)
        self.descent = Descent(
            self.policy, lambda weights: torch.optim.Adam(weights, config.learning_rate), self.generator, device
        )

    @classmethod
    def default_config(cls, observation_space, preset=None):
        return CopyingConfig()

    def facts(self):
        return Facts(Nothing(self.descent.updates), self.config.total_steps, keep_observations=False)

    def update(self, buffer):
        with self.descent.update(self.config, self.descent.updates / self.config.total_steps):
            seen = torch.randn(64, 4, generator=self.generator)
            with learning(self.policy):
                loss = -self.policy(seen)[0].log_prob((seen[:, 2] > 0).long()).mean()
                terms = self.descent.differentiate(loss, {"loss": loss})
            metrics = self.descent.settle([terms], None, lambda: {"observation": seen})
            self.descent.step()
        return metrics

    def state(self):
        return self.descent.state()

    def load_state(self, state):
        self.descent.load_state(state)


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    register("copying", Copying)


def test_it_trains_in_the_trainer_without_a_step_in_the_env(tmp_path):
    losses = []
    agent = Agent("CartPole-v1", algorithm="copying", seed=1)
    assert isinstance(agent.learner, Learner)
    agent.learn(run=tmp_path / "run", callbacks=[lambda trainer, metrics: losses.append(metrics["train/loss"])])
    assert len(losses) == agent.learner.facts().need.done == 40
    assert losses[-1] < losses[0]
    assert agent._trainer.buffer.rows == 0
    assert agent.predict(np.array([0, 0, 2, 0], np.float32))[0] == 1


def test_it_goes_on_where_it_stopped(tmp_path):
    whole = Agent("CartPole-v1", algorithm="copying", seed=1).learn()
    half = Agent("CartPole-v1", algorithm="copying", seed=1)
    half.learn(run=tmp_path / "run", callbacks=[lambda trainer, metrics: metrics["train/n_updates"] < 15])
    again = Agent.load(tmp_path / "run").learn()
    assert again.learner.facts().need == Nothing(40)
    weights = [nn.utils.parameters_to_vector(agent.policy.parameters()) for agent in (whole, again)]
    assert torch.equal(*weights)
