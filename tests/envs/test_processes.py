"""How the end of a process is told."""

import signal
import subprocess

import pytest

from hakisa_envs.processes import how_it_ended


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSEGV, "exit code -11, SIGSEGV"),
        (signal.SIGKILL, "exit code -9, SIGKILL (memory may have run out)"),
        (signal.SIGRTMIN + 1, f"exit code -{signal.SIGRTMIN + 1}, signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_signal_that_killed_a_process_is_named_if_it_has_a_name(number, words):
    process = subprocess.Popen(["sleep", "60"])
    process.send_signal(number)
    assert how_it_ended(process.wait()) == words


@pytest.mark.parametrize(("code", "words"), [(0, "exit code 0"), (3, "exit code 3"), (None, "exit code None")])
def test_what_a_process_returned_is_told(code, words):
    assert how_it_ended(code) == words
