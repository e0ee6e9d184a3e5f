"""``tests.comparison.deadly:Deadly-v0``: an env that ends its process while the file in HAKISA_TEST_DEADLY is there."""

import os
import signal
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium import spaces

# More than evaluations before training take, so that it is the training that dies.
STEPS = 400
taken = 0


class Deadly(gym.Env):
    """Ten steps; what the file holds is the number of the signal."""

    observation_space = spaces.Box(0, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        global taken
        taken += 1
        mark = Path(os.environ["HAKISA_TEST_DEADLY"])
        if taken > STEPS and mark.exists():
            os.kill(os.getpid(), int(mark.read_text()))
            signal.pause()
        self.count += 1
        return np.zeros(1, np.float32), float(action), self.count == 10, False, {}


gym.register("Deadly-v0", Deadly)
