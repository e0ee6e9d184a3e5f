"""A real game of clicks alone, in which nothing moves: a mine field."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.vector import make_process_vec

SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/games", "/usr/local/games"])
pytestmark = pytest.mark.skipif(
    shutil.which("xdemineur", path=SEARCH) is None, reason="needs xdemineur (scripts/system-packages.sh)"
)
OPEN, FLAG = 0, 1
SAFE = 12 * 12 - 20


@pytest.fixture(scope="module")
def env():
    env = ScreenGameEnv("xdemineur", render_mode="rgb_array", timeout=10.0)
    yield env
    env.close()


def covered(env):
    """The cells that are not open, as column and row."""
    cells = env.render()[80:332, 15:267].reshape(12, 21, 12, 21, 3)
    edge = (cells == 127).all(axis=4).sum(axis=(1, 3))
    return [(int(column), int(row)) for row, column in np.argwhere(edge > 50)]


def test_flags_are_counted_and_pay_nothing(env):
    observation, info = env.reset()
    assert observation.shape == (1, 84, 84)
    readings = info["readings"]
    assert (readings["flags"], readings["lost"], readings["won"]) == (20.0, 0.0, 0.0)
    place = covered(env)[0]
    for action, left in ((FLAG, 19.0), (FLAG, 20.0)):  # a flag, then a question mark
        _, reward, terminated, _, info = env.step([action, *place])
        assert info["readings"]["flags"] == left
        assert (reward, terminated) == (0.0, False)
    assert place in covered(env)


def test_every_cell_that_is_opened_pays_and_a_mine_ends_the_episode(env):
    for _ in range(2):
        env.reset()
        terminated = False
        while not terminated:
            before = covered(env)
            _, reward, terminated, truncated, info = env.step([OPEN, *before[len(before) // 2]])
            assert not truncated
            pays = -1.0 if terminated else (len(before) - len(covered(env))) / SAFE
            assert reward == pytest.approx(pays, abs=1e-3)
        assert info["outcome"] == "loss"
        assert info["readings"]["lost"] == 1.0
    readings = env.reset()[1]["readings"]
    assert (readings["lost"], readings["flags"]) == (0.0, 20.0)


def test_field_with_a_flag_on_every_mine_and_all_else_open_is_won():
    profile = load_profile("xdemineur")
    one = replace(profile.launch, command=(*profile.launch.command[:-1], "1"))
    env = ScreenGameEnv(replace(profile, launch=one, reset=()), render_mode="rgb_array", timeout=10.0)
    try:
        env.reset()
        while len(left := covered(env)) > 1:  # what the game opens at first is mostly all that is no mine
            env.close()
            env.reset()
        _, reward, terminated, _, info = env.step([FLAG, *left[0]])
    finally:
        env.close()
    assert terminated
    assert info["outcome"] == "win"
    assert reward == pytest.approx(1.0)


def test_displays_that_start_together_play_different_fields():
    """The game takes the second of its start for the seed of all its fields."""
    envs = make_process_vec(ScreenGameEnv, 3, game="xdemineur", timeout=10.0)
    try:
        seen, _ = envs.reset()
    finally:
        envs.close()
    assert len({field.tobytes() for field in seen}) == 3
