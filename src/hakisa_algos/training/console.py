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
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TextIO

from hakisa_algos.training.progress import Progress

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 0.25
_LINE_SECONDS = 10.0


class ConsoleView:
    """The :class:`hakisa_algos.training.trainer.View` on a terminal; a context manager, or call ``stop`` at the end.

    Args:
        title: of the run.
        total_steps: env steps that it is to have.
        stream: where to; ``None`` (default) is standard output. A terminal gets the live panel (with rich, which the
            extra ``algos`` brings), anything else a line every ten seconds.
        clock: monotonic seconds; tests pass their own.
    """

    def __init__(
        self,
        title: str,
        total_steps: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream: TextIO | None = stream or sys.stdout  # None: stopped, or broken
        self._clock = clock
        self._live: Any = None
        self._progress = Progress(title, total_steps)
        self._shown, self._line_due = -math.inf, False
        with self._guarded():
            if self._stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
                with contextlib.suppress(ImportError):
                    from hakisa_algos.training.console_panel import open_live

                    self._live = open_live(self._stream, self._progress)
                    atexit.register(self.stop)  # else a crash leaves a terminal without a cursor
            if self._live is None:
                self._write(f"{title}: {total_steps:,} steps")

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take in the newest metrics (names: docs/metrics.md); those not given keep their last value."""
        with self._guarded():
            self._progress.take(step, metrics)
            self._line_due = True
            self._show()

    def notice(self, text: str) -> None:
        """Show a line of text, such as a warning. The same text again is counted, not repeated."""
        with self._guarded():
            new = self._progress.notice(text)
            if self._live is not None:
                self._show()
            elif new:
                self._write(f"  ! {text}")

    def status(self, text: str) -> None:
        """Show how far something is that takes long; the next metrics end it."""
        with self._guarded():
            self._progress.status = text
            if self._live is not None:
                self._show()
            else:
                self._write(f"  {text}")

    def stop(self) -> None:
        """Show the last state and hand the terminal back; a second call does nothing."""
        with self._guarded():
            atexit.unregister(self.stop)
            if self._live is not None:
                self._live.refresh()
                self._live.stop()
            elif self._line_due:
                self._write(self._progress.line())
        self._live = self._stream = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

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
        if self._stream is not None:
            print(line, file=self._stream, flush=True)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            logger.debug("the console view stopped: %r", error)
            self._abandon()

    def _abandon(self) -> None:
        """Leaves the terminal as well as it can be left, and keeps a broken pipe from being reported at exit."""
        live, stream = self._live, self._stream
        self._live = self._stream = None
        atexit.unregister(self.stop)
        with contextlib.suppress(Exception):
            if live is not None:
                live.stop()
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            # Python flushes standard output once more when it ends (its documentation, "Note on SIGPIPE").
            if stream is sys.stdout:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError):
            pass
