"""A pause by the game's own key, which turns the game's state round: it must be known whether it was pressed."""

from dataclasses import replace

import pytest
from Xlib.ext import xinput

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.game import Pause
from hakisa_envs.screen.profile import load_profile

from .helpers import RawEvents, Screen, game_window, wait_until

NOOP, FLASH = [0, 0, 0], [1, 0, 0]


@pytest.fixture
def env():
    """Flash, as if Space paused it: bright is paused."""
    profile = replace(load_profile("flash"), pause=Pause("key", "space"))
    env = ScreenGameEnv(profile)
    env.reset()
    yield env
    env.close()


@pytest.fixture
def person(env):
    person = Screen(env.session.display.name)
    yield person
    person.close()


def is_bright(env):
    return env.step(NOOP)[4]["readings"]["flash"] > 200


def test_pause_and_resume_press_the_key_once_each_even_in_haste(env):
    for _ in range(3):
        env.pause()
        assert env.session.paused
        env.resume()
        assert not env.session.paused
    env.pause()
    wait_until(lambda: is_bright(env))
    assert not env.step(NOOP)[4]["transition"]  # of a game that is paused
    env.resume()
    wait_until(lambda: not is_bright(env))


def test_refused_pause_is_not_undone_by_resume(env, person):
    other = person.window(0, 200, 10, 10, override=True)
    person.focus(other)
    env.pause()
    assert not env.session.paused
    person.focus(game_window(person))
    env.resume()  # would pause the game
    for _ in range(5):
        assert not is_bright(env)
    other.destroy()


def test_refused_resume_leaves_the_game_paused_until_reset(env, person):
    env.pause()
    other = person.window(0, 200, 10, 10, override=True)
    person.focus(other)
    env.resume()
    assert env.session.paused
    assert wait_until(lambda: is_bright(env))
    other.destroy()
    person.display.sync()
    env.reset()
    assert not env.session.paused
    wait_until(lambda: not is_bright(env))


def test_pause_key_is_held_long_enough_whatever_the_time_out(env, person):
    raw = RawEvents(person.display)
    env.session.timeout = 0.02
    env.session._toggle("space")
    wait_until(lambda: raw.count(xinput.RawKeyPress, xinput.RawKeyRelease) == 2)
    pressed, released = raw.times
    assert released - pressed >= 49
