"""A run that was stopped and resumed in a new process equals the one that never stopped, to the last bit."""

import hashlib
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from hakisa_algos.agent import PPO
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_algos.training.metrics import read_metrics
from tests.agent.resume_child import CASES, UPDATES, config_of
from tests.helpers.counting import CountingEnv
from tests.helpers.learning import assert_same

CHILD = Path(__file__).with_name("resume_child.py")


def child(part, folder):
    command = [sys.executable, "-W", "error", str(CHILD), part, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "cannot be rebuilt" not in done.stderr


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of all cases, and each one's checkpoint where it was stopped."""
    folder = tmp_path_factory.mktemp("resume")
    child("first", folder)
    return folder, {case: load_checkpoint(folder / f"{case}-halves" / "checkpoints").state for case in CASES}


@pytest.fixture(scope="module")
def runs(stopped):
    """The folder of all cases, the stopped ones taken to their end by another process."""
    child("second", stopped[0])
    return stopped[0]


@pytest.mark.parametrize("case", CASES)
def test_resumed_equals_uninterrupted(runs, case):
    straight, halves = (
        load_checkpoint(runs / f"{case}-{name}" / "checkpoints").state for name in ("straight", "halves")
    )
    assert straight["step"] == config_of(case).total_steps
    # Everything: weights, optimizer, random states, env, running episodes, statistics, detector.
    assert {"learner", "collector", "buffer", "statistics", "collapse"} <= set(straight)
    assert_same(halves, straight)


@pytest.mark.parametrize("case", CASES)
def test_the_metrics_of_both_are_the_same(runs, case):
    straight, halves = (read_metrics(runs / f"{case}-{name}" / "metrics.jsonl") for name in ("straight", "halves"))
    assert len(straight) == len(halves) == UPDATES
    for a, b in zip(straight, halves, strict=True):
        assert_same(*({k: v for k, v in row.items() if not k.startswith("time/")} for row in (a, b)))
    assert ("eval/mean_reward" in straight[3]) == (case != "pong")


@pytest.mark.parametrize("case", CASES)
def test_the_cases_are_worth_something(stopped, runs, case):
    """Episodes were running at the stop and ended in both halves, and the weights moved after it."""
    middle, end = stopped[1][case], load_checkpoint(runs / f"{case}-halves" / "checkpoints").state
    assert middle["step"] == end["step"] // 2
    assert middle["collector"]["standing"] is not None
    assert 0 < middle["statistics"]["count"] < end["statistics"]["count"]
    for name, tensor in middle["learner"]["policy"].items():
        assert not np.array_equal(tensor, end["learner"]["policy"][name]), name


def weights_hash(agent):
    digest = hashlib.sha256()
    for name, tensor in agent.policy.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("env", ["CartPole-v1", "Hakisa/Press-v0"])
def test_the_same_seed_gives_the_same_hash_and_another_seed_another(env):
    config = PPOConfig(num_envs=2, n_steps=32, minibatch_size=32)
    first, again, other = (weights_hash(PPO(env, config, seed=seed).learn(256)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_learning_on_in_the_same_process_is_the_same_run():
    config = PPOConfig(num_envs=2, n_steps=32, minibatch_size=32, total_steps=512)
    straight = PPO("CartPole-v1", config, seed=1).learn()
    halves = PPO("CartPole-v1", config, seed=1)
    halves.learn(callbacks=[lambda trainer, metrics: trainer.step < 256])
    assert halves.learn()._trainer.step == 512
    assert weights_hash(straight) == weights_hash(halves)


def make_doubtful():
    env = CountingEnv(longest=10**6, ends=("truncated",))
    env.spec = EnvSpec("Doubtful-v0", entry_point="nowhere:Env", nondeterministic=True)
    return env


def test_an_env_that_cannot_be_replayed_is_closed_as_truncated_and_the_log_says_so(tmp_path, caplog):
    config = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16)
    PPO(make_doubtful, config).learn(64, run=tmp_path / "run")
    agent = PPO.load(tmp_path / "run", make_doubtful)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        agent.learn(128)
    assert "closed as truncated" in caplog.text
    assert agent._trainer.step == 128
    rollout = agent._trainer.buffer.rollout(16)
    assert rollout.column("age")[-1].tolist() == [31, 31]  # new episodes, as old as the resumed run


def test_a_resumed_run_appends_to_its_metrics(tmp_path):
    config = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16)
    PPO("CartPole-v1", config).learn(96, run=tmp_path / "run")
    agent = PPO.load(tmp_path / "run")
    agent.learn(160, run=tmp_path / "run")
    assert [row["step"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl")] == [32, 64, 96, 128, 160]
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == 160
