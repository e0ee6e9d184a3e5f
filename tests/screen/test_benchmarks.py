"""The long measurements of a live game do not pass what they have not seen, and leave nothing behind."""

import dataclasses
import importlib
import json
import math
import signal
from pathlib import Path

import numpy as np
import pytest
from gymnasium.vector import VectorEnv

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


class TestBallOffset:
    @pytest.fixture
    def picture(self):
        picture = np.zeros((480, 640, 4), np.uint8)
        picture[444:458, 270:330] = (180, 220, 240, 0)  # BGRA: the paddle, its middle at 300
        return picture

    @pytest.fixture
    def reader(self, benchmark):
        return benchmark("_ball").BallOffset()

    def test_is_the_distance_of_the_middles(self, reader, picture):
        picture[400:410, 245:255] = 200
        assert reader.read(picture) == pytest.approx(50, abs=1)

    def test_lowest_ball_counts(self, reader, picture):
        picture[400:410, 245:255] = 200
        picture[350:360, 295:305] = 200
        assert reader.read(picture) == pytest.approx(50, abs=1)

    def test_no_reading_without_a_ball_or_a_paddle(self, reader, picture):
        assert reader.read(picture) is None
        picture[400:420, 245:285] = 200  # what a brick drops is larger
        picture[380:383, 100:103] = 200  # and a spark smaller
        assert reader.read(picture) is None
        picture[400:410, 400:410] = 200
        assert reader.read(picture) is not None
        picture[440:] = 0
        assert reader.read(picture) is None


class Scripted(VectorEnv):
    """Two columns; each step gives what it is told to."""

    num_envs = 2

    def step(self, rows):
        score, offset, ended = (np.array(column) for column in zip(*rows, strict=True))
        infos = {"resetting": np.zeros(2, bool), "reward_parts": {"score": score, "offset": offset}}
        return None, score + offset, ended, np.zeros(2, bool), infos


def test_tally_pays_the_score_alone_but_in_training(benchmark):
    tally = benchmark("screen_learning").Tally(Scripted())
    rows = [(0.5, -0.25, False), (2.0, 1.0, True)]
    assert tally.step(rows)[1].tolist() == [0.5, 2.0]
    tally.train(loss=1.0, shaped=True)
    assert tally.step(rows)[1].tolist() == [0.25, 2.0]
    assert list(tally.scores) == [200.0, 200.0]  # points per life that has ended
    assert tally.step([(0.5, 0.0, True), (0.0, 0.0, False)])
    assert list(tally.scores) == [200.0, 200.0, 150.0]
