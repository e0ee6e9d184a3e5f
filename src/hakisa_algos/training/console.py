"""The run on the terminal: a live panel, or plain lines when nobody is watching one.

No thread draws here: the view changes when the trainer says something, four times a second at most. Whatever
goes wrong with the terminal (closed, too odd, rich missing), the view falls silent and the training goes on.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TextIO

from hakisa_algos.training.progress import Progress, plain_line

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 0.25
_LINE_SECONDS = 10.0
_HISTORY = 256
_NOTICES = 3


class ConsoleView:
    """Shows a run; use it as a context manager, or call ``stop`` at the end.

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
        self._started = self._shown = 0.0
        self._first_step: int | None = None
        self._stride = self._skipped = 0
        self._line_due = False

    def start(self, title: str, total_steps: int) -> None:
        """Begin to show a run of ``total_steps`` env steps."""
        self.stop()
        self._progress = Progress(title, total_steps)
        self._started, self._shown = self._clock(), -math.inf
        self._first_step, self._stride, self._skipped, self._line_due = None, 1, 0, False
        self._stream = self._given or sys.stdout
        self._safely(self._open)

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take in the newest metrics (names: docs/metrics.md); those not given keep their last value."""
        if self._stream is not None:
            self._safely(self._take, step, metrics)

    def notice(self, text: str) -> None:
        """Show a line of text, such as a warning. The same text again is counted, not repeated."""
        if self._stream is not None:
            self._safely(self._take_notice, text)

    def stop(self) -> None:
        """Show the last state and hand the terminal back; a second call does nothing."""
        if self._stream is not None:
            self._safely(self._close)
        self._stream = None

    def __enter__(self) -> ConsoleView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _safely(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as error:
            logger.debug("the console view stopped: %r", error)
            stream, self._stream = self._stream, None
            live, self._live = self._live, None
            atexit.unregister(self.stop)
            _abandon(live, stream)

    def _open(self) -> None:
        assert self._stream is not None
        if self._stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
            try:
                from hakisa_algos.training.console_panel import open_live
            except ImportError:
                pass
            else:
                self._live = open_live(self._stream, self._progress)
                atexit.register(self.stop)  # else a crash leaves a terminal without a cursor
                return
        self._write(f"{self._progress.title}: {self._progress.total_steps:,} steps")

    def _take(self, step: int, metrics: Mapping[str, float]) -> None:
        progress = self._progress
        progress.step, progress.elapsed = int(step), self._clock() - self._started
        progress.metrics.update({name: float(value) for name, value in metrics.items()})
        if self._first_step is None:
            self._first_step = progress.step  # of this process: a resumed run does not begin at 0
        if math.isfinite(metrics.get("time/fps", math.nan)):
            progress.rate = float(metrics["time/fps"])
        elif progress.elapsed > 0 and progress.step > self._first_step and "time/fps" not in progress.metrics:
            progress.rate = (progress.step - self._first_step) / progress.elapsed
        self._remember(metrics.get("rollout/ep_rew_mean", math.nan))
        self._line_due = True
        self._show(_LINE_SECONDS if self._live is None else _REFRESH_SECONDS)

    def _remember(self, mean_return: float) -> None:
        """Every stride-th value; when there are too many, every second one goes and the stride doubles."""
        if not math.isfinite(mean_return):
            return
        self._skipped += 1
        if self._skipped < self._stride:
            return
        self._skipped = 0
        returns = self._progress.returns
        returns.append(float(mean_return))
        if len(returns) > _HISTORY:
            del returns[::2]
            self._stride *= 2

    def _take_notice(self, text: str) -> None:
        notices = self._progress.notices
        if notices and notices[-1][0] == text:
            notices[-1] = (text, notices[-1][1] + 1)
        else:
            notices.append((text, 1))
            del notices[:-_NOTICES]
            if self._live is None:
                self._write(f"  ! {text}")
        if self._live is not None:
            self._show(_REFRESH_SECONDS)

    def _show(self, interval: float) -> None:
        now = self._clock()
        if now - self._shown < interval:
            return
        self._shown, self._line_due = now, False
        if self._live is not None:
            self._live.refresh()
        else:
            self._write(plain_line(self._progress))

    def _write(self, line: str) -> None:
        assert self._stream is not None
        self._stream.write(line + "\n")
        self._stream.flush()

    def _close(self) -> None:
        atexit.unregister(self.stop)
        if self._live is not None:
            live, self._live = self._live, None
            live.refresh()
            live.stop()
        elif self._line_due:
            self._write(plain_line(self._progress))


def _abandon(live: Any, stream: TextIO | None) -> None:
    """Leave the terminal as well as it can be left, and keep a broken pipe from being reported at exit."""
    try:
        if live is not None:
            live.stop()
    except Exception as error:
        logger.debug("the terminal could not be restored: %r", error)
    try:
        if stream is not None:
            stream.flush()
    except BrokenPipeError:
        # Python flushes standard output once more when it ends (its documentation, "Note on SIGPIPE").
        if stream is sys.stdout:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError) as error:
        logger.debug("the console stream is gone: %r", error)
