"""Stable-Baselines3's PPO on two live games in two X displays, paused during its updates."""

import time

import gymnasium as gym
import numpy as np
import pytest

sb3 = pytest.importorskip("stable_baselines3")

import hakisa_envs  # noqa: E402, F401 (registers the ids)
from hakisa_envs.sb3 import PauseCallback, SB3VecEnv  # noqa: E402
from hakisa_envs.screen.keeper import descendants  # noqa: E402

from .helpers import Screen, busy, gone, step_until_held, wait_until  # noqa: E402


def read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def state(pid):
    return read(pid, "stat").rpartition(b")")[2].split()[0].decode()


def games(envs):
    """The process of each game and the name of its display."""
    found = {}
    for worker in envs.unwrapped.pids:
        for pid in descendants({worker}):
            if b"flash.py" in read(pid, "cmdline"):
                variables = dict(entry.split(b"=", 1) for entry in read(pid, "environ").split(b"\0") if b"=" in entry)
                found[pid] = variables[b"DISPLAY"].decode()
    return found


def test_ppo_learns_on_two_displays_that_stand_still_while_it_updates():
    envs = SB3VecEnv(gym.make_vec("Hakisa/ScreenGame-v0", 2, game="flash", rate=40.0, max_episode_steps=50))
    # The policy's first choice is a random one: from time to time it holds a key.
    model = sb3.PPO("CnnPolicy", envs, n_steps=64, batch_size=64, n_epochs=1, seed=1, device="cpu")
    model.get_env().reset()
    running = games(envs.envs)
    screens = [Screen(name) for name in running.values()]
    assert len(set(running.values())) == 2
    train, updates, held, took = model.train, [], [], {}

    def watched():
        # A process that waits for a core stops, and is said to, when it gets one.
        wait_until(lambda: [state(pid) for pid in running] == ["T", "T"])
        held.extend(screen.held() for screen in screens)
        began = time.monotonic()
        train()
        took[len(rows)] = time.monotonic() - began
        updates.append([state(pid) for pid in running])

    model.train = watched
    step_wait, rows, steps = envs.step_wait, [], []

    def listened():
        row = step_wait()
        rows.extend(row[3])
        steps.append([state(pid) for pid in running])
        return row

    envs.step_wait = listened
    model.learn(384, callback=PauseCallback())
    assert model.num_timesteps == 384
    assert updates == [["T", "T"]] * 3
    assert not any("T" in row for row in steps)
    assert any(info["held"] for info in rows)
    assert held == [set()] * 6
    # An update takes far longer than two periods, but no row is late because of it.
    for first in [first for first in took if first < len(rows)]:
        assert all(info["dt_ms"] < 1000 * took[first] for info in rows[first : first + 2])
    assert np.mean([info["transition"] for info in rows]) > 0.75 or busy()
    truncated = [info for info in rows if info["TimeLimit.truncated"]]
    assert len(truncated) >= 2
    assert all(info["terminal_observation"].shape == (1, 84, 84) for info in truncated)
    assert not any(info["resetting"] for info in rows)
    assert "T" not in [state(pid) for pid in running]  # resumed after the last update

    step_until_held(envs, np.array([[2, 1, 0]] * 2), *screens)  # Left
    wait_until(lambda: not any(screen.held() for screen in screens))  # nobody steps any more
    for screen in screens:
        screen.close()
    envs.close()
    assert all(gone(pid) for pid in running)
