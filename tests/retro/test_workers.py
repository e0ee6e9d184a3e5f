"""Fights side by side: processes of every kind, processes that die, runs that go on in another process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

helpers = pytest.importorskip("tests.retro.helpers")
from hakisa_algos import PPO, PPOConfig  # noqa: E402
from hakisa_algos.training.checkpoint import load_checkpoint  # noqa: E402
from hakisa_envs.retro.street_fighter.actions import COMBOS  # noqa: E402
from tests.helpers.learning import assert_same  # noqa: E402
from tests.helpers.processes import gone, wait_until  # noqa: E402
from tests.retro.test_env import make  # noqa: E402, F401 (a fixture)

NOTHING, BACK = COMBOS.index(()), COMBOS.index(("LEFT",))
EASY = {"states": "passive.easy.left", "start_frames": 0}


@pytest.mark.parametrize("context", ["forkserver", "spawn"])
def test_many_in_processes(context, make):  # noqa: F811
    envs = gym.make_vec("Hakisa/Fighter-v0", 2, context=context, observation="ram", **EASY)
    alone = make(observation="ram")
    try:
        first, _ = envs.reset(seed=[1, 2])
        same = alone.reset(seed=1)[0]
        assert (first[0] == same).all()
        for _ in range(3):
            observations, rewards, *_ = envs.step(np.array([BACK, BACK]))
            same, reward, *_ = alone.step(BACK)
        assert (observations[0] == same).all()
        assert (observations != first).any()
        assert rewards.tolist() == [reward, 0.0]
        assert hasattr(envs, "get_state")
    finally:
        envs.close()


def kill(envs, column):
    pid = envs.pids[column]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))


def test_a_killed_worker_is_replaced_and_its_column_begins_anew():
    envs = gym.make_vec("Hakisa/Fighter-v0", 2, frame_size=36, **EASY)
    try:
        first, _ = envs.reset(seed=[1, 2])
        for _ in range(5):
            seen, *_ = envs.step([BACK, BACK])
        assert (seen[1, 0] != seen[1, -1]).any()
        kill(envs, 1)
        _, rewards, terminated, truncated, infos = envs.step([BACK, BACK])
        assert (truncated.tolist(), terminated.any(), rewards[1]) == ([False, True], False, 0.0)
        assert "SIGKILL" in infos["failure"][1]
        assert not infos["transition"][1]
        seen, *_, infos = envs.step([BACK, BACK])
        assert infos["began"].tolist() == [False, True]
        assert (seen[1] == first[1]).all()  # the stack has copies of the first frame, and none of those before
        seen, *_ = envs.step([BACK, BACK])
        assert (seen[1, 0] == first[1, 0]).all()
    finally:
        envs.close()


def test_training_goes_on_over_a_killed_worker_whose_episode_does_not_count(tmp_path):
    # A decision a second, so that rounds end within a few rows.
    options = {**EASY, "observation": "ram", "frame_skip": 60, "states": "rusher.hard.left"}
    config = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16, epochs=1, total_steps=2 * 16 * 12)
    agent = PPO("Hakisa/Fighter-v0", config, seed=1, env_options=options, threads=1)
    updates = []

    def watch(trainer, metrics):
        updates.append(trainer.step)
        if len(updates) == 4:
            kill(trainer.envs, 0)

    agent.learn(run=tmp_path / "run", callbacks=[watch])
    agent.close()
    assert agent.steps == config.total_steps
    assert len(updates) == 12
    assert agent._trainer.statistics.count > 2


def test_a_run_that_goes_on_in_another_process_is_the_same_to_the_last_bit(tmp_path):
    for part in ("first", "second"):
        command = [
            sys.executable,
            "-W",
            "error",
            str(Path(__file__).with_name("resume_fighter.py")),
            part,
            str(tmp_path),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert "cannot be rebuilt" not in done.stderr
    straight, halves = (load_checkpoint(tmp_path / name / "checkpoints").state for name in ("straight", "halves"))
    assert straight["step"] == 96
    for state in (straight, halves):  # a core's bytes may differ where all that follows is the same
        assert all(env is not None for env in state["collector"]["running"].pop("envs"))
    assert_same(halves, straight)
