"""What the processes of envs share before they are made, and what they do not."""

import os
import subprocess
import sys
from multiprocessing import forkserver

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from hakisa_envs.vector import ProcessVectorEnv
from hakisa_envs.worker import preload

SCRIPT = """
from multiprocessing import set_forkserver_preload
from hakisa_envs.vector import ProcessVectorEnv
from tests.envs.test_preload import Chance

if __name__ == "__main__":
    if {own!r}:
        set_forkserver_preload({own!r})
    envs = ProcessVectorEnv([Chance])
    print(envs.call("numpy_was_there")[0])
    envs.close()
"""


class Chance(gym.Env):
    """Shows what NumPy's global generator draws, which is nobody's to seed."""

    observation_space = Box(0, 1, (4,), np.float64)
    action_space = Discrete(2)

    def numpy_was_there(self):
        """Whether the process that this one was forked from had NumPy."""
        with open(f"/proc/{os.getppid()}/maps", encoding="utf-8") as file:
            return "_multiarray_umath" in file.read()

    def reset(self, *, seed=None, options=None):
        return np.random.random(4), {}

    def step(self, action):
        return np.random.random(4), 0.0, False, False, {}


@pytest.mark.parametrize("context", ["forkserver", "spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_no_two_columns_draw_alike(context):
    envs = ProcessVectorEnv([Chance] * 3, context=context)
    assert len(np.unique(envs.reset()[0])) == 12
    envs.close()


@pytest.mark.parametrize("own", [[], ["json"]])
def test_a_fork_server_imports_once_for_all_what_every_env_needs_or_what_it_was_told(own, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.format(own=own))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"], capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.stdout == f"{not own}\n", done.stderr


def test_what_was_to_be_imported_stays_so(monkeypatch):
    monkeypatch.setattr(forkserver._forkserver, "_preload_modules", ["json"])
    preload()
    assert forkserver._forkserver._preload_modules == ["json"]
    forkserver._forkserver._preload_modules = ["__main__"]
    preload()
    assert forkserver._forkserver._preload_modules == ["__main__", "hakisa_envs.worker"]
