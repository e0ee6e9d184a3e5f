"""The actions from which running episodes can be rebuilt."""

from __future__ import annotations

import numpy as np


class ActionLog:
    """Rows of actions, appended at the end and dropped at the beginning.

    They lie in one array that doubles when it is full: thousands of small ones, living among the large frames that
    come and go with every step, fragment the heap (25 MB per 2,048 steps of Pong).
    """

    def __init__(self) -> None:
        self._rows = np.empty((0,))
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, action: np.ndarray) -> None:
        """Adds a row ``[num_envs, *action shape]``."""
        if self._length == len(self._rows):
            grown = np.empty((max(1024, 2 * self._length), *action.shape), action.dtype)
            if self._length:
                grown[: self._length] = self._rows
            self._rows = grown
        self._rows[self._length] = action
        self._length += 1

    def drop(self, count: int) -> None:
        """Forgets the ``count`` oldest rows."""
        self._length -= count
        self._rows[: self._length] = self._rows[count : count + self._length]

    def array(self) -> np.ndarray:
        """A copy of the rows, ``[length, num_envs, *action shape]``."""
        return self._rows[: self._length].copy()

    def load(self, rows: np.ndarray) -> None:
        """Puts ``rows`` in place of what was there."""
        self._rows = rows.copy()
        self._length = len(rows)
