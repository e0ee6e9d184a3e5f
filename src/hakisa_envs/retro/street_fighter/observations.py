"""What an agent sees of a fight: the picture, or the numbers, of which neither knows left from right."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from hakisa_envs.errors import import_extra
from hakisa_envs.retro.street_fighter.memory import FULL_HEALTH, GROUND, STAGE_MIDDLE, Frame

STATUSES = (512, 514, 516, 518, 520, 522, 524, 526, 532)  # those of a fighter who fights
_OF_A_FIGHTER = 3 + len(STATUSES)
RAM_SIZE = 2 * _OF_A_FIGHTER + 2


def ram_space() -> Box[np.float32]:
    """float32 ``[26]``, each from -1 to 1."""
    return Box(-1.0, 1.0, (RAM_SIZE,), np.float32)


def ram_observation(frame: Frame) -> NDArray[np.float32]:
    """The numbers of a frame as the agent's fighter sees them, whichever side it is on.

    For the agent and then the opponent: health as a share, how far it is from the middle of the stage (positive:
    in the direction in which the agent looks), height above the ground, and one-hot its status. Then the distance
    between the two, and the time that is left.
    """
    seconds = (frame.timer >> 12) * 10 + (frame.timer >> 8 & 15)
    fighters = (
        (frame.health, frame.x, frame.y, frame.status),
        (frame.enemy_health, frame.enemy_x, frame.enemy_y, frame.enemy_status),
    )
    values = []
    for health, x, y, status in fighters:
        values += [max(health, 0) / FULL_HEALTH, (x - STAGE_MIDDLE) * frame.facing / STAGE_MIDDLE, (GROUND - y) / 128]
        values += [float(status == known) for known in STATUSES]
    values += [abs(frame.enemy_x - frame.x) / STAGE_MIDDLE, seconds / 99]
    return np.clip(np.array(values, np.float32), -1.0, 1.0)


class PixelStack:
    """The last pictures, grey and shrunk, oldest first: uint8 ``[frames, side, side]``.

    Args:
        frames: How many.
        side: Height and width of each.
        needed_by: Who is told to install OpenCV.
    """

    def __init__(self, frames: int, side: int, needed_by: str) -> None:
        self._cv2: Any = import_extra("cv2", extra="retro", needed_by=needed_by)
        self.space = Box(0, 255, (frames, side, side), np.uint8)
        self._pictures = np.zeros(self.space.shape, np.uint8)

    def restart(self, picture: NDArray[np.uint8]) -> None:
        """Fill it with the first picture of an episode."""
        self._pictures[:] = self._shrunk(picture)

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Let the oldest go."""
        self._pictures[:-1] = self._pictures[1:]
        self._pictures[-1] = self._shrunk(picture)

    def observation(self) -> NDArray[np.uint8]:
        """A copy."""
        return self._pictures.copy()

    def set_state(self, pictures: NDArray[np.uint8]) -> None:
        """Put back what `observation` returned."""
        self._pictures[:] = pictures

    def _shrunk(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        size = self._pictures.shape[-1], self._pictures.shape[-2]
        grey = self._cv2.cvtColor(picture, self._cv2.COLOR_RGB2GRAY)
        shrunk: NDArray[np.uint8] = self._cv2.resize(grey, size, interpolation=self._cv2.INTER_AREA)
        return shrunk
