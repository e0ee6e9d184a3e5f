"""``gym.make_vec("Hakisa/Fighter-v0", n)``: fights side by side, an emulator in each process."""

from __future__ import annotations

from typing import Any

from hakisa_envs.retro.street_fighter.env import StreetFighter2Env
from hakisa_envs.vector import ProcessVectorEnv, make_process_vec


def make_street_fighter_vec(
    num_envs: int = 1,
    *,
    max_episode_steps: int | None = None,
    start_timeout: float = 120.0,
    step_timeout: float = 30.0,
    reset_timeout: float = 120.0,
    **options: Any,
) -> ProcessVectorEnv:
    """Make ``num_envs`` fights.

    Args:
        num_envs: How many.
        max_episode_steps: Truncate episodes after so many steps; None or -1: never.
        start_timeout: Seconds that a process may take to start.
        step_timeout: Seconds after which a process that does not answer a step is replaced.
        reset_timeout: The same for a reset.
        options: Of `StreetFighter2Env`.
    """
    return make_process_vec(
        StreetFighter2Env,
        num_envs,
        max_episode_steps=max_episode_steps,
        start_timeout=start_timeout,
        step_timeout=step_timeout,
        reset_timeout=reset_timeout,
        **options,
    )
