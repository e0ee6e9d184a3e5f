"""Running figures of a training run: episodes, and where the time goes."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter_ns
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


class StageTimer:
    """Where the time goes: nanoseconds per stage, of which exactly one runs at any time.

    ``switch`` ends one stage and begins the next with a single reading of the clock (about 0.2 us), so it can
    stand in the innermost loop. The stages of the training loop are ``"env"``, ``"act"``, ``"update"`` and
    ``"other"``, which is also the first one.
    """

    def __init__(self) -> None:
        self._spent: defaultdict[str, int] = defaultdict(int)
        self._stage = "other"
        self._since = perf_counter_ns()

    def switch(self, stage: str) -> str:
        """From now on time counts for ``stage``; returns the stage that ends."""
        now = perf_counter_ns()
        ended = self._stage
        self._spent[ended] += now - self._since
        self._stage, self._since = stage, now
        return ended

    @contextmanager
    def stage(self, stage: str) -> Iterator[None]:
        """``with timer.stage("update"): ...``; afterwards the stage before goes on."""
        before = self.switch(stage)
        try:
            yield
        finally:
            self.switch(before)

    def seconds(self) -> dict[str, float]:
        """Seconds per stage since the last ``reset``."""
        self.switch(self._stage)
        return {stage: spent / 1e9 for stage, spent in self._spent.items()}

    def shares(self) -> dict[str, float]:
        """Share of each stage in the time since the last ``reset``; together 1 (empty if no time passed)."""
        seconds = self.seconds()
        total = sum(seconds.values())
        return {stage: spent / total for stage, spent in seconds.items()} if total > 0 else {}

    def reset(self) -> None:
        """Forget the times; the present stage goes on."""
        self.switch(self._stage)
        self._spent.clear()
