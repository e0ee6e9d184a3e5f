"""Watching a run: its shares add up, its pace is this process's own, and it changes nothing."""

import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hakisa_algos import DQN, PPO, DQNConfig, PPOConfig
from hakisa_algos.training import trainer
from hakisa_algos.training.stopwatch import Stopwatch


def test_shares_and_pace_are_of_the_time_since_its_creation(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    collector = SimpleNamespace(nanoseconds={"env": 7_000_000_000, "act": 5})
    watch = Stopwatch(collector)

    def update():
        now[0] += 3
        return {"train/loss": 1.0}

    assert watch.update(update) == {"train/loss": 1.0}
    now[0] += 7
    collector.nanoseconds = {"env": 9_000_000_000, "act": 1_000_000_005}
    assert watch.metrics(steps=50) == pytest.approx(
        {"time/env_share": 0.2, "time/act_share": 0.1, "time/update_share": 0.3, "time/fps": 5.0, "time/elapsed": 10.0}
    )


def network(space):
    made = nn.Sequential(nn.Linear(space.shape[0], 8), nn.BatchNorm1d(8), nn.Tanh())
    made.features = 8
    return made


class Blind(Stopwatch):
    """Calls the updates and looks at nothing."""

    def update(self, function):
        return function()

    def metrics(self, steps):
        return {}


@pytest.mark.parametrize(
    ("agent", "config"),
    [
        (PPO, PPOConfig(num_envs=2, n_steps=4, minibatch_size=8)),
        (DQN, DQNConfig(num_envs=2, buffer_size=200, learning_starts=20, train_every=8, gradient_steps=2)),
    ],
)
def test_a_run_that_is_watched_ends_with_the_same_weights(agent, config, monkeypatch):
    """Of 25 updates with batch norm, whose running means see every forward there is."""
    watched = agent("CartPole-v1", config, seed=1, network=network).learn(200).learner.policy.state_dict()
    monkeypatch.setattr(trainer, "Stopwatch", Blind)
    plain = agent("CartPole-v1", config, seed=1, network=network).learn(200).learner.policy.state_dict()
    assert any("running_mean" in name for name in plain)
    assert all(torch.equal(watched[name], plain[name]) for name in plain)
