"""What tests of processes share: waiting for a condition, and what is left of one that has ended."""

import os
import time


def wait_until(condition, timeout=5.0, message="the condition never held"):
    """Poll ``condition`` until it is true and return its value; fail after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{message} within {timeout:g} s"
        time.sleep(0.002)
    return value


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
