"""Starts of games that seed their chance with the clock: each in a second of its own, or all would play the same."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows, where a game is alone on the desktop
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def second_of_its_own(patience: float) -> Iterator[None]:
    """What is started inside shares no second of the clock with what this user starts so elsewhere on the machine.

    Args:
        patience: Seconds to wait for the others. After these it is started all the same.
    """
    if fcntl is None:
        yield
        return
    path = os.path.join(tempfile.gettempdir(), f"hakisa-starts-{os.getuid()}")
    try:
        file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    except OSError as error:  # somebody else's, or a link: no reason not to play
        log.warning("Displays that start together may play the same, because of %s: remove it. (%s)", path, error)
        yield
        return
    try:
        deadline = time.monotonic() + patience
        while not _locked(file):
            if time.monotonic() > deadline:
                log.warning("Others have been starting their game for %.0f s: this one may play the same.", patience)
                break
            time.sleep(0.01)
        while int(time.time()) == int(os.stat(file).st_mtime):  # when the last of them had started
            time.sleep(0.01)
        yield
        ended = time.time()
        os.utime(file, (ended, ended))  # the kernel's own stamp may still be of the second before
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)  # also of a child that is only just being forked
        os.close(file)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True
