"""What kinds of envs a process vector env serves, how it starts their processes, and who may step them."""

import copy
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import forkserver

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Tuple

from hakisa_envs.contract import REAL_TIME
from hakisa_envs.vector import ProcessVectorEnv, WorkerError, make_process_vec
from tests.helpers.processes import gone, wait_until
from tests.helpers.toy import END, STEP, Dice, Toy


class Shows(gym.Env):
    """Samples from a space."""

    action_space = Discrete(2)

    def __init__(self, space, delay=0.0, trainer=None):
        time.sleep(delay)
        assert os.getpid() != trainer
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {"function": print if action else len}

    def something(self):
        return lambda: 1


def test_dict_observations_and_every_dtype_arrive_as_they_are():
    dtypes = (np.bool_, np.uint8, np.int16, np.uint32, np.int64, np.float16, np.float32, np.float64)
    parts = {np.dtype(dtype).name: Box(0, 1, (2, 3), dtype) for dtype in dtypes}
    space = Dict({**parts, "odd": Box(0, 1, (5,), np.uint8), "single": Box(-1, 1, (), np.float32)})
    envs = ProcessVectorEnv([partial(Shows, space)] * 3)
    alone = [Shows(copy.deepcopy(space)) for _ in range(3)]
    seen = [[env.reset(seed=4 + i)[0] for i, env in enumerate(alone)]]
    seen += [[env.step(0)[0] for env in alone] for _ in range(2)]
    batches = [envs.reset(seed=4)[0], envs.step([0] * 3)[0], envs.step([0] * 3)[0]]
    for batch, rows in zip(batches, seen, strict=True):
        assert envs.observation_space.contains(batch)
        for key in space:
            assert batch[key].dtype == space[key].dtype
            np.testing.assert_array_equal(batch[key], np.stack([row[key] for row in rows]))
    envs.close()


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Discrete(3), r"The observation space is Discrete\(3\)"),
        (Tuple([Box(0, 1, (2,))]), "The observation space is Tuple"),
        (Dict({"a": Box(0, 1, (2,)), "b": Discrete(2)}), r"observation\['b'\] is Discrete\(2\)"),
        (Dict({"a": Dict({"b": Box(0, 1, (2,))})}), r"observation\['a'\] is Dict"),
    ],
)
def test_other_observations_are_refused_by_name(space, words):
    with pytest.raises(ValueError, match=f"{words}.* but must be a Box"):
        ProcessVectorEnv([partial(Shows, space)])


def test_columns_must_be_alike():
    envs = ProcessVectorEnv([partial(Shows, Box(0, 1, (n,))) for n in (2, 2, 3)])
    with pytest.raises(ValueError, match="observation_space of column 2 is Box"):
        envs.reset()
    envs.close()


def test_no_env_is_made_in_this_process():
    envs = ProcessVectorEnv([partial(Shows, Box(0, 1, (2,)), trainer=os.getpid())] * 2)
    assert envs.single_observation_space == Box(0, 1, (2,))
    assert envs.pids[1] is None  # one process is enough to know
    envs.reset()
    assert len(set(envs.pids)) == 2
    envs.close()


def test_starting_a_process_does_not_count_as_a_step():
    envs = ProcessVectorEnv([partial(Shows, Box(0, 1, (2,)), delay=1.5)] * 2, step_timeout=1.0, reset_timeout=1.0)
    assert envs.call("has_wrapper_attr", "something") == (True, True)
    envs.reset()
    os.kill(envs.pids[1], 9)
    assert envs.step([0, 0])[3].tolist() == [False, True]
    assert envs.step([0, 0])[4]["began"].tolist() == [False, True]
    envs.close()


def test_a_process_that_does_not_start_in_time_is_named():
    with pytest.raises(WorkerError, match=r"column 0 did not make its env within 0\.5 s"):
        ProcessVectorEnv([partial(Shows, Box(0, 1, (2,)), delay=60)], start_timeout=0.5)


def test_what_cannot_be_sent_is_named():
    envs = ProcessVectorEnv([partial(Shows, Box(0, 1, (2,)))])
    with pytest.raises(TypeError, match=r"something\(\) of Shows returned something that cannot be sent"):
        envs.call("something")
    envs.reset()
    assert envs.step([0])[4]["function"][0] is len
    envs.close()


