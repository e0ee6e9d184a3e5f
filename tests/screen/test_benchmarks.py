"""The long measurements of a live game do not pass what they have not seen, and leave nothing behind."""

import dataclasses
import importlib
import json
import math
import signal
from pathlib import Path

import pytest

from hakisa_envs.screen.env import ScreenGameEnv

from .helpers import gone

STILL = {"rss_mb": 4.9, "fds": 0, "threads": -1, "others_rss_mb": 0.0, "x_clients": 0}


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module


@pytest.mark.parametrize(
    ("growth", "minutes", "whole", "passes"),
    [
        ({}, 60, True, True),
        ({}, 60, False, False),
        ({}, 59, True, False),
        ({"rss_mb": 5}, 60, True, False),
        ({"fds": 1}, 60, True, False),
    ],
)
def test_endurance_is_an_hour_in_which_nothing_grows(growth, minutes, whole, passes, benchmark):
    assert benchmark("screen_endurance").passes(STILL | growth, minutes, whole) is passes


@pytest.mark.parametrize("done", [0, 2])
def test_endurance_that_was_interrupted_counts_whole_steps_and_does_not_pass(done, benchmark, monkeypatch):
    step, seen = ScreenGameEnv.step, []

    def interrupted(env, action):
        if len(seen) == done:
            raise KeyboardInterrupt
        seen.append(action)
        return step(env, action)

    monkeypatch.setattr(ScreenGameEnv, "step", interrupted)
    figures = benchmark("screen_endurance").play(30.0, 60.0)
    assert figures["steps"] == done
    assert set(figures["growth"].values()) == {0}
    assert figures["passes"] is False


def test_faults_that_never_end_are_counted_in_json(benchmark):
    figures = benchmark("screen_faults").figures("close", [1.0, math.inf, math.inf])
    assert figures["never"] == 2
    assert figures["p50_ms"] is None
    assert json.loads(json.dumps(figures, allow_nan=False))["worst_ms"] == [1.0, None, None]


def test_faults_that_are_interrupted_leave_no_stopped_trainer(benchmark, monkeypatch):
    faults, pids = benchmark("screen_faults"), []

    def interrupted(stage):
        pids.append(stage.trainer.process.pid)
        stage.trainer.process.send_signal(signal.SIGSTOP)
        raise KeyboardInterrupt

    monkeypatch.setitem(faults.FAULTS, "close", dataclasses.replace(faults.FAULTS["close"], prepare=interrupted))
    with pytest.raises(KeyboardInterrupt):
        faults.strike(["close"], 1, {"close": []}, keep=False)
    assert gone(*pids)
