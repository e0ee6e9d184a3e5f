"""The detector at work in real runs: a ruined policy is noticed and brought back, a solved one is left in peace."""

import copy
import dataclasses
import logging

import numpy as np
import pytest

from hakisa_algos.agent import PPO
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.training.collapse import CollapseDetector
from hakisa_algos.training.trainer import Trainer
from tests.helpers.learning import assert_same

# Balances for the 50 steps that it is given within 10,000 steps; a ruined policy falls after 10.
CONFIG = PPOConfig(
    n_steps=32, epochs=10, gamma=0.98, gae_lambda=0.8, learning_rate=2e-3, learning_rate_schedule="constant"
)
GOOD, TOTAL = 12_288, 40_000


def sabotaged(collapse):
    """A run whose learning rate is 100 times as large from its middle on; its agent, notices and mean returns."""
    notices, means = [], []

    class View:
        def update(self, step, metrics):
            means.append((step, metrics["rollout/ep_rew_mean"]))

        def notice(self, text):
            notices.append(text)

    def sabotage(trainer, metrics):
        healthy = trainer.step < GOOD or (collapse == "restore" and notices)
        rate = CONFIG.learning_rate if healthy else 100 * CONFIG.learning_rate
        trainer.learner.config = dataclasses.replace(trainer.learner.config, learning_rate=rate)

    agent = PPO("CartPole-v1", CONFIG, seed=1, env_options={"max_episode_steps": 50})
    agent.learn(TOTAL, callbacks=[sabotage], collapse=collapse, view=View())
    return agent, notices, dict(means)


@pytest.fixture(scope="module")
def warned():
    return sabotaged("warn")


def test_a_learning_rate_100_times_as_large_is_noticed(warned):
    _, notices, means = warned
    assert means[GOOD] > 45
    assert len(notices) == 1
    assert "the policy may have collapsed: return" in notices[0]
    assert "x its target" in notices[0] or "entropy" in notices[0]
    assert means[max(means)] < 30  # and a warning changes nothing


def test_restore_brings_the_return_back_at_half_the_learning_rate():
    agent, notices, means = sabotaged("restore")
    assert min(mean for step, mean in means.items() if step > GOOD) < 30
    assert len(notices) == 1
    assert notices[0].endswith("the best weights are back, at 0.5 x the learning rate")
    assert agent.learner.state()["learning_rate_scale"] == 0.5
    assert means[max(means)] > 45


def test_the_weights_that_are_kept_are_those_that_played():
    """Not those after the update that followed, which may be the fatal one. Here every stretch equals the best."""
    agent = PPO("Hakisa/Press-v0", CONFIG, env_options={"episode_length": 4})
    agent.envs.game.rewards = lambda targets, actions: np.ones(len(targets))
    before, kept = [], []

    def compare(trainer, metrics):
        kept.append(trainer.state()["best_state"])
        before.append(copy.deepcopy(trainer.learner.state()))

    agent.learn(256 * 5, callbacks=[compare], collapse="restore")
    assert kept[0] is None
    for state, played in zip(kept[3:], before[2:], strict=False):
        assert_same(state, played)


def test_off_is_off(monkeypatch):
    def observe(*arguments):
        raise AssertionError("asked")

    monkeypatch.setattr(CollapseDetector, "observe", observe)
    PPO("CartPole-v1", CONFIG).learn(512, collapse="off")
    with pytest.raises(AssertionError, match="asked"):
        PPO("CartPole-v1", CONFIG).learn(512)


@pytest.mark.parametrize("seed", range(5))
def test_a_solved_run_fires_nothing(seed, caplog, monkeypatch):
    entropies = []
    watch = Trainer._watch

    def watched(self, returns, metrics):
        entropies.append(metrics["train/entropy_fraction"])
        return watch(self, returns, metrics)

    monkeypatch.setattr(Trainer, "_watch", watched)
    config = PPOConfig(n_steps=32, epochs=4, minibatch_size=64, learning_rate=5e-3, gamma=0.0)
    agent = PPO("Hakisa/Press-v0", config, seed=seed, env_options={"num_keys": 3, "grid_size": 2, "episode_length": 8})
    with caplog.at_level(logging.WARNING):
        agent.learn(16_000)
    assert agent.evaluate(50).mean > 0.95 * 8
    assert min(entropies) < 0.02  # one of the two signs was there
    assert "collapsed" not in caplog.text


def test_an_unknown_choice_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match=r"collapse='ignore' is unknown\. Choices: 'off', 'restore', 'warn'"):
        PPO("CartPole-v1", CONFIG).learn(256, run=tmp_path / "run", collapse="ignore")
    assert not (tmp_path / "run").exists()
