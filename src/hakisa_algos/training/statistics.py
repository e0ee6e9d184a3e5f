"""Running figures of a training run's episodes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any


class EpisodeStatistics:
    """Return and length of the last episodes, and the best stretch so far.

    Args:
        window: how many episodes the means are over; larger is smoother and later.
    """

    def __init__(self, window: int = 100) -> None:
        self._returns: deque[float] = deque(maxlen=window)
        self._lengths: deque[int] = deque(maxlen=window)
        self._count = 0
        self._best = math.nan

    def add(self, episode_return: float, length: int) -> None:
        """Count one finished episode: its undiscounted raw return, and its length in steps."""
        self._returns.append(float(episode_return))
        self._lengths.append(int(length))
        self._count += 1
        if len(self._returns) == self._returns.maxlen:
            self._best = max(self.mean_return, self._best) if self._best == self._best else self.mean_return

    @property
    def returns(self) -> list[float]:
        """Returns of the window's episodes, oldest first."""
        return list(self._returns)

    @property
    def count(self) -> int:
        """Episodes since the beginning of the run."""
        return self._count

    @property
    def mean_return(self) -> float:
        """Mean return of the window; NaN before the first episode."""
        return math.fsum(self._returns) / len(self._returns) if self._returns else math.nan

    @property
    def mean_length(self) -> float:
        """Mean length of the window, in steps; NaN before the first episode."""
        return sum(self._lengths) / len(self._lengths) if self._lengths else math.nan

    @property
    def best_mean_return(self) -> float:
        """Highest ``mean_return`` of a full window; NaN until there was one."""
        return self._best

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "returns": list(self._returns),
            "lengths": list(self._lengths),
            "count": self._count,
            "best": self._best,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state()``; the window stays the one given here."""
        self._returns = deque(state["returns"], self._returns.maxlen)
        self._lengths = deque(state["lengths"], self._lengths.maxlen)
        self._count = state["count"]
        self._best = state["best"]
