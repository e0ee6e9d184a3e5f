"""Ctrl+C, SIGTERM and SIGHUP as a wish to stop, not an accident; or as an exception, for what ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_WATCHED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Terminated(KeyboardInterrupt):
    """As by Ctrl+C, but by the signal that its argument names."""


class StopSignals:
    """While entered, the first signal sets :attr:`name`; the second ends the process at once.

    But for SIGHUP, which a terminal that is closed and its shell both send. Outside the main thread Python delivers no
    signals, and this does nothing.

    Args:
        grace: seconds after the first signal within which it is good to end at a better moment than the next step.
        words: what standard error is told at the first signal, or what says it then; None tells nothing.

    Attributes:
        name: of the signal that came, or None.
        insisted: a second one came, and this raised what ends the process.
    """

    def __init__(self, grace: float = 0.0, words: str | Callable[[], str] | None = None) -> None:
        self.name: str | None = None
        self.insisted = False
        self._grace, self._words, self._came = grace, words, 0.0
        self._before: dict[signal.Signals, Any] = {}

    @property
    def overdue(self) -> bool:
        """Whether a signal came and its grace is over."""
        return self.name is not None and time.monotonic() - self._came >= self._grace

    def __enter__(self) -> StopSignals:
        if _hears_signals():
            self._before = {watched: signal.signal(watched, self._note) for watched in _heeded()}
            outer = getattr(self._before.get(signal.SIGTERM), "__self__", None)
            if isinstance(outer, StopSignals):  # what was heard round this holds in it, too
                self.name = outer.name
        return self

    def __exit__(self, *exception: object) -> None:
        for watched, handler in self._before.items():
            signal.signal(watched, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.name is None:
            self.name, self._came = name, time.monotonic()
            if self._words is not None:
                words = self._words() if callable(self._words) else self._words
                with contextlib.suppress(OSError):  # a terminal that has gone
                    os.write(2, f"\n{name}: {words}\n".encode())  # print() is not to be called here
        elif number == signal.SIGINT:
            self.insisted = True
            raise KeyboardInterrupt
        elif name != "SIGHUP":
            self.insisted = True
            raise SystemExit(exit_status(name))


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """While entered, SIGTERM and SIGHUP raise :class:`Terminated`; nothing in other threads."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated(signal.Signals(number).name)

    heeded = [watched for watched in _heeded() if watched != signal.SIGINT] if _hears_signals() else []
    before = {watched: signal.signal(watched, terminate) for watched in heeded}
    try:
        yield
    finally:
        for watched, handler in before.items():
            signal.signal(watched, handler)


def exit_status(name: str | None) -> int:
    """Of a process that this signal stopped, as shells say it: 130, 143 or 129; 0 if it names no signal."""
    return 128 + signal.Signals[name] if name and name in signal.Signals.__members__ else 0


def _heeded() -> list[signal.Signals]:
    """Not a SIGTERM or SIGHUP that somebody wants ignored, as nohup does."""
    return [each for each in _WATCHED if each == signal.SIGINT or signal.getsignal(each) != signal.SIG_IGN]


def _hears_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
