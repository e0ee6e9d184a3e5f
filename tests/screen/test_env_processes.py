"""The env and processes: its children, the trainer's death and forks, and all start methods."""

import multiprocessing
import os
import subprocess
import sys
import textwrap

import pytest

from hakisa_envs.screen.env import ScreenGameEnv

from .helpers import gone, wait_until

NOOP, FLASH = [0, 0, 0], [1, 0, 0]


def test_everything_is_gone_two_seconds_after_the_trainer_was_killed():
    source = textwrap.dedent(
        """
        import time
        from hakisa_envs.screen.env import ScreenGameEnv
        env = ScreenGameEnv("flash")
        env.reset()
        env.step([2, 1, 0])
        s = env._session
        print(s.display.server.pid, s._game.pid, s.input.pid, s._keeper.pid, s.folder, flush=True)
        time.sleep(1000)
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    trainer = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=environment)
    *pids, folder = trainer.stdout.readline().split()
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    wait_until(lambda: all(gone(int(pid)) for pid in pids) and not os.path.exists(folder), 2.0)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_env_works_in_child_processes(method):
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    child = context.Process(target=_play, args=(queue,))
    child.start()
    assert queue.get() > 200
    child.join(10)
    assert child.exitcode == 0


def _play(queue):
    env = ScreenGameEnv("flash")
    env.reset()
    queue.put(wait_until(lambda: (f := env.step(FLASH)[4]["readings"]["flash"]) > 200 and f))
    env.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_fork_of_the_trainer_does_not_take_the_game_away():
    env = ScreenGameEnv("flash")
    env.reset()
    child = os.fork()
    if child == 0:
        env._session.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert env.step(NOOP)[4]["failure"] == ""
    env.close()
