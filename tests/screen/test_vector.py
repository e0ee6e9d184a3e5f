"""The process vector env: with a toy env that can be told to misbehave, and with live games."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from hakisa_envs.screen.vector import make_screen_vec
from hakisa_envs.vector import ProcessVectorEnv, WorkerError

from .helpers import gone, open_fds, wait_until

STEP, END, DIE, HANG, RAISE, SLOW_RESET, BROKEN_RESET = range(7)


class Toy(gym.Env):
    """Shows (its seed, its steps); its action says how to misbehave."""

    observation_space = Box(-1, 2**31, (2,), np.int64)
    action_space = Discrete(7)

    def __init__(self, end=10**9):
        self.end, self.steps, self.seed, self.last, self.paused = end, 0, -1, STEP, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        last, self.last = self.last, STEP
        if last == SLOW_RESET:
            time.sleep(0.5)
        if last == BROKEN_RESET:
            raise ZeroDivisionError("told to")
        self.seed, self.steps = -1 if seed is None else seed, 0
        return self._show(), {"pid": os.getpid()}

    def step(self, action):
        if action == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        if action == HANG:
            os.kill(os.getpid(), signal.SIGSTOP)
        if action == RAISE:
            raise ZeroDivisionError("told to")
        self.last = int(action)
        self.steps += 1
        ended = self.last in (END, SLOW_RESET, BROKEN_RESET)
        return self._show(), 1.0, ended, self.steps >= self.end, {"pid": os.getpid()}

    def pause(self):
        self.paused += 1

    def add(self, one, *, two):
        return one + two

    def _show(self):
        return np.array([self.seed, self.steps + 100 * self.paused], np.int64)


@pytest.fixture
def envs():
    envs = ProcessVectorEnv([Toy] * 3, step_timeout=1.0, reset_timeout=60.0)
    yield envs
    envs.close()


def mask(*columns):
    result = np.zeros(3, np.bool_)
    result[list(columns)] = True
    return {"reset_mask": result}


def test_columns_are_seeded_stepped_and_batched(envs):
    observations, infos = envs.reset(seed=5)
    assert observations.tolist() == [[5, 0], [6, 0], [7, 0]]
    assert len(set(infos["pid"])) == 3
    observations, rewards, terminated, truncated, infos = envs.step([STEP] * 3)
    assert observations.tolist() == [[5, 1], [6, 1], [7, 1]]
    assert rewards.tolist() == [1.0] * 3
    assert not terminated.any()
    assert not truncated.any()
    assert not infos["resetting"].any()


def test_observations_are_copies(envs):
    first, _ = envs.reset(seed=1)
    kept = first.copy()
    envs.step([STEP] * 3)
    assert np.array_equal(first, kept)


def test_masked_reset_leaves_the_others_alone(envs):
    envs.reset(seed=5)
    envs.step([STEP, END, STEP])
    observations, infos = envs.reset(seed=[None, 42, None], options=mask(1))
    assert observations.tolist() == [[5, 1], [42, 0], [7, 1]]
    assert infos["_pid"].tolist() == [False, True, False]
    assert envs.step([STEP] * 3)[0][:, 1].tolist() == [2, 1, 2]


def test_column_that_nobody_resets_is_reset_by_the_next_step(envs):
    envs.reset(seed=5)
    assert envs.step([STEP, END, STEP])[2].tolist() == [False, True, False]
    observations, rewards, terminated, _, infos = envs.step([STEP] * 3)
    assert observations[:, 1].tolist() == [2, 0, 2]
    assert rewards.tolist() == [1.0, 0.0, 1.0]
    assert not terminated.any()
    assert not infos["transition"][1]


@pytest.mark.parametrize(("fault", "words"), [(DIE, "died"), (HANG, "did not answer within 1 s")])
def test_worker_that_dies_or_hangs_is_replaced_and_its_row_is_no_data(envs, fault, words):
    _, infos = envs.reset(seed=5)
    dead = infos["pid"][1]
    observations, rewards, terminated, truncated, infos = envs.step([STEP, fault, STEP])
    assert truncated.tolist() == [False, True, False]
    assert not terminated.any()
    assert rewards.tolist() == [1.0, 0.0, 1.0]
    assert words in infos["failure"][1]
    assert not infos["transition"][1]
    assert gone(dead)
    observations, _ = envs.reset(seed=[None, 9, None], options=mask(1))
    assert observations.tolist() == [[5, 1], [9, 0], [7, 1]]
    assert envs.step([STEP] * 3)[0][:, 1].tolist() == [2, 1, 2]


def test_fourth_failure_raises(envs):
    envs.reset()
    for _ in range(3):
        envs.step([DIE, STEP, STEP])
        envs.reset(options=mask(0))
    with pytest.raises(WorkerError, match=r"column 0 died \(exit code -9, SIGKILL \(memory.*not replaced again.*fewer"):
        envs.step([DIE, STEP, STEP])


def test_exception_of_a_factory_is_raised_here_and_counts_as_no_death():
    def factory():
        if os.getpid() != trainer:
            raise ZeroDivisionError("cannot be made here")
        return Toy()

    trainer = os.getpid()
    envs = ProcessVectorEnv([factory] * 2)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError, match="cannot be made here"):
            envs.reset()
    envs.close()


def test_exception_of_an_env_is_raised_here_and_the_others_go_on(envs):
    envs.reset()
    with pytest.raises(ZeroDivisionError, match="told to") as caught:
        envs.step([STEP, RAISE, STEP])
    assert "column 1" in caught.value.__notes__[0]
    assert envs.step([STEP] * 3)[0][:, 1].tolist() == [2, 1, 2]


def test_others_step_on_while_a_column_is_reset():
    envs = ProcessVectorEnv([Toy] * 3)
    envs.reset(seed=5)
    envs.step([STEP, SLOW_RESET, STEP])
    asked = time.monotonic()
    _, infos = envs.reset(seed=[None, 8, None], options=mask(1) | {"overlap": True})
    assert infos["resetting"].tolist() == [False, True, False]
    rows = list(rows_of_reset(envs))
    assert time.monotonic() - asked > 0.4
    assert len(rows) > 3
    assert [row for row, _ in rows] == [[0, 0]] * (len(rows) - 1) + [[8, 0]]
    assert [began for _, began in rows] == [False] * (len(rows) - 1) + [True]
    observations, rewards, _, _, infos = envs.step([STEP] * 3)
    assert not infos["resetting"].any()
    assert observations[:, 1].tolist() == [len(rows) + 2, 1, len(rows) + 2]
    assert rewards.tolist() == [1.0] * 3
    envs.close()


def rows_of_reset(envs):
    """Step until column 1 has been reset: what its rows show, and whether they say that it began."""
    deadline = time.monotonic() + 10.0
    while True:
        observations, rewards, terminated, truncated, infos = envs.step([STEP] * 3)
        assert infos["resetting"].tolist() == [False, True, False]
        assert not infos["transition"][1]
        assert rewards.tolist() == [1.0, 0.0, 1.0]
        assert not (terminated | truncated).any()
        yield observations[1].tolist(), bool(infos["began"][1])
        if infos["began"][1]:
            return
        assert time.monotonic() < deadline


def test_a_process_that_dies_while_it_is_reset_is_replaced_and_reset_meanwhile(envs):
    _, infos = envs.reset(seed=5)
    envs.step([STEP, SLOW_RESET, STEP])
    envs.reset(seed=[None, 8, None], options=mask(1) | {"overlap": True})
    os.kill(infos["pid"][1], signal.SIGKILL)
    rows = list(rows_of_reset(envs))
    assert rows[-1] == ([8, 0], True)
    assert envs.step([STEP] * 3)[0][1].tolist() == [8, 1]


def test_exception_in_a_reset_meanwhile_is_raised_once(envs):
    envs.reset(seed=5)
    envs.step([STEP, BROKEN_RESET, STEP])
    envs.reset(options=mask(1) | {"overlap": True})
    envs.pause()  # its answer comes after the exception and must not be taken for another's
    with pytest.raises(ZeroDivisionError, match="told to"):
        list(rows_of_reset(envs))
    envs.reset(seed=5)
    assert envs.step([STEP] * 3)[0][:, 1].tolist() == [101, 101, 101]


def test_when_all_are_being_reset_a_step_waits_for_the_first():
    envs = ProcessVectorEnv([Toy] * 3)
    envs.reset(seed=5)
    for column in range(3):
        envs.step(np.where(np.arange(3) == column, SLOW_RESET, STEP))
        envs.reset(options=mask(column) | {"overlap": True})
    steps = 0
    while not envs.step([STEP] * 3)[4]["began"].any():
        steps += 1
    assert steps <= 1  # the one that is woken by what is not yet there
    envs.close()


def test_pause_reaches_a_column_when_its_reset_has_ended(envs):
    envs.reset(seed=5)
    envs.step([STEP, SLOW_RESET, STEP])
    envs.reset(seed=[None, 8, None], options=mask(1) | {"overlap": True})
    asked = time.monotonic()
    envs.pause()
    assert time.monotonic() - asked < 0.4  # it did not wait for the reset
    envs.resume()
    list(rows_of_reset(envs))
    assert envs.step([STEP] * 3)[0][1].tolist() == [8, 101]


def test_pause_reaches_every_env(envs):
    envs.pause()  # before the first reset there is nothing to pause
    envs.reset(seed=5)
    envs.pause()
    envs.resume()
    assert envs.step([STEP] * 3)[0][:, 1].tolist() == [101] * 3


def test_methods_and_attributes_of_every_env(envs):
    assert envs.call("add", 1, two=2) == (3, 3, 3)
    envs.reset(seed=5)
    assert envs.get_attr("seed") == (5, 6, 7)
    with pytest.raises(AttributeError, match="sead"):
        envs.call("sead")
    envs.step([STEP, SLOW_RESET, STEP])
    envs.reset(options=mask(1) | {"overlap": True})
    with pytest.raises(RuntimeError, match=r"columns \[1\] are being reset"):
        envs.call("seed")
    list(rows_of_reset(envs))
    assert envs.call("seed") == (5, -1, 7)


def test_close_ends_every_process_the_stopped_ones_too():
    before = open_fds()
    envs = ProcessVectorEnv([Toy] * 2)
    _, infos = envs.reset()
    envs.close()
    assert all(gone(pid) for pid in infos["pid"])
    assert open_fds() <= before + 3  # the fork server's own, once per process


@pytest.mark.parametrize("options", [{"step_timeout": 0}, {"context": "frok"}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ProcessVectorEnv([Toy], **options)
    with pytest.raises(ValueError, match="empty"):
        ProcessVectorEnv([])


FLASH, HOLD_LEFT = [1, 0, 0], [2, 1, 0]


def test_live_games_side_by_side_never_cross_and_a_killed_one_is_replaced():
    envs = make_screen_vec(2, game="flash", rate=5.0)
    _, infos = envs.reset(seed=0)
    bright = []
    for _ in range(4):
        observations, _, _, _, infos = envs.step([FLASH, HOLD_LEFT])
        bright.append(infos["readings"]["flash"][0] > 100)
        assert infos["readings"]["flash"][1] == 20.0
        assert observations.shape == (2, 1, 84, 84)
    assert bright == [True, False, True, False]
    assert infos["held"][1] == ("Left",)
    pid = envs._workers[1].process.pid
    os.kill(pid, signal.SIGKILL)
    truncated, infos = envs.step([FLASH, HOLD_LEFT])[3:]
    assert truncated.tolist() == [False, True]
    assert not infos["transition"][1]
    envs.reset(options={"reset_mask": np.array([False, True])})
    assert envs.step([FLASH, FLASH])[4]["readings"]["flash"][1] > 100
    envs.close()


def test_time_limit_truncates_a_live_game():
    envs = make_screen_vec(1, game="flash", max_episode_steps=3)
    envs.reset()
    assert [envs.step([[0, 0, 0]])[3][0] for _ in range(3)] == [False, False, True]
    envs.close()


def test_everything_is_gone_two_seconds_after_the_trainer_was_killed():
    source = textwrap.dedent(
        """
        import time
        from hakisa_envs.screen.vector import make_screen_vec
        if __name__ == "__main__":
            envs = make_screen_vec(2, game="flash")
            envs.reset()
            print(*[w.process.pid for w in envs._workers], flush=True)
            time.sleep(1000)
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    trainer = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=environment)
    workers = [int(word) for word in trainer.stdout.readline().split()]
    launched = _below(set(workers))
    assert len(launched) >= 2 * 5  # keeper, X server, game, and the two of the input server
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    wait_until(lambda: all(gone(pid) for pid in [*workers, *launched]), 2.0)


def _below(pids):
    from hakisa_envs.screen.keeper import descendants

    return descendants(pids) - pids
