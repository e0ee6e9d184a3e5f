"""A signal in a long rollout is heard at the next step, whatever learns and whoever plays; what is left goes on."""

import functools
import os
import signal
import time

import gymnasium as gym
import numpy as np
import pytest

from hakisa_algos import DQN, GA, PPO, GAConfig
from hakisa_algos.data.needs import Rows
from hakisa_algos.errors import Stopped
from hakisa_algos.learners.dqn import DQNConfig
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.policy.precision import torch_threads
from hakisa_algos.pool.pool import Pool
from hakisa_algos.training import trainer
from hakisa_algos.training.signals import StopSignals
from tests.data.test_concurrent import collector_on
from tests.helpers.learning import assert_same
from tests.pool.tasks import signals_and_waits

LONG = PPOConfig(num_envs=2, n_steps=1_000, minibatch_size=100, total_steps=4_000)
CONFIGS = {
    PPO: LONG,
    DQN: DQNConfig(num_envs=2, learning_starts=1_000, train_every=2_000, buffer_size=4_000, total_steps=8_000),
    GA: GAConfig(num_envs=2, population=4, parents=2, candidates=1, steps_per_individual=1_000, total_steps=100_000),
}


class Signalling(gym.Env):
    """Sends the process that it is in SIGTERM with its ``at``-th step."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    taken, at = 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.np_random.random(2, np.float32), {}

    def step(self, action):
        Signalling.taken += 1
        if Signalling.taken == Signalling.at:
            os.kill(os.getpid(), signal.SIGTERM)
        self.count += 1
        return self.np_random.random(2, np.float32), float(action), self.count >= 40, False, {}


@pytest.fixture
def signal_at(monkeypatch):
    """Says with which step the signal comes, from now on, and that nothing is waited for then."""

    def at(step):
        Signalling.taken, Signalling.at = 0, step

    monkeypatch.setattr(trainer, "_GRACE", 0.0, raising=False)
    yield at
    at(0)


@pytest.mark.parametrize("kind", [PPO, DQN, GA])
def test_it_stops_at_the_next_step_saves_and_goes_on(kind, tmp_path, signal_at, capfd):
    run = tmp_path / "run"
    agent = kind(Signalling, CONFIGS[kind], seed=1)
    signal_at(501)
    agent.learn(run=run)
    assert agent.stopped_by == "SIGTERM"
    assert Signalling.taken == 502  # of two envs
    assert agent.steps == (0 if kind is GA else 502)  # a generation is played again
    assert "SIGTERM: saves and stops" in capfd.readouterr().err
    signal_at(0)
    total = {PPO: 3_000, DQN: 6_000, GA: 5_000}[kind]
    loaded = kind.load(run, Signalling).learn(total)
    agent.run_folder = None  # the other one's by now
    agent.learn(total)
    assert loaded.steps == agent.steps >= total
    assert_same(loaded.learner.state(), agent.learner.state())


def test_a_generation_that_was_stopped_is_played_as_if_nothing_had_been(tmp_path, signal_at):
    signal_at(0)
    whole = GA(Signalling, CONFIGS[GA], seed=1).learn(5_000)
    signal_at(4_321)  # in the validation
    stopped = GA(Signalling, CONFIGS[GA], seed=1).learn(5_000, run=tmp_path / "run")
    assert (stopped.stopped_by, stopped.steps) == ("SIGTERM", 4_000)
    signal_at(0)
    resumed = GA.load(tmp_path / "run", Signalling).learn()
    assert resumed.steps == whole.steps
    assert_same(resumed.learner.state(), whole.learner.state())


def test_an_update_that_is_soon_over_is_finished_first(signal_at, monkeypatch):
    monkeypatch.setattr(trainer, "_GRACE", 60.0, raising=False)
    signal_at(501)
    agent = PPO(Signalling, LONG).learn()
    assert (agent.stopped_by, agent.steps) == ("SIGTERM", 2_000)


class SlowInWorkers(Signalling):
    """Signals the trainer from a worker, and is slow from then on."""

    def __init__(self, trainer):
        self.trainer = trainer

    def step(self, action):
        if os.getpid() != self.trainer:
            SlowInWorkers.taken += 1
            if SlowInWorkers.taken == 20:
                os.kill(self.trainer, signal.SIGTERM)
            if SlowInWorkers.taken >= 20:
                time.sleep(0.05)
        return super().step(action)


def test_workers_of_a_generation_are_not_waited_for(tmp_path, signal_at):
    config = GAConfig(**(vars(CONFIGS[GA]) | {"workers": 1, "tasks": 1}))
    agent = GA(functools.partial(SlowInWorkers, os.getpid()), config)
    agent.learn(run=tmp_path / "run")
    assert (agent.stopped_by, agent.steps) == ("SIGTERM", 0)  # its 4,000 steps would take 100 s
    agent.close()


def test_a_pool_gives_up_when_it_is_told_to():
    with StopSignals() as signals, Pool(1) as pool:
        with pytest.raises(Stopped):
            pool.map(signals_and_waits, [os.getpid()], stop=lambda: signals.name is not None)
        assert pool.map(abs, [-1]) == [1]


@pytest.mark.parametrize("way", ["inline", "apart", "beside"])
def test_rows_of_a_collection_that_was_stopped_are_whole_and_the_next_goes_on(way):
    asked = iter(range(10**6))
    collector = collector_on(capacity=500)
    collector.stop = lambda: next(asked) >= 60
    meanwhile = (lambda: None) if way == "beside" else None
    with torch_threads(1 if way == "inline" else 2), pytest.raises(Stopped):
        collector.collect(Rows(500), meanwhile)
    rows = collector.buffer.rows
    assert 0 < rows < 500
    again = collector_on(capacity=500)
    again.buffer.restore(collector.buffer.state())
    assert again.load_state(collector.state())  # exactly, whoever was ahead of the others
    collector.stop = bool
    collector.collect(Rows(20), meanwhile)
    assert collector.buffer.rows == rows + 20
