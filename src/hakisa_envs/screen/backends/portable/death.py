"""Tells of another process's death by a handle on it: a pipe alone stays open in a fork of it."""

from __future__ import annotations

import ctypes
import os
import select
import sys
import threading
from collections.abc import Callable
from typing import Any

SYNCHRONIZE, INFINITE = 0x00100000, 0xFFFFFFFF  # winnt.h, winbase.h


def wait_for_end(pid: int, kernel32: Any = None) -> None:
    """Return when a process has ended, or if there is none of this number."""
    if hasattr(os, "pidfd_open"):
        _wait_for_pidfd(pid)
    elif hasattr(select, "kqueue"):
        _wait_for_kqueue(pid)
    else:
        _wait_for_handle(pid, kernel32)


def call_at_end(pid: int, function: Callable[[], None]) -> None:
    """Call ``function`` in another thread when a process has ended."""

    def wait() -> None:
        wait_for_end(pid)
        function()

    threading.Thread(target=wait, name="hakisa-death", daemon=True).start()


def _wait_for_pidfd(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)


def _wait_for_kqueue(pid: int) -> None:
    kqueue: Any = vars(select)["kqueue"]()
    try:
        event = vars(select)["kevent"](
            pid,
            filter=vars(select)["KQ_FILTER_PROC"],
            flags=vars(select)["KQ_EV_ADD"] | vars(select)["KQ_EV_ONESHOT"],
            fflags=vars(select)["KQ_NOTE_EXIT"],
        )
        kqueue.control([event], 0)
        kqueue.control(None, 1)
    except ProcessLookupError:
        return
    finally:
        kqueue.close()


def _wait_for_handle(pid: int, kernel32: Any) -> None:
    if kernel32 is None:
        kernel32 = vars(ctypes)["WinDLL"]("kernel32", use_last_error=True)
        kernel32.OpenProcess.restype = ctypes.c_void_p
        kernel32.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        kernel32.CloseHandle.argtypes = (ctypes.c_void_p,)
    handle = kernel32.OpenProcess(SYNCHRONIZE, False, pid)
    if not handle:
        return
    try:
        kernel32.WaitForSingleObject(handle, INFINITE)
    finally:
        kernel32.CloseHandle(handle)


def parent_died(parent: int) -> bool:
    """Whether the process that started this one has ended; Windows does not tell by this, its handle does."""
    return sys.platform != "win32" and os.getppid() != parent
