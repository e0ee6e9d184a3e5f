"""Tasks that a policy without memory cannot do."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class CartPoleWithoutVelocities(gym.ObservationWrapper):
    """CartPole-v1 that shows where cart and pole are, and not how fast they move."""

    def __init__(self) -> None:
        super().__init__(gym.make("CartPole-v1"))
        box = self.env.observation_space
        self.observation_space = spaces.Box(box.low[[0, 2]], box.high[[0, 2]], dtype=np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Positions."""
        return observation[[0, 2]]


class Recall(gym.Env[np.ndarray, np.int64]):
    """One of four cues is shown in the first step; ``delay`` steps later it is asked which. Noise in between.

    The reward is 1 for the right answer and 0 for another; the actions before mean nothing.
    """

    CUES, NOISE = 4, 2

    def __init__(self, delay: int = 32) -> None:
        self.observation_space = spaces.Box(-1, 1, (self.CUES + 1 + self.NOISE,), np.float32)
        self.action_space = spaces.Discrete(self.CUES)
        self._delay = delay

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Shows the cue."""
        super().reset(seed=seed)
        self._cue, self._step = int(self.np_random.integers(self.CUES)), 0
        seen = self._seen()
        seen[self._cue] = 1
        return seen, {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Goes on; the answer is what is done ``delay`` steps after the cue."""
        over = self._step == self._delay
        self._step += 1
        seen = self._seen()
        seen[self.CUES] = self._step == self._delay
        return seen, float(over and action == self._cue), over, False, {}

    def _seen(self) -> np.ndarray:
        seen = np.zeros(self.observation_space.shape, np.float32)
        seen[-self.NOISE :] = self.np_random.uniform(-1, 1, self.NOISE)
        return seen