@pytest.mark.parametrize("context", ["forkserver", "spawn"])
def test_script_without_a_guard_gets_one_error_that_says_so(tmp_path, context):
    script = tmp_path / "unguarded.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import gymnasium as gym, hakisa_envs
            from hakisa_envs.vector import make_process_vec
            print("runs")
            make_process_vec("Hakisa/Press-v0", 4, context={context!r}).reset()
            """
        )
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=600, check=False, env=environment
    )
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert "if __name__ == '__main__':" in done.stderr
    assert done.stdout.count("runs") == 2  # the script, and the one process that it started


def test_envs_of_an_id_a_class_and_a_time_limit():
    by_id = make_process_vec("Hakisa/Press-v0", 2, episode_length=9, max_episode_steps=2)
    by_class = make_process_vec(Toy, 2, end=2)
    limited = make_process_vec(Toy, 2, max_episode_steps=2)
    endless = make_process_vec(Toy, 1, max_episode_steps=-1)
    for envs in (by_id, by_class, limited, endless):
        envs.reset(seed=1)
        actions = np.zeros_like(envs.action_space.sample())
        assert [envs.step(actions)[3].all() for _ in range(2)] == [False, envs is not endless]
        envs.close()
    with pytest.raises(ValueError, match="num_envs=0"):
        make_process_vec(Toy, 0)


def test_acting_overlaps_with_stepping():
    envs = ProcessVectorEnv([Toy] * 2)
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        envs.step_async([STEP] * 2)
    envs.reset(seed=5)
    envs.step_async([STEP, END])
    observations, _, terminated, _, _ = envs.step_wait()
    assert observations.tolist() == [[5, 1], [6, 1]]
    assert terminated.tolist() == [False, True]
    with pytest.raises(RuntimeError, match="step_async"):
        envs.step_wait()
    envs.step_async([STEP] * 2)
    envs.pause()  # whose answers must not be taken for those of the step
    with pytest.raises(RuntimeError, match="something else came between"):
        envs.step_wait()
    observations, _, _, _, infos = envs.step([STEP] * 2)
    assert observations[:, 1].tolist() == [103, 0]
    assert infos["began"].tolist() == [False, True]  # which nobody has heard of yet
    envs.close()


def play(envs, columns, rows=30):
    """Rows of a game that ends now and then, reset by mask."""
    seen, ended = [envs.reset(seed=[int(column) for column in columns])[0]], np.zeros(len(columns), np.bool_)
    for row in range(rows):
        actions = np.where((row + columns) % 7 == 0, END, STEP)
        observations, rewards, terminated, _, _ = envs.step(actions)
        seen.append(np.concatenate([observations, rewards[:, None], terminated[:, None]], axis=1))
        ended = terminated
        if ended.any():
            seeds = [int(100 * column + row) for column in columns]
            seen.append(envs.reset(seed=seeds, options={"reset_mask": ended})[0])
    return seen


def test_groups_are_the_columns_and_different_threads_may_step_them():
    envs = ProcessVectorEnv([Dice] * 5)
    assert [group.num_envs for group in envs.groups] == [2, 3]
    columns = np.arange(5)
    parts = [columns[:2], columns[2:]]
    with ThreadPoolExecutor(2) as pool:
        threads = list(pool.map(play, envs.groups, parts))
    for part, rows in zip(parts, threads, strict=True):
        alone = ProcessVectorEnv([Dice] * len(part))
        for mine, other in zip(rows, play(alone, part), strict=True):
            np.testing.assert_array_equal(mine, other)
        alone.close()
    rows = play(envs, columns, rows=2)  # the whole is right after whatever happened to them
    np.testing.assert_array_equal(rows[1][:2], threads[0][1])
    states = envs.get_state()
    envs.groups[1].set_state(states[2:])
    assert envs.groups[0].single_observation_space == envs.single_observation_space
    envs.close()


class Live(Toy):
    metadata = {**Toy.metadata, REAL_TIME: True}  # noqa: RUF012


def test_a_game_in_real_time_has_no_groups_and_neither_has_a_single_column():
    for envs in (ProcessVectorEnv([Live] * 2), ProcessVectorEnv([Toy])):
        assert envs.groups == ()
        envs.close()


@pytest.mark.parametrize("context", ["forkserver", "spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_every_way_to_start_a_process(context):
    envs = ProcessVectorEnv([Toy] * 2, context=context)
    assert envs.reset(seed=5)[0].tolist() == [[5, 0], [6, 0]]
    os.kill(envs.pids[0], 9)
    assert envs.step([STEP] * 2)[3].tolist() == [True, False]
    assert envs.step([STEP] * 2)[0].tolist() == [[-1, 0], [6, 2]]
    envs.close()


@pytest.fixture
def bare_fork_server(monkeypatch):
    """One that imports nothing, since a test ends it again and again."""
    forkserver._forkserver._stop()
    monkeypatch.setattr(forkserver._forkserver, "_preload_modules", ["no such module"])
    yield
    forkserver._forkserver._stop()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="multiprocessing alone knows of a process")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.usefixtures("bare_fork_server")
def test_a_fork_server_that_a_signal_to_all_ends_costs_no_episode(number):
    envs = ProcessVectorEnv([Toy] * 2)
    envs.reset(seed=5)
    envs.step([STEP] * 2)
    pids, server = envs.pids, forkserver._forkserver._forkserver_pid
    os.kill(server, number)
    os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
    for steps in (2, 3):
        observations, _, _, truncated, infos = envs.step([STEP] * 2)
        assert observations.tolist() == [[5, steps], [6, steps]]
        assert not truncated.any()
        assert "failure" not in infos
    assert envs.pids == pids
    os.kill(pids[1], signal.SIGKILL)  # what has really died is still noticed, and replaced
    assert envs.step([STEP] * 2)[3].tolist() == [False, True]
    assert envs.step([STEP] * 2)[0].tolist()[0] == [5, 5]
    assert envs.pids[0] == pids[0] != envs.pids[1]
    os.kill(envs.pids[0], signal.SIGSTOP)  # it hears no farewell
    pids = [*envs.pids, pids[1]]
    envs.close()
    assert all(map(gone, pids))


def test_what_is_forgotten_is_closed():
    envs = ProcessVectorEnv([Toy] * 2)
    envs.reset()
    pids = envs.pids
    del envs
    wait_until(lambda: all(gone(pid) for pid in pids))


def test_a_closed_env_says_so():
    envs = ProcessVectorEnv([Toy] * 2)
    envs.reset()
    envs.close()
    envs.close()
    with pytest.raises(gym.error.ClosedEnvironmentError, match="closed"):
        envs.reset()
