"""The run on the terminal: a live panel, or plain lines when nobody is watching one.

No thread draws here: the view changes when the trainer says something, four times a second at most. Whatever
goes wrong with the terminal (closed, too odd, rich missing), the view falls silent and the training goes on.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TextIO

from hakisa_algos.training.progress import Progress

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 0.25
_LINE_SECONDS = 10.0


class ConsoleView:
    """The :class:`hakisa_algos.training.trainer.View` on a terminal; a context manager, or call ``stop`` at the end.

    Args:
        stream: where to; ``None`` (default) is standard output at the time of ``start``. A terminal gets the
            live panel (with rich, which the extra ``algos`` brings), anything else a line every ten seconds.
        clock: monotonic seconds; tests pass their own.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._given, self._clock = stream, clock
        self._stream: TextIO | None = None  # None: not started, stopped, or broken
        self._live: Any = None
        self._progress = Progress("", 0)
        self._shown = -math.inf
        self._line_due = False

    def start(self, title: str, total_steps: int) -> None:
        """Begin to show a run of ``total_steps`` env steps."""
        self.stop()
        self._progress, self._shown, self._line_due = Progress(title, total_steps), -math.inf, False
        self._stream = self._given or sys.stdout
        self._safely(self._open)

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take in the newest metrics (names: docs/metrics.md); those not given keep their last value."""
        self._safely(self._take, step, metrics)

    def notice(self, text: str) -> None:
        """Show a line of text, such as a warning. The same text again is counted, not repeated."""
        self._safely(self._take_notice, text)

    def status(self, text: str) -> None:
        """Show how far something is that takes long; the next metrics end it."""
        self._safely(self._take_status, text)

    def stop(self) -> None:
        """Show the last state and hand the terminal back; a second call does nothing."""
        self._safely(self._close)
        self._stream = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _safely(self, action: Callable[..., None], *arguments: Any) -> None:
        if self._stream is None:
            return
        try:
            action(*arguments)
        except Exception as error:
            logger.debug("the console view stopped: %r", error)
            self._abandon(self._stream)

    def _abandon(self, stream: TextIO) -> None:
        """Leaves the terminal as well as it can be left, and keeps a broken pipe from being reported at exit."""
        live, self._live, self._stream = self._live, None, None
        atexit.unregister(self.stop)
        with contextlib.suppress(Exception):
            if live is not None:
                live.stop()
        try:
            stream.flush()
        except BrokenPipeError:
            # Python flushes standard output once more when it ends (its documentation, "Note on SIGPIPE").
            if stream is sys.stdout:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError):
            pass

    def _open(self) -> None:
        assert self._stream is not None
        if self._stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
            with contextlib.suppress(ImportError):
                from hakisa_algos.training.console_panel import open_live

                self._live = open_live(self._stream, self._progress)
                atexit.register(self.stop)  # else a crash leaves a terminal without a cursor
                return
        self._write(f"{self._progress.title}: {self._progress.total_steps:,} steps")

    def _take(self, step: int, metrics: Mapping[str, float]) -> None:
        self._progress.take(step, metrics)
        self._line_due = True
        self._show()

    def _take_notice(self, text: str) -> None:
        new = self._progress.notice(text)
        if self._live is not None:
            self._show()
        elif new:
            self._write(f"  ! {text}")

    def _take_status(self, text: str) -> None:
        self._progress.status = text
        if self._live is not None:
            self._show()
        else:
            self._write(f"  {text}")

    def _show(self) -> None:
        now = self._clock()
        if now - self._shown < (_LINE_SECONDS if self._live is None else _REFRESH_SECONDS):
            return
        self._shown, self._line_due = now, False
        if self._live is not None:
            self._live.refresh()
        else:
            self._write(self._progress.line())

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def _close(self) -> None:
        atexit.unregister(self.stop)
        if self._live is not None:
            live, self._live = self._live, None
            live.refresh()
            live.stop()
        elif self._line_due:
            self._write(self._progress.line())
