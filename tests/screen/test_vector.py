"""Live games side by side, each in a process and an X display of its own."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from hakisa_envs.screen.env import make_screen_vec

from .helpers import gone, wait_until

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
    pid = envs.pids[1]
    os.kill(pid, signal.SIGKILL)
    truncated, infos = envs.step([FLASH, HOLD_LEFT])[3:]
    assert truncated.tolist() == [False, True]
    assert not infos["transition"][1]
    envs.reset(options={"reset_mask": np.array([False, True])})
    assert envs.step([FLASH, FLASH])[4]["readings"]["flash"][1] > 100
    envs.close()


def test_time_limit_truncates_a_live_game(where):
    envs = make_screen_vec(1, game="flash", max_episode_steps=3, **where)
    envs.reset()
    assert [envs.step([[0, 0, 0]])[3][0] for _ in range(3)] == [False, False, True]
    envs.close()


def test_everything_is_gone_two_seconds_after_the_trainer_was_killed():
    source = textwrap.dedent(
        """
        import time
        from hakisa_envs.screen.env import make_screen_vec
        if __name__ == "__main__":
            envs = make_screen_vec(2, game="flash")
            envs.reset()
            print(*envs.pids, flush=True)
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


@pytest.mark.parametrize(
    "line",
    [
        'gym.make_vec("Hakisa/ScreenGame-v0", 3, game="flash")',
        '[gym.make_vec("Hakisa/ScreenGame-v0", 2, game="flash") for _ in range(2)]',
        'hakisa_envs.screen.env.make_screen_vec(4, game="flash")',
    ],
)
def test_script_without_a_guard_gets_one_error_that_says_so(line, tmp_path):
    (tmp_path / "unguarded.py").write_text(
        f"import gymnasium as gym, hakisa_envs, hakisa_envs.screen.env\nprint('runs')\n{line}\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, tmp_path / "unguarded.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert "if __name__ == '__main__':" in done.stderr
    assert done.stdout.count("runs") <= 2


def _below(pids):
    from hakisa_envs.screen.keeper import descendants

    return descendants(pids) - pids
