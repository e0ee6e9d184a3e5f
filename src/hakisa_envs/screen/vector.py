"""``gym.make_vec("Hakisa/ScreenGame-v0", n)``: live games side by side, each in a process and display of its own."""

from __future__ import annotations

from typing import Any

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.vector import ProcessVectorEnv, make_process_vec


def make_screen_vec(
    num_envs: int = 1,
    *,
    max_episode_steps: int | None = None,
    start_timeout: float = 120.0,
    step_timeout: float = 15.0,
    reset_timeout: float = 120.0,
    **options: Any,
) -> ProcessVectorEnv:
    """Make ``num_envs`` live games.

    Args:
        num_envs: How many.
        max_episode_steps: Truncate episodes after so many steps; None or -1: never.
        start_timeout: Seconds that a process may take until its game could be started.
        step_timeout: Seconds after which a game's process that does not answer a step is replaced.
        reset_timeout: The same for a reset.
        options: Of `ScreenGameEnv`.
    """
    return make_process_vec(
        ScreenGameEnv,
        num_envs,
        max_episode_steps=max_episode_steps,
        start_timeout=start_timeout,
        step_timeout=step_timeout,
        reset_timeout=reset_timeout,
        **options,
    )
