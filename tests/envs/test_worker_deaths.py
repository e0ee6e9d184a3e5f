"""A process that is found dead, whenever that is: its column begins a new episode, and the next row says so."""

import os
import signal
import time
from functools import partial

import numpy as np
import pytest

from hakisa_envs.vector import ProcessVectorEnv, WorkerError
from tests.helpers.processes import gone, wait_until
from tests.helpers.toy import END, SLOW_RESET, STEP, Dice, Toy

MASK = {"reset_mask": np.array([False, True, False])}


@pytest.fixture
def envs():
    envs = ProcessVectorEnv([Dice] * 3, step_timeout=2.0)
    envs.reset(seed=5)
    envs.step([STEP] * 3)
    yield envs
    envs.close()


def kill(envs, number=signal.SIGKILL):
    """Kill the process of column 1, and return once it is dead."""
    pid = envs.pids[1]
    os.kill(pid, number)
    if number == signal.SIGKILL:
        wait_until(lambda: gone(pid))


def assert_began_anew(envs, words="died"):
    """The next row of column 1 is the first of a new episode and nothing else; the other columns play on."""
    observations, rewards, terminated, truncated, infos = envs.step([STEP] * 3)
    assert infos["began"].tolist() == [False, True, False]
    assert (observations % 100).tolist() == [[5, 2], [99, 0], [7, 2]]  # a pause counts a hundred
    assert rewards[1] == 0.0
    assert not terminated.any()
    assert not truncated.any()
    for word in ("transition", "counted"):
        assert infos[f"_{word}"].tolist() == [False, True, False]
        assert not infos[word][1]
    assert words in infos["failure"][1]
    observations, _, _, _, infos = envs.step([STEP] * 3)
    assert (observations[:, 1] % 100).tolist() == [3, 1, 3]
    assert "began" not in infos
    assert "failure" not in infos


def test_at_pause(envs):
    kill(envs)
    envs.pause()
    envs.resume()
    assert_began_anew(envs)


def test_at_resume(envs):
    envs.pause()
    kill(envs)
    envs.resume()
    assert_began_anew(envs)


def test_at_both(envs):
    kill(envs)
    envs.pause()
    kill(envs)
    envs.resume()
    assert_began_anew(envs)


def test_one_that_hangs_at_pause(envs):
    kill(envs, signal.SIGSTOP)
    envs.pause()
    envs.resume()
    assert_began_anew(envs, "did not answer within 2 s")


def test_in_a_call(envs):
    kill(envs)
    with pytest.raises(WorkerError, match="column 1 died"):
        envs.call("add", 1, two=2)
    assert envs.call("add", 1, two=2) == (3, 3, 3)
    assert_began_anew(envs)


def test_when_asked_for_its_state(envs):
    kill(envs)
    states = envs.get_state()
    assert [state is None for state in states] == [False, True, False]
    assert_began_anew(envs)


def test_when_given_a_state(envs):
    states = envs.get_state()
    kill(envs)
    envs.set_state(states)
    assert_began_anew(envs)


def test_between_two_steps(envs):
    kill(envs)
    observations, rewards, terminated, truncated, infos = envs.step([STEP] * 3)
    assert truncated.tolist() == [False, True, False]
    assert not terminated.any()
    assert observations[1].tolist() == [0, 0]
    assert rewards[1] == 0.0
    assert "died" in infos["failure"][1]
    assert not infos["transition"][1]
    assert not infos["counted"][1]
    observations, _, _, _, infos = envs.step([STEP] * 3)
    assert observations[1].tolist() == [-1, 0]
    assert infos["began"].tolist() == [False, True, False]
    assert "failure" not in infos


def test_between_the_end_of_an_episode_and_its_reset(envs):
    envs.step([STEP, END, STEP])
    kill(envs)
    envs.pause()
    envs.resume()
    observations, infos = envs.reset(seed=[None, 9, None], options=MASK)
    assert observations[1].tolist() == [9, 0]
    assert infos["began"].tolist() == [False, True, False]
    assert (envs.step([STEP] * 3)[0][:, 1] % 100).tolist() == [3, 1, 3]


class DiesOnce(Toy):
    """Dies in its first reset that is asked to."""

    def reset(self, *, seed=None, options=None):
        mark = (options or {}).get("mark")
        if mark and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().reset(seed=seed)


@pytest.mark.parametrize("overlap", [False, True])
def test_in_a_reset(tmp_path, overlap):
    envs = ProcessVectorEnv([DiesOnce] * 3)
    envs.reset(seed=5)
    options = {**MASK, "overlap": overlap, "mark": tmp_path / "mark"}
    observations, infos = envs.reset(seed=[None, 9, None], options=options)
    deadline = time.monotonic() + 600
    while not infos["began"][1]:
        assert time.monotonic() < deadline
        observations, _, _, truncated, infos = envs.step([STEP] * 3)
        assert not truncated.any()
        assert not infos["transition"][1]
    assert (tmp_path / "mark").exists()
    assert observations[1].tolist() == [9, 0]
    envs.close()


def test_while_it_is_reset_and_paused(envs):
    envs.step([STEP, SLOW_RESET, STEP])
    envs.reset(seed=[None, 9, None], options=MASK | {"overlap": True})
    envs.pause()
    kill(envs)
    envs.resume()
    infos = {"began": np.zeros(3, np.bool_)}
    while not infos["began"][1]:
        observations, _, _, _, infos = envs.step([STEP] * 3)
        assert infos["resetting"].tolist() == [False, True, False]
    assert observations[1].tolist() == [9, 0]


def test_failures_at_pause_count_like_any_other(envs):
    for _ in range(3):
        kill(envs)
        envs.pause()
        envs.step([STEP] * 3)
    kill(envs)
    with pytest.raises(WorkerError, match="fourth such failure"):
        envs.resume()


class Interrupts(Toy):
    """Presses Ctrl+C in the terminal of another process, and goes on."""

    def __init__(self, trainer):
        super().__init__()
        self.trainer = trainer

    def step(self, action):
        if action:
            time.sleep(0.2)
            os.kill(self.trainer, signal.SIGINT)
            time.sleep(0.2)
        return super().step(STEP)


@pytest.mark.parametrize("then", ["step", "call", "reset"])
def test_answers_that_an_interrupt_left_unread_are_not_taken_for_others(then):
    envs = ProcessVectorEnv([partial(Interrupts, os.getpid())] * 2)
    envs.reset(seed=5)
    with pytest.raises(KeyboardInterrupt):
        envs.step([1, 0])
    if then == "step":
        assert envs.step([0, 0])[0].tolist() == [[5, 2], [6, 2]]
    elif then == "call":
        assert envs.call("steps") == (1, 1)
    else:
        assert envs.reset(seed=8)[0].tolist() == [[8, 0], [9, 0]]
    envs.close()
