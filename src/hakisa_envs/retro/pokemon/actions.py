"""What an agent does: a direction with a button, or without either, as the pads of a decision's frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete
from numpy.typing import NDArray

from hakisa_envs.errors import checked_choice

Actions = Literal["buttons", "heads"]
Pad = Sequence[str | None]
# The two without a name are the core's turbo A and B: never press them, their clock is in no state.
PAD: Pad = ("B", None, "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A", None, "L", "R")
RED_PAD: Pad = PAD[:9]  # of a Game Boy
DIRECTIONS = ("", "UP", "DOWN", "LEFT", "RIGHT")
BUTTONS = ("", "A", "B")
NOTHING = (0, 0)


class ActionSet:
    """Actions as directions and buttons.

    Args:
        actions: ``"buttons"``: Discrete(15), the direction times three plus the button. ``"heads"``:
            MultiDiscrete [5, 3].
    """

    def __init__(self, actions: Actions) -> None:
        self._heads = checked_choice("actions", actions, ("buttons", "heads")) == "heads"
        self.space: Discrete | MultiDiscrete = MultiDiscrete([5, 3]) if self._heads else Discrete(15)

    def chosen(self, action: Any) -> tuple[int, int]:
        """The direction and the button of an action.

        Raises:
            ValueError: If it is none of the space.
        """
        action = np.asarray(action, np.int64) if self._heads else np.int64(action)
        if not self.space.contains(action):
            raise ValueError(f"action={action!r} is not allowed: it must be in {self.space}.")
        direction, button = action if self._heads else divmod(int(action), len(BUTTONS))
        return int(direction), int(button)

    def meanings(self) -> list[str]:
        """Names of Discrete actions, in order."""
        return [" ".join(filter(None, pair)) or "NOTHING" for pair in ((d, b) for d in DIRECTIONS for b in BUTTONS)]


def pads(direction: int, button: int, frames: int, pad: Pad = PAD) -> NDArray[np.uint8]:
    """A decision's pads, uint8 ``[frames, buttons]``.

    Games heed presses, not what is held. So a button is let go after half of the frames, and a direction before the
    last, and what is chosen again is pressed again.
    """
    held = np.zeros((frames, len(pad)), np.uint8)
    if direction:
        held[: max(1, frames - 1), pad.index(DIRECTIONS[direction])] = 1
    if button:
        held[: max(1, frames // 2), pad.index(BUTTONS[button])] = 1
    return held
