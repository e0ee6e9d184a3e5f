"""What tests of processes share: waiting for a condition, and what is left of one that has ended."""

import os
import time


def slowness():
    """How many times as long as alone on a core this process takes now, by a short burst of work."""
    began, spent = time.monotonic(), time.process_time()
    while (work := time.process_time() - spent) < 0.05:
        pass
    return (time.monotonic() - began) / work


def busy():
    """True if others take this process's time, so that what it does in real time comes late."""
    return slowness() > 1.2


def wait_until(condition, timeout=5.0, message="the condition never held"):
    """Poll ``condition`` until it is true and return its value; fail after ``timeout`` seconds of an idle machine.

    One that turns out to be busy gets more, by how much it is slower: the processes on both sides of what is waited
    for stand in line. On one that is not, a promise that is broken stays broken.
    """
    began, limit = time.monotonic(), timeout
    while not (value := condition()):
        if time.monotonic() - began > limit:
            assert limit == timeout, f"{message} within {limit:g} s"
            assert busy(), f"{message} within {limit:g} s"
            limit *= 2 * slowness()
        time.sleep(0.002)
    return value


def in_time(began, limit):
    """True if at most ``limit`` seconds of an idle machine have passed since ``began``; a busy one gets more."""
    took = time.monotonic() - began
    return took < limit or (busy() and took < limit * 2 * slowness())


def gone(pid):
    """True if there is no such process, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def open_fds():
    """How many file descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))
