"""A real game, nobody's but its authors': started, read and played through its screen alone."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from hakisa_envs.screen.env import ScreenGameEnv

from .ball_tracker import LEFT, NOTHING, RIGHT, BallTracker
from .helpers import busy, gone, wait_until

SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/games", "/usr/local/games"])
pytestmark = pytest.mark.skipif(
    shutil.which("lbreakout2", path=SEARCH) is None, reason="needs lbreakout2 (scripts/system-packages.sh)"
)


@pytest.fixture(scope="module")
def env():
    env = ScreenGameEnv("lbreakout2", render_mode="rgb_array", timeout=5.0)
    yield env
    env.close()


def above_the_paddle(env):
    return env.render()[325:438, 40:600]


def test_reset_stands_in_a_new_game_with_all_its_balls(env):
    observation, info = env.reset()
    assert info["readings"]["score"] == 0.0
    assert info["readings"]["lives"] == 4.0
    assert observation[-1].std() > 10


def test_ball_flies_when_a_life_begins(env):
    """Whatever the agent does: launching it is no business of its own."""
    env.reset()
    for _ in range(3):
        terminated, deadline = False, time.monotonic() + 30
        while not terminated:
            terminated = env.step(NOTHING)[2]
            assert time.monotonic() < deadline, "the ball was never lost"
        env.reset()
        seen = {above_the_paddle(env).tobytes() for _ in range(10) if env.step(NOTHING)}
        assert len(seen) > 5


def test_background_is_the_same_in_every_game(env):
    env.reset()
    free = env.render()[26:98, 60:590]
    assert free.max() <= 1


def test_tracker_scores_by_keys_alone_and_the_reward_is_the_score(env):
    _, info = env.reset()
    began, total, tracker = info["readings"]["score"], 0.0, BallTracker()
    deadline = time.monotonic() + 60
    while total < 3.0:
        assert time.monotonic() < deadline, "the tracker did not score 300 points within a minute"
        _, reward, terminated, truncated, info = env.step(tracker.act(env.render()))
        assert not truncated
        total += reward
        if info["readings"]["score"] is not None:
            assert total == pytest.approx((info["readings"]["score"] - began) / 100)
        if terminated:
            _, info = env.reset()
            began, total = info["readings"]["score"], 0.0


def test_losing_the_last_ball_ends_the_episode_and_reset_begins_a_new_game(env):
    balls = 5
    for _ in range(2 * balls):
        _, info = env.reset()
        if info["readings"]["lives"] == 4.0 and balls < 5:
            break
        terminated, deadline = False, time.monotonic() + 30
        while not terminated:
            _, _, terminated, truncated, info = env.step(NOTHING)
            assert not truncated
            assert time.monotonic() < deadline, "the ball was never lost"
        balls -= 1
    assert info["readings"]["lives"] == 4.0
    assert info["readings"]["score"] == 0.0


def ball(env):
    """Where it is, if it is all that there is above the paddle."""
    rows, columns = np.nonzero(above_the_paddle(env).max(axis=2) > 60)
    alone = len(rows) and max(np.ptp(rows), np.ptp(columns)) <= 12
    return np.array([rows.mean(), columns.mean()]) if alone else None


def test_paused_game_stands_still(env):
    env.reset()
    env.step(LEFT)
    env.pause()
    assert env.session.paused
    first = env.session.look().frame.pixels
    time.sleep(0.2)
    assert (env.session.look().frame.pixels == first).all()
    env.resume()
    assert not env.session.paused
    wait_until(lambda: not env.step(RIGHT)[4]["duplicate"])


def test_ball_goes_on_from_where_it_was_when_the_game_was_paused(env):
    """Stopped as a process the game would make up for lost time: the ball leapt seven steps."""
    env.reset()
    deadline = time.monotonic() + 60
    before = now = None
    before_ns = now_ns = 0
    while before is None or now is None or not 8 < before[0] < now[0] < 60:  # it comes down from the bricks
        assert time.monotonic() < deadline, "the ball never came down"
        _, _, lost, _, info = env.step(NOTHING)
        if lost:
            env.reset()
        before, now, before_ns, now_ns = now, ball(env), now_ns, info["t_obs_ns"]
    env.pause()
    paused_ns = time.monotonic_ns()
    time.sleep(0.5)
    resumed_ns = time.monotonic_ns()
    env.resume()
    info = env.step(NOTHING)[4]
    assert info["transition"] or busy()
    after = ball(env)
    assert after is not None, "it flew past the paddle"
    # On a busy machine it flies on for longer before it hears of the pause, and before it is seen again.
    steps = (paused_ns - now_ns + info["t_obs_ns"] - resumed_ns) / (now_ns - before_ns)
    assert abs(after - now).max() < max(3, steps + 2) * abs(now - before).max()


def test_set_gid_game_is_gone_two_seconds_after_the_trainer_was_killed():
    """Its set-gid program loses PR_SET_PDEATHSIG when it starts, so others must end it."""
    source = (
        "import time\n"
        "from dataclasses import replace\n"
        "from hakisa_envs.screen.env import ScreenGameEnv\n"
        "from hakisa_envs.screen.game import Pause\n"
        "from hakisa_envs.screen.profile import load_profile\n"
        "env = ScreenGameEnv(replace(load_profile('lbreakout2'), pause=Pause('stop')), timeout=5.0)\n"
        "env.reset()\n"
        "env.pause()\n"  # stopped, it hears nothing
        "print(env.session._game.pid, env.session.display.server.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    trainer = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=environment)
    pids = [int(word) for word in trainer.stdout.readline().split()]
    assert len(pids) == 2
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    wait_until(lambda: all(gone(pid) for pid in pids), 2.0)


def test_killed_game_is_started_again(env):
    env.reset()
    os.kill(env._session._game.pid, signal.SIGKILL)
    wait_until(lambda: env.step(NOTHING)[3])
    assert env.reset()[1]["readings"]["lives"] == 4.0
