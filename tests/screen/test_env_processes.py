"""The env and processes: its children, the trainer's death and forks, and all start methods."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.keeper import descendants

from .helpers import gone, wait_until

NOOP, FLASH = [0, 0, 0], [1, 0, 0]


def test_everything_is_gone_two_seconds_after_the_trainer_was_killed(where):
    source = textwrap.dedent(
        f"""
        import time
        from hakisa_envs.screen.env import ScreenGameEnv
        env = ScreenGameEnv("flash", **{where})
        env.reset()
        env.step([2, 1, 0])
        print(env.session._game.pid, env.session.input.pid, env.session.folder, flush=True)
        time.sleep(1000)
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    trainer = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=environment)
    *pids, folder = trainer.stdout.readline().split()
    pids = {*map(int, pids), *descendants({trainer.pid})} - {trainer.pid}
    assert len(pids) >= 4 + (not where)  # a game and its owner, the two of the input server, an X server of its own
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    wait_until(lambda: all(map(gone, pids)), 2.0)
    if where:  # nobody is left to remove it
        shutil.rmtree(folder)
    wait_until(lambda: not os.path.exists(folder), 2.0)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_env_works_in_child_processes(method, where):
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    child = context.Process(target=_play, args=(queue, where, os.environ["DISPLAY"] if where else ""))
    child.start()
    assert queue.get() > 200
    child.join(10)
    assert child.exitcode == 0


def _play(queue, where, display):
    if display:  # a fork server has that of when it was started
        os.environ["DISPLAY"] = display
    env = ScreenGameEnv("flash", **where)
    env.reset()
    queue.put(wait_until(lambda: (f := env.step(FLASH)[4]["readings"]["flash"]) > 200 and f))
    env.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_fork_of_the_trainer_does_not_take_the_game_away(where):
    env = ScreenGameEnv("flash", **where)
    env.reset()
    child = os.fork()
    if child == 0:
        env._session.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert env.step(NOOP)[4]["failure"] == ""
    env.close()
