"""Ctrl+C and SIGTERM as a wish to stop, not an accident; or SIGTERM as Ctrl+C, for what ends at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_WATCHED = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While entered, the first SIGINT or SIGTERM sets :attr:`name`; the second ends the process at once.

    Outside the main thread Python delivers no signals, and this does nothing.

    Attributes:
        name: of the signal that came, or None.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if _hears_signals():
            self._before = {watched: signal.signal(watched, self._note) for watched in _WATCHED}
            outer = getattr(self._before[signal.SIGTERM], "__self__", None)
            if isinstance(outer, StopSignals):  # what was heard round this holds in it, too
                self.name = outer.name
        return self

    def __exit__(self, *exception: object) -> None:
        for watched, handler in self._before.items():
            signal.signal(watched, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.name is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + number)
        self.name = signal.Signals(number).name


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """While entered, SIGTERM raises KeyboardInterrupt; nothing in other threads."""
    if not _hears_signals():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _hears_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
