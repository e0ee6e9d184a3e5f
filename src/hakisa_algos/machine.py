"""What this machine has: cores, and packages that are installed."""

from __future__ import annotations

import importlib.metadata
import os


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has, where it was given only some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def version_of(distribution: str) -> str | None:
    """The version of a distribution; None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
