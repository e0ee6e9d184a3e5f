"""What all that starts processes needs."""

from __future__ import annotations

import signal


def how_it_ended(code: int | None) -> str:
    """The exit code of a process in words: what it returned, or the signal that killed it."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # real-time signals have no names
        name = f"signal {-code}"
    return f"exit code {code}, {name}" + (" (memory may have run out)" if name == "SIGKILL" else "")
