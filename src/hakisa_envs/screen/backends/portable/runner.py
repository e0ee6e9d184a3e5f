"""Starts a program in a session of its own, waits for its end, and brings that about when the trainer dies.

Run by path with ``python -I -S``, so it imports the standard library and its neighbour only, and is up in 20 ms. For
Linux and macOS; Windows has jobs for this.

Usage: runner.py TRAINER_PID LOG PROGRAM ARGUMENT...

It writes ``pid N`` or ``error WHY`` to standard output, and at the end ``code N``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from death import call_at_end, parent_died  # type: ignore[import-not-found]

GRACE_S = 0.5  # between SIGTERM and SIGKILL
LOOK_S = 0.05


def is_alive(group: int) -> bool:
    """Whether anything in a process group lives."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # on macOS what is left are zombies of others
        return False
    return True


def send(group: int, number: int) -> None:
    """Signal a process group; one that has ended is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask politely, wait, then kill; a program that was stopped is continued so that it can hear."""
    send(child.pid, signal.SIGTERM)
    send(child.pid, signal.SIGCONT)
    deadline = time.monotonic() + GRACE_S
    while is_alive(child.pid) and time.monotonic() < deadline:
        child.poll()
        time.sleep(0.005)
    send(child.pid, signal.SIGKILL)


def main() -> None:
    """Start it and stay until it and all in its session have ended."""
    trainer, log, argv = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    told = False

    def stop(*details: Any) -> None:
        nonlocal told
        told = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with open(log, "ab") as output:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
    except (OSError, ValueError) as error:  # a ValueError: what no program can be given
        print(f"error {error}", flush=True)
        return
    print(f"pid {child.pid}", flush=True)
    call_at_end(trainer, stop)
    if parent_died(trainer):
        stop()
    while not told and (child.poll() is None or is_alive(child.pid)):
        time.sleep(LOOK_S)
    end(child)
    child.wait()
    with contextlib.suppress(OSError):  # the trainer has gone
        print(f"code {child.returncode}", flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # a thread waits for the trainer
