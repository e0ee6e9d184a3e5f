"""CartPole in one NumPy program, every column seeded by itself: an env that costs little next to the policies."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
FURTHEST, STEEPEST = 2.4, 12 * np.pi / 180


class VectorCartPole(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """The dynamics of Gymnasium's CartPole-v1 (Barto, Sutton and Anderson 1983).

    Columns are reset by mask, with a seed each.

    Args:
        num_envs: columns.
        longest: steps after which an episode is truncated.
    """

    def __init__(self, num_envs: int, longest: int = 500) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED, "masked_reset": True}
        single = gym.spec("CartPole-v1").make().unwrapped
        self.single_observation_space, self.single_action_space = single.observation_space, single.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._longest = longest
        self._state = np.zeros((num_envs, 4))
        self._age = np.zeros(num_envs, np.int64)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """``seed``: one per column; ``options`` may hold ``"reset_mask"``."""
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        self._state[mask] = 0  # of columns without a seed, whose games do not count
        for column in np.flatnonzero(mask):
            if seed[column] is not None:
                generator = np.random.Generator(np.random.Philox(seed[column]))
                self._state[column] = generator.uniform(-0.05, 0.05, 4)
        self._age[mask] = 0
        return self._state.astype(np.float32), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """See gymnasium."""
        x, speed, angle, turn = self._state.T
        force = np.where(actions == 1, FORCE, -FORCE)
        cosine, sine = np.cos(angle), np.sin(angle)
        pushed = (force + POLE * HALF_LENGTH * turn**2 * sine) / (CART + POLE)
        turning = (GRAVITY * sine - cosine * pushed) / (HALF_LENGTH * (4 / 3 - POLE * cosine**2 / (CART + POLE)))
        gaining = pushed - POLE * HALF_LENGTH * turning * cosine / (CART + POLE)
        self._state = np.stack(
            [x + SECONDS * speed, speed + SECONDS * gaining, angle + SECONDS * turn, turn + SECONDS * turning], 1
        )
        self._age += 1
        fallen = (np.abs(self._state[:, 0]) > FURTHEST) | (np.abs(self._state[:, 2]) > STEEPEST)
        return self._state.astype(np.float32), np.ones(self.num_envs), fallen, self._age >= self._longest, {}
