"""``gym.make_vec("Hakisa/ScreenGame-v0", n)``: live games side by side, each in a process and display of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import TimeLimit

from hakisa_envs.errors import checked_int
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.vector import ProcessVectorEnv


def make_screen_vec(
    num_envs: int = 1,
    *,
    max_episode_steps: int | None = None,
    step_timeout: float = 15.0,
    reset_timeout: float = 120.0,
    **options: Any,
) -> ProcessVectorEnv:
    """Make ``num_envs`` live games.

    Args:
        num_envs: How many.
        max_episode_steps: Truncate episodes after so many steps; None or -1: never.
        step_timeout: Seconds after which a game's process that does not answer a step is replaced.
        reset_timeout: The same for a reset.
        options: Of `ScreenGameEnv`.
    """
    checked_int("num_envs", num_envs, 1)
    factory = partial(make_one, None if max_episode_steps == -1 else max_episode_steps, options)
    return ProcessVectorEnv([factory] * num_envs, step_timeout=step_timeout, reset_timeout=reset_timeout)


def make_one(max_episode_steps: int | None, options: dict[str, Any]) -> gym.Env[Any, Any]:
    """Make one game, as every process does."""
    env: gym.Env[Any, Any] = ScreenGameEnv(**options)
    return env if max_episode_steps is None else TimeLimit(env, max_episode_steps)
