"""How the process treats memory that tensors give back."""

from __future__ import annotations

import ctypes
import sys

# malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Tells glibc to keep what is freed for the next tensor, instead of handing it to the kernel.

    A training step on pictures frees and takes the same hundred MB again and again, and fresh memory costs page faults.
    It holds for the whole process. Other C libraries are left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 32 * 2**20)  # the most that glibc takes
        mallopt(_TRIM_THRESHOLD, 2**30)
