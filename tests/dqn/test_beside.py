"""DQN on Pong with two torch threads: it learns while another thread plays."""

import threading

import pytest
import torch

from hakisa_algos import DQN, DQNConfig
from hakisa_algos.errors import NonFiniteError
from hakisa_algos.policy.precision import torch_threads
from tests.dqn.resume_run import CONFIGS, PONG


def agent_with(**changes):
    config = {name: getattr(CONFIGS["dqn-beside"], name) for name in DQNConfig.__dataclass_fields__}
    return DQN("Hakisa/Pong-v0", DQNConfig(**config | changes), seed=3, threads=2, env_options=PONG)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "hakisa collector"]


def test_the_copy_that_plays_values_as_the_policy_does_statistics_included():
    agent = agent_with()
    agent.learn(1024)
    policy, collector = agent.policy, agent._trainer.collector
    copied = collector._copied_policy()
    seen = torch.randint(0, 255, (64, *agent.policy.observation.space.shape), dtype=torch.uint8)
    assert policy.normalizer.state_dict()["parts.0.mean"].max() > 1
    assert torch.equal(copied(seen).greedy(), policy(seen).greedy())
    assert torch.equal(copied(seen).max(), policy(seen).max())


def test_it_learns_from_the_second_update_on_and_counts_every_episode():
    agent, seen = agent_with(learning_starts=0, buffer_size=2000), []
    agent.learn(1024, callbacks=[lambda trainer, metrics: seen.append(dict(metrics))])
    assert "train/loss" not in seen[0]  # nothing was stored
    assert all("train/loss" in metrics for metrics in seen[1:])
    assert agent.steps == 1024
    played = agent._trainer.buffer.rollout(1024 // 4)
    ended = int((played.column("terminated") | played.column("truncated")).sum())
    assert seen[-1]["rollout/episodes"] == ended > 0


def test_a_loss_that_is_not_finite_is_raised_and_learning_can_go_on():
    agent = agent_with()
    agent.learn(512, callbacks=[lambda trainer, metrics: trainer.step < 256])
    learner, trainer = agent.learner, agent._trainer
    weights = learner.descent.weights.vector.detach().clone()
    learner.config.__dict__["reward_scale"] = float("inf")
    rows = trainer.buffer.rows
    with torch_threads(2), pytest.raises(NonFiniteError):
        trainer.train()
    assert torch.equal(learner.descent.weights.vector, weights)
    assert trainer.buffer.rows == rows
    learner.config.__dict__["reward_scale"] = 1.0
    agent.learn(1024, callbacks=[])
    assert agent.steps == 1024
    assert learner.descent.updates > 16
