"""Who trains in a run folder: one process at a time. The lock is the kernel's, and ends with its owner in any case."""

from __future__ import annotations

import functools
import os
import weakref
from datetime import datetime
from pathlib import Path
from typing import Self, TextIO

from hakisa_algos.errors import RunFolderError

try:
    import fcntl
except ImportError:  # Windows: nothing is locked
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """Of the folder ``path``, which exists when it is taken; a context manager, too. Who only reads needs none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def acquire(self) -> None:
        """Takes it, or has it already.

        Raises:
            RunFolderError: somebody else has it; names who, and since when.
        """
        if self._file is not None or fcntl is None:
            return
        file = open(self._path / LOCK, "a+", encoding="utf-8")  # noqa: SIM115 (open until release())
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                owner = file.read().strip() or "another process"
            raise RunFolderError(
                f"{self._path} is in use by {owner}: two that train in one folder would spoil it; wait until that has "
                "ended, or stop it (Ctrl+C or SIGTERM there, which saves)"
            ) from None
        except OSError:  # a file system without locks
            file.close()
            return
        file.truncate(0)
        file.write(f"pid {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M:%S}\n")
        file.flush()
        self._file = file
        _forget_in_children()
        _held.add(self)

    def release(self) -> None:
        """Gives it up; a second call does nothing."""
        file, self._file = self._file, None
        if file is not None:
            with file:
                file.truncate(0)
                fcntl.flock(file, fcntl.LOCK_UN)  # also of a child that is only just being forked

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


@functools.cache
def _forget_in_children() -> None:
    """A forked child has the lock's file, too, and would hold the lock beyond its parent's death."""

    def close_all() -> None:
        for lock in list(_held):
            file, lock._file = lock._file, None
            if file is not None:
                file.close()

    os.register_at_fork(after_in_child=close_all)
