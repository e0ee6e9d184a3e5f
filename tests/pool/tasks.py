"""What the pool tests run in workers."""

import os
import signal
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
