"""What the pool tests run in workers."""

import os
import signal
import sys
import time
from pathlib import Path


class Counter:
    """Says in which process it ran, and how often it had run there before; ``folder`` hears of its end."""

    def __init__(self, folder=None):
        self.folder, self.calls = folder, 0

    def __call__(self, task):
        self.calls += 1
        return task, os.getpid(), self.calls

    def close(self):
        if self.folder:
            Path(self.folder, str(os.getpid())).touch()


class DiesOnce:
    """Squares; the first worker that gets ``unlucky`` kills itself with SIGKILL in mid-task."""

    def __init__(self, folder, unlucky):
        self.folder, self.unlucky = Path(folder), unlucky

    def __call__(self, task):
        mark = self.folder / "died"
        if task == self.unlucky and not mark.exists():
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return task * task


def always_dies(task):
    os.kill(os.getpid(), signal.SIGKILL)


def square(task):
    return task * task


def dies_of(task, unlucky):
    """Squares, but for one task that ends its process as a broken library does."""
    if task == unlucky:
        os.kill(os.getpid(), signal.SIGSEGV)
    return task * task


def meets_another(folder, task):
    """Ends when two processes are here."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    return os.getpid()


class Heavy:
    """More than a pipe holds; says when its process was started and when it was called first, in seconds of uptime."""

    def __init__(self, folder):
        self.folder, self.weight = Path(folder), bytes(4_000_000)

    def __call__(self, task):
        called = time.clock_gettime(time.CLOCK_BOOTTIME)
        ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        meets_others(self.folder, "at", 3)
        return int(ticks) / os.sysconf("SC_CLK_TCK"), called


def meets_others(folder, name, number):
    """Waits until so many processes have called this."""
    (folder / f"{name}-{os.getpid()}").touch()
    while len(list(folder.glob(f"{name}-*"))) < number:
        time.sleep(0.01)


def ends_with_the_others(folder, task):
    """Tasks 0 to 2 end their processes once all three have been told to; task 3 fails when they are under way."""
    if task == 3:
        while len(list(folder.glob("at-*"))) < 3:
            time.sleep(0.01)
        raise ValueError("all are at it")

    def end(number, frame):
        meets_others(folder, "told", 3)
        (folder / f"ended-{os.getpid()}").touch()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    meets_others(folder, "at", 3)
    signal.pause()


def reports_and_waits(folder):
    """Leaves its process id in ``folder`` and waits for the file ``go``."""
    (folder / f"pid-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return os.getpid()


class Odd(Exception):
    """Cannot be unpickled: it wants two arguments."""

    def __init__(self, a, b):
        super().__init__(a)


def fails(task):
    if task == 2:
        raise ValueError(f"no {task}")
    if task == 3:
        raise Odd("odd", 3)
    return task


def wants_no_interrupt(folder):
    """Sends itself what Ctrl+C sends."""
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


def dies_beside(folder, task):
    """Task 0 ends every process it gets; task 1 is under way all the while, and says how often it was begun."""
    if task == 0:
        (folder / f"died-{os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / f"began-{os.getpid()}").touch()
    while len(list(folder.glob("died-*"))) < 3:
        time.sleep(0.01)
    return len(list(folder.glob("began-*")))


def signals_and_waits(pid):
    """Sends a process SIGTERM, and takes very long."""
    os.kill(pid, signal.SIGTERM)
    time.sleep(600)
