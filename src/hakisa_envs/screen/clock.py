"""A metronome with absolute deadlines."""

from __future__ import annotations

import time
from dataclasses import dataclass

SPIN_NS = 150_000  # a sleep overshoots by 60-150 us on an idle Linux; the rest is spun away


@dataclass(frozen=True)
class Tick:
    """One deadline that was waited for.

    Attributes:
        t_ns: When it really fired (`time.monotonic_ns`).
        late_ns: How long after the deadline that was.
        missed: Deadlines that had passed before `DeadlineClock.wait` was called, since the last tick.
        waited_ns: How long `DeadlineClock.wait` took.
    """

    t_ns: int
    late_ns: int
    missed: int
    waited_ns: int


class DeadlineClock:
    """Ticks at a fixed rate. A deadline that was missed is counted and skipped, never caught up with a burst.

    Args:
        rate: Ticks per second.
    """

    def __init__(self, rate: float) -> None:
        self.period_ns = round(1e9 / rate)
        self._next = 0

    def start(self) -> None:
        """Begin now: the first deadline is the one nearest to a period away.

        All clocks of one rate tick together, at multiples of the period: games that are stepped side by side wait for
        the last of them, and on grids of their own there would always be one that had just missed its deadline.
        """
        self._next = (time.monotonic_ns() + self.period_ns * 3 // 2) // self.period_ns * self.period_ns

    def wait(self) -> Tick:
        """Sleep until the next deadline that still lies ahead.

        All deadlines lie on one grid, ``k * period``, however late a call comes; so errors do not add up.
        """
        now = called = time.monotonic_ns()
        missed = 0
        if now > self._next:
            missed = (now - self._next) // self.period_ns + 1
            self._next += missed * self.period_ns
        deadline = self._next
        remaining = deadline - now - SPIN_NS
        if remaining > 0:
            time.sleep(remaining / 1e9)
        while (now := time.monotonic_ns()) < deadline:
            pass
        self._next = deadline + self.period_ns
        return Tick(now, now - deadline, missed, now - called)
