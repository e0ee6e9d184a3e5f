"""A pause by the game's own key, which turns the game's state round: it must be known whether it was pressed."""

import os
import signal
from dataclasses import replace

import pytest
from Xlib.ext import xinput

from hakisa_envs.screen.conditions import Condition
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import ProfileError
from hakisa_envs.screen.game import Pause
from hakisa_envs.screen.profile import load_profile

from .helpers import RawEvents, Screen, game_window, wait_until

NOOP, FLASH = [0, 0, 0], [1, 0, 0]


@pytest.fixture
def env(where):
    """Flash, as if Space paused it: bright is paused."""
    profile = replace(load_profile("flash"), pause=Pause("key", "space"))
    env = ScreenGameEnv(profile, **where)
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


class TestPauseThatCanBeSeen:
    """The game need not hear the key at once, or ever."""

    @pytest.fixture
    def env(self, where):
        profile = replace(load_profile("flash"), pause=Pause("key", "space", Condition.parse("flash > 200")))
        env = ScreenGameEnv(profile, **where)
        env.reset()
        yield env
        env.close()

    def test_key_that_the_game_did_not_hear_is_pressed_again(self, env, monkeypatch):
        press, heard = env.session._toggle, iter([False, True, False, False, True])
        monkeypatch.setattr(env.session, "_toggle", lambda key: press(key) if next(heard) else True)
        env.pause()
        assert env.session.paused
        wait_until(lambda: is_bright(env))
        env.resume()
        assert not env.session.paused
        wait_until(lambda: not is_bright(env))
        assert next(heard, None) is None

    def test_game_that_does_not_pause_plays_on(self, env):
        os.kill(env.session._game.pid, signal.SIGSTOP)
        env.pause()
        assert not env.session.paused
        os.kill(env.session._game.pid, signal.SIGCONT)

    def test_game_that_paused_too_late_goes_on_at_the_next_resume(self, env):
        env.session._toggle("space")
        wait_until(lambda: is_bright(env))
        env.resume()
        wait_until(lambda: not is_bright(env))

    def test_condition_on_a_reading_that_is_not_there_is_refused(self, tmp_path):
        text = (load_profile("flash").folder / "flash.toml").read_text()
        pause = 'how = "key"\nkey = "space"\nuntil = "flush > 200"'
        (tmp_path / "flash.toml").write_text(text.replace('how = "stop"', pause))
        with pytest.raises(ProfileError, match=r"pause.*flush.*flash"):
            load_profile(tmp_path / "flash.toml")

    def test_condition_without_a_key_is_refused(self, tmp_path):
        text = (load_profile("flash").folder / "flash.toml").read_text()
        (tmp_path / "flash.toml").write_text(text.replace('how = "stop"', 'how = "stop"\nuntil = "flash > 200"'))
        with pytest.raises(ProfileError, match=r"pause.until.*flash > 200"):
            load_profile(tmp_path / "flash.toml")
