"""Where the time of a run goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hakisa_algos.policy.observations import to_tensors
from hakisa_algos.training.bound import Bound, measure_bound

# Updates after which the bare parts are timed: enough that this costs the run nothing, and that all is warm.
_BOUND_AFTER = 20


class Stopwatch:
    """Measures one call of :meth:`hakisa_algos.training.trainer.Trainer.train` from its creation on.

    Args:
        learner: its ``bare_loss``, where it has one, is what gradient steps are measured against.
        collector: counts the nanoseconds in envs and in acting.
        num_envs: env steps in a row.
    """

    def __init__(self, learner: Any, collector: Any, num_envs: int) -> None:
        self._learner, self._collector, self._num_envs = learner, collector, num_envs
        self._began = time.perf_counter()
        self._before = dict(collector.nanoseconds)
        self._learning = self._gradient_steps = 0.0
        self._updates = 0
        self._bound: Bound | None = None

    def update(self, function: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Calls and times an update; returns its metrics."""
        began = time.perf_counter()
        metrics = function()
        self._learning += time.perf_counter() - began
        self._gradient_steps += metrics.get("train/gradient_steps", 0.0)
        self._updates += 1
        return metrics

    def metrics(self, steps: int) -> dict[str, float]:
        """Shares of the time so far, and the pace.

        Where several threads act and step at once, ``env`` and ``act`` are their means; where the learner learns
        meanwhile, they and ``update`` lie beside each other. The bound takes the envs' time as it was measured and the
        forward of all columns in all threads, as a loop that does one after the other would run it at best; against
        that, threads that each have a core of their own may come out above 1.

        Args:
            steps: env steps since the start, all envs together.
        """
        elapsed = time.perf_counter() - self._began
        spent = {name: (ns - self._before[name]) / 1e9 for name, ns in self._collector.nanoseconds.items()}
        if self._updates == _BOUND_AFTER:
            self._bound = self._measure()
        found = {f"time/{name}_share": seconds / elapsed for name, seconds in spent.items()}
        found |= {"time/update_share": self._learning / elapsed, "time/fps": steps / elapsed, "time/elapsed": elapsed}
        if self._bound is not None:
            rows = steps // self._num_envs
            found["time/bound_share"] = self._bound.share(elapsed, spent["env"], rows, self._gradient_steps)
        return found

    def _measure(self) -> Bound | None:
        config = self._learner.config
        minibatch = getattr(config, "minibatch_size", None) or getattr(config, "batch_size", None)
        if minibatch is None or not hasattr(self._learner, "bare_loss"):
            return None
        seen = to_tensors(self._collector.observation, self._collector.device)
        return measure_bound(self._learner, seen, min(minibatch, self._learner.capacity * self._num_envs))
