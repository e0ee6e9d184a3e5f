"""``tests.comparison.endless:Endless-v0``: an env that ends its first episodes, and then none.

HAKISA_TEST_ENDLESS is "N PATH": until the env's process has taken N steps every episode ends after ten of them; from
then on none ends, and at 3 * N steps the file PATH is written.
"""

import os
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium import spaces

taken = 0


class Endless(gym.Env):
    """Every seed begins elsewhere, against one of two opponents."""

    observation_space = spaces.Box(0, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.opponent = ("weak", "strong")[int(self.np_random.integers(2))]
        self.place = self.np_random.random(2, np.float32)
        self.count = 0
        return self.place, {}

    def step(self, action):
        global taken
        taken += 1
        self.count += 1
        ending, _, mark = os.environ.get("HAKISA_TEST_ENDLESS", "0").partition(" ")
        if mark and taken == 3 * int(ending):
            Path(mark).touch()
        return self.place, float(action), self.count >= 10 and taken < int(ending), False, {}


def wait_for(path, process):
    """Until the file is there, which the process writes."""
    deadline = time.monotonic() + 600
    while not path.exists():
        assert process.poll() is None, "it has ended before"
        assert time.monotonic() < deadline
        time.sleep(0.01)


gym.register("Endless-v0", Endless)
