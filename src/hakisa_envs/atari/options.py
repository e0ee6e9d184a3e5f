"""The options that Pong's single and vector environments share, and the checks on them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from hakisa_envs import contract
from hakisa_envs.errors import checked_float, checked_int

FRAMES_PER_SECOND = 60


@dataclass(frozen=True, kw_only=True)
class PongOptions:
    """How Pong is played and seen. Each field is checked; `PongEnv` explains them.

    Raises:
        ValueError: For a value out of range, named with its rule.
    """

    difficulty: int = 0
    sticky: float = 0.0
    frame_size: int = 84
    frame_stack: int = 4
    frame_skip: int = 4
    noop_max: int = 30
    paddle_reward: float = 0.0

    def __post_init__(self) -> None:
        checked_int("difficulty", self.difficulty, 0, 3)
        checked_float("sticky", self.sticky, 0.0, 1.0)
        # The screen is 160 wide. A larger picture holds no more, and OpenCV enlarges by another rule.
        checked_int("frame_size", self.frame_size, 8, 160)
        checked_int("frame_stack", self.frame_stack, 1, 64)
        checked_int("frame_skip", self.frame_skip, 1, 64)
        checked_int("noop_max", self.noop_max, 0, 10_000)
        checked_float("paddle_reward", self.paddle_reward, -1e6, 1e6)

    @property
    def observation_space(self) -> Box[np.uint8]:
        """uint8 ``[frame_stack, frame_size, frame_size]``."""
        return Box(0, 255, (self.frame_stack, self.frame_size, self.frame_size), np.uint8)

    @property
    def metadata(self) -> dict[str, Any]:
        """What both environments declare; ``frame_stack`` is (axis of one observation, frames, padding)."""
        return {
            "render_modes": ["rgb_array"],
            "render_fps": FRAMES_PER_SECOND / self.frame_skip,
            contract.CONTRACT: contract.VERSION,
            contract.FRAME_STACK: (0, self.frame_stack, "zero"),
            contract.MEANING: {"frame_skip": self.frame_skip},
        }


OPTION_NAMES = tuple(field.name for field in fields(PongOptions))


def outcome(score: float) -> str:
    """How a game ended, or stands: ``"win"``, ``"loss"`` or ``"draw"``, by the points made less those lost."""
    win, loss, draw = contract.OUTCOMES
    return win if score > 0 else loss if score < 0 else draw


def emulator_seed(seed: int) -> int:
    """Fold a seed into the 31 bits that the emulator takes; seeds below 2**31 stay as they are."""
    return seed % 2**31
