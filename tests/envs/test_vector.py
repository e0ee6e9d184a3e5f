"""The process vector env, with a toy env that can be told to misbehave."""

import os
import signal
import time

import numpy as np
import pytest

from hakisa_envs.vector import ProcessVectorEnv, WorkerError
from tests.helpers.processes import gone, in_time, open_fds
from tests.helpers.toy import BROKEN_RESET, DIE, END, HANG, RAISE, SLOW_RESET, STEP, Toy


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


def broken():
    raise ZeroDivisionError("cannot be made")


def test_exception_of_a_factory_is_raised_here_and_counts_as_no_death():
    with pytest.raises(ZeroDivisionError, match="cannot be made"):
        ProcessVectorEnv([broken])
    envs = ProcessVectorEnv([Toy, broken])
    for _ in range(5):
        with pytest.raises(ZeroDivisionError, match="cannot be made") as caught:
            envs.reset()
        assert "column 1" in caught.value.__notes__[0]
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
    deadline = time.monotonic() + 600
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
    envs.pause()  # its answers come after the exception and must not be taken for another's
    envs.resume()
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
    assert in_time(asked, 0.4)  # it did not wait for the reset
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


@pytest.mark.parametrize("options", [{"step_timeout": 0}, {"start_timeout": 0}, {"context": "frok"}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ProcessVectorEnv([Toy], **options)
    with pytest.raises(ValueError, match="empty"):
        ProcessVectorEnv([])
