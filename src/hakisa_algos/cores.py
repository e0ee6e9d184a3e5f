"""How many cores there are."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has, where it was given only some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
