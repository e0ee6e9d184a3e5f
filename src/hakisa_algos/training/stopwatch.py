"""Where the time of a run goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Stopwatch:
    """Measures a training from its creation on; the collector counts the nanoseconds in envs and in acting."""

    def __init__(self, collector: Any) -> None:
        self._collector = collector
        self._began = time.perf_counter()
        self._before = dict(collector.nanoseconds)
        self._learning = 0.0

    def update(self, function: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Calls and times an update; returns its metrics."""
        began = time.perf_counter()
        metrics = function()
        self._learning += time.perf_counter() - began
        return metrics

    def metrics(self, steps: int) -> dict[str, float]:
        """Shares of the time so far, and the pace of ``steps`` env steps since the start, all envs together.

        Where several threads act and step at once, ``env`` and ``act`` are their means; where the learner learns
        meanwhile, they and ``update`` lie beside each other.
        """
        elapsed = time.perf_counter() - self._began
        spent = {name: (ns - self._before[name]) / 1e9 for name, ns in self._collector.nanoseconds.items()}
        shares = {
            f"time/{name}_share": seconds / elapsed for name, seconds in (spent | {"update": self._learning}).items()
        }
        return shares | {"time/fps": steps / elapsed, "time/elapsed": elapsed}
