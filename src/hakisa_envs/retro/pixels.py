"""What an agent sees of a console's pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from hakisa_envs.errors import import_extra


class PixelStack:
    """The last pictures, grey and shrunk, oldest first: uint8 ``[frames, height, width]``.

    Args:
        frames: How many.
        size: Height and width of each.
        needed_by: Who is told to install OpenCV.
    """

    def __init__(self, frames: int, size: tuple[int, int], needed_by: str) -> None:
        self._cv2: Any = import_extra("cv2", extra="retro", needed_by=needed_by)
        self.space = Box(0, 255, (frames, *size), np.uint8)
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
        height, width = self._pictures.shape[1:]
        grey = self._cv2.cvtColor(picture, self._cv2.COLOR_RGB2GRAY)
        shrunk: NDArray[np.uint8] = self._cv2.resize(grey, (width, height), interpolation=self._cv2.INTER_AREA)
        return shrunk
