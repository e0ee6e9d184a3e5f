"""Ctrl+C and SIGTERM end a run cleanly, twice at once; after a kill the latest checkpoint still loads."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.signals import StopSignals

CHILD = Path(__file__).with_name("signal_child.py")


@contextlib.contextmanager
def training(*arguments):
    command = [sys.executable, "-W", "error", str(CHILD), *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_signal_saves_at_the_end_of_an_update_and_exits_cleanly(tmp_path, name):
    with training(tmp_path / "run") as child:
        said = [child.stdout.readline() for _ in range(3)]
        child.send_signal(signal.Signals[name])
        output, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert not errors
    *_, last, farewell = "".join([*said, output]).splitlines()
    assert farewell == f"stopped by {name} at {last}"
    assert int(last) % 64 == 0
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == int(last)
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == int(last)
    assert not list((tmp_path / "run" / "checkpoints").glob(".tmp*"))


def test_the_terminals_interrupt_reaches_env_workers_too_and_still_saves(tmp_path):
    with training(tmp_path / "run", "-", "async") as child:
        assert child.stdout.readline()
        os.killpg(child.pid, signal.SIGINT)
        output, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    last = output.split()[-1]
    assert f"stopped by SIGINT at {last}" in output
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == int(last)


@pytest.mark.parametrize(("name", "code", "last_words"), [("SIGINT", -2, "KeyboardInterrupt"), ("SIGTERM", 143, "")])
def test_the_second_signal_exits_at_once(tmp_path, name, code, last_words):
    with training(tmp_path / "run", name) as child:
        output, errors = child.communicate(timeout=60)
    assert child.returncode == code, errors
    assert errors.strip().endswith(last_words)
    assert output.split() == ["64", "128"]
    assert (
        load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == 128
    )  # the one before the interrupted update


def test_after_a_kill_at_any_moment_the_latest_checkpoint_loads_and_the_run_goes_on(tmp_path):
    rng = random.Random(0)
    step = 0
    for _ in range(3):
        with training(tmp_path / "run") as child:
            first, second = (int(child.stdout.readline()) for _ in range(2))  # a checkpoint lies between them
            assert first == step + 64
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=rng.uniform(0, 0.3))
            child.kill()
            output, errors = child.communicate(timeout=60)
            assert not errors
        last = max([second, *map(int, output.split())])
        step = load_checkpoint(tmp_path / "run" / "checkpoints").state["step"]
        # Steps are printed just before they are saved, which waits for the save before, and only for that.
        assert last - 128 <= step <= last


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals() as signals:
        assert signals.name is None
        signal.raise_signal(signal.SIGTERM)
        assert signals.name == "SIGTERM"
        with pytest.raises(SystemExit) as caught:
            signal.raise_signal(signal.SIGTERM)
        assert caught.value.code == 143
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_in_another_thread_nothing_is_touched():
    before = signal.getsignal(signal.SIGINT)
    inside = []

    def run():
        with StopSignals() as signals:
            inside.append((signal.getsignal(signal.SIGINT), signals.name))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == [(before, None)]
