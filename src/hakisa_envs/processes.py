"""What all that starts processes needs."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import wait
from typing import Any


def how_it_ended(code: int | None) -> str:
    """The exit code of a process in words: what it returned, or the signal that killed it."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # real-time signals have no names
        name = f"signal {-code}"
    return f"exit code {code}, {name}" + (" (memory may have run out)" if name == "SIGKILL" else "")


class Ending:
    """Tells when a process of `multiprocessing` has ended, and ends it.

    By the process itself, where the system can: `multiprocessing` hears of it through its fork server, which a signal
    to all processes of a terminal or a scheduler ends, and then takes every process for one that has ended.

    Args:
        process: One that was started.
    """

    def __init__(self, process: Any) -> None:
        self._process = process
        self._pidfd: int | None = None
        if hasattr(os, "pidfd_open"):
            try:
                self._pidfd = os.pidfd_open(process.pid)
            except ProcessLookupError:  # so soon: then the fork server lives, and says so
                self._pidfd = None

    @property
    def sentinel(self) -> int:
        """A handle for `multiprocessing.connection.wait`, ready once it has ended."""
        return int(self._process.sentinel) if self._pidfd is None else self._pidfd

    def came(self, timeout: float = 0.0) -> bool:
        """True if it has ended within so many seconds."""
        return bool(wait([self.sentinel], timeout))

    def bring_about(self, timeout: float) -> None:
        """Wait, then kill: a stopped process hears nothing else. Once only."""
        if not self.came(timeout):
            if self._pidfd is None:
                self._process.kill()
            else:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            wait([self.sentinel])
        self._process.join()
        if self._pidfd is not None:
            os.close(self._pidfd)
