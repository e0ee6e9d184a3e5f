"""A real game that is played with the mouse: a clown flies, and a seesaw goes where the pointer is."""

import os
import shutil
import time

import numpy as np
import pytest

from hakisa_envs.screen.env import ScreenGameEnv

SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/games", "/usr/local/games"])
pytestmark = pytest.mark.skipif(
    shutil.which("circuslinux", path=SEARCH) is None, reason="needs circuslinux (scripts/system-packages.sh)"
)
MOVE, CLICK = 1, 2
BACKGROUND = [50, 50, 80]


@pytest.fixture(scope="module")
def env():
    env = ScreenGameEnv("circuslinux", render_mode="rgb_array", timeout=10.0)
    yield env
    env.close()


def moves_until(done, env, column=16):
    """Steps with the pointer in one column; the first step's answer that is ``done``."""
    deadline = time.monotonic() + 60
    while not done(answer := env.step([MOVE, column, 0])):
        assert not answer[3], answer[4]["failure"]
        assert time.monotonic() < deadline, f"it never came: {answer[4]['readings']}"
    return answer


def seesaw(env):
    """Its middle, from left to right: what stands between the two bouncers, which are pink blocks at the sides."""
    return 32 + np.nonzero((env.render()[440:478, 32:608] != BACKGROUND).any(axis=(0, 2)))[0].mean()


def test_seesaw_goes_where_the_pointer_is_and_a_lost_clown_ends_the_episode(env):
    observation, info = env.reset()
    assert observation.shape == (4, 84, 84)
    assert {name: info["readings"][name] for name in ("score", "lives", "ready")} == {
        "score": 0.0,
        "lives": 5.0,
        "ready": 0.0,
    }
    for column in (8, 24):
        moves_until(lambda answer: abs(seesaw(env) - (20 * column + 10)) < 12, env, column)  # noqa: B023
    paid, began = 0.0, info["readings"]["score"]
    while True:
        _, reward, terminated, truncated, info = env.step([MOVE, 31, 0])
        assert not truncated
        paid += reward
        if terminated:
            break
    assert info["readings"]["lives"] == 4.0
    assert paid == pytest.approx(0.1 * (info["readings"]["score"] - began))
    assert env.reset()[1]["readings"] == {**info["readings"], "ready": 0.0, "pause": 0.0}


def test_game_that_is_over_is_begun_anew(env):
    env.reset()
    env.session.act([("tap", "Escape", 60.0)], 0.2)
    moves_until(lambda answer: answer[4]["readings"]["over"] > 0.1, env)
    readings = env.reset()[1]["readings"]
    assert (readings["score"], readings["lives"]) == (0.0, 5.0)


def test_paused_game_stands_still(env):
    env.reset()
    env.pause()
    assert env.session.paused
    first = env.session.look().frame.pixels
    time.sleep(0.2)
    assert (env.session.look().frame.pixels == first).all()
    env.resume()
    assert not env.session.paused
    moves_until(lambda answer: not answer[4]["duplicate"], env)
