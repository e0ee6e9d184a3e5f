"""A frame of a film about a live game: what the agent sees beside the whole window, and words under them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hakisa_algos.errors import require

Picture = NDArray[np.uint8]
HEIGHT = 480  # of the pictures, about
GAP = 8
LINE = 20
CHARACTER = 9  # width of one, in the font below; a little more than most of its letters have
LEAST_WIDTH = 640


class Scene:
    """Composes frames of one size, that of the first, from uint8 RGB ``[height, width, 3]``."""

    def __init__(self, observation: Picture, window: Picture) -> None:
        zoom = max(1, HEIGHT // len(observation))
        self._height = zoom * len(observation)
        self._widths = [
            zoom * observation.shape[1],
            max(1, round(self._height * window.shape[1] / len(window))),
        ]
        self._width: int = max(self._widths[0] + GAP + self._widths[1], LEAST_WIDTH)
        self._lines: int | None = None

    @property
    def columns(self) -> int:
        """How many characters fit in a line."""
        return self._width // CHARACTER

    def draw(self, observation: Picture, window: Picture, lines: Sequence[str]) -> Picture:
        """One frame, uint8 RGB ``[height, width, 3]``, with at most as many lines as the first."""
        cv2 = require("cv2", "screen")
        if self._lines is None:
            self._lines = len(lines)
        frame = np.zeros((self._height + GAP + LINE * self._lines, self._width, 3), np.uint8)
        left, right = self._widths
        frame[: self._height, :left] = cv2.resize(observation, (left, self._height), interpolation=cv2.INTER_NEAREST)
        method = cv2.INTER_AREA if len(window) > self._height else cv2.INTER_LINEAR
        shown = cv2.resize(window, (right, self._height), interpolation=method)
        frame[: self._height, left + GAP : left + GAP + right] = shown
        for row, line in enumerate(lines[: self._lines]):
            bottom = self._height + GAP + LINE * (row + 1) - 6
            cv2.putText(frame, line, (4, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 230, 230), 1, cv2.LINE_AA)
        return frame
