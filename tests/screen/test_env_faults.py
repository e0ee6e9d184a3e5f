"""What breaks while a live game is played: the step says so in time, nothing stays down, and `reset` repairs it."""

import os
import signal
import time
from dataclasses import replace

import pytest
from Xlib import XK

from hakisa_envs.screen import session
from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import Killed, ReaderError, ScreenError
from hakisa_envs.screen.game import Launch, Reading, Window
from hakisa_envs.screen.keeper import processes
from hakisa_envs.screen.processes import Keeper
from hakisa_envs.screen.profile import load_profile

from .helpers import Screen, game_window, gone, in_time, press_chord, step_until_held, wait_until

NOOP, FLASH, HOLD_LEFT = [0, 0, 0], [1, 0, 0], [2, 1, 0]


@pytest.fixture
def own(where):
    """An env that the test may break."""
    env = ScreenGameEnv("flash", timeout=2.0, **where)
    env.reset()
    yield env
    env.close()


@pytest.mark.parametrize("fault", ["game killed", "window closed", "input stopped"])
def test_what_breaks_ends_the_episode_in_time_and_reset_repairs_it(own, fault):
    game = own.session
    own.step(HOLD_LEFT)
    eye = Screen(game.display.name)
    if fault == "game killed":
        os.kill(game._game.pid, signal.SIGKILL)
        wait_until(lambda: game._game.exit_code() is not None)
    elif fault == "window closed":
        game_window(eye).destroy()
        eye.display.sync()
    else:
        os.killpg(os.getpgid(game.input.pid), signal.SIGSTOP)
    assert_failed_in_time(own)
    wait_until(lambda: not eye.held(), 1.0)
    eye.close()
    own.reset()
    assert own.step(FLASH)[4]["failure"] == ""


@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_display_of_the_envs_own_that_breaks_ends_the_episode_in_time_and_reset_starts_another(fault):
    env = ScreenGameEnv("flash", timeout=2.0)
    env.reset()
    server = env.session.display.server
    env.step(HOLD_LEFT)
    os.kill(server.pid, signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
    wait_until(lambda: fault == "stopped" or server.exit_code() is not None)
    assert_failed_in_time(env)
    env.reset()
    assert env.step(FLASH)[4]["failure"] == ""
    env.close()


def assert_failed_in_time(env):
    began = time.monotonic()
    _, reward, terminated, truncated, info = env.step(HOLD_LEFT)
    assert in_time(began, env.timeout + 0.5)  # of which 0.1 s is meant
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert "reset" in info["failure"]
    assert not info["transition"]
    assert not info["counted"]


def test_keys_go_up_as_soon_as_a_stopped_x_server_that_is_not_ours_goes_on(where, monkeypatch):
    keeper = Keeper()
    display = open_display("xvfb", (640, 480), keeper)
    monkeypatch.setenv("DISPLAY", display.name)
    env = ScreenGameEnv("flash", timeout=2.0, **where | {"display": "current", "armed": True})
    env.reset()
    person = Screen(display.name)
    step_until_held(env, HOLD_LEFT, person)
    server = env.session.input.pid
    os.kill(display.server.pid, signal.SIGSTOP)
    assert env.step(NOOP)[3]
    os.kill(display.server.pid, signal.SIGCONT)
    wait_until(lambda: not person.held(), 1.0)
    wait_until(lambda: gone(server), 1.0)
    env.reset()
    assert env.step(HOLD_LEFT)[4]["held"] == ("Left",)
    person.close()
    env.close()
    keeper.close()


def test_game_that_hangs_is_flagged(own):
    own._session._game.pause()
    wait_until(lambda: own.step(FLASH)[4]["unchanged_s"] > 0.15)
    own._session._game.resume()


@pytest.mark.parametrize("how", ["stopped", "stopped in a pause"])
def test_reset_starts_a_stopped_game_anew_but_not_one_that_it_paused_itself(own, how):
    pid = own.session._game.pid
    if how == "stopped":
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: processes()[pid][2] == "T")
    else:
        own.pause()
    own.reset()
    assert (own.session._game.pid == pid) == (how != "stopped")
    wait_until(lambda: own.step(FLASH)[4]["readings"]["flash"] > 200)


PINGED = """
import time
from Xlib import X, display
connection = display.Display()
root = connection.screen().root
window = root.create_window(0, 0, 320, 240, 0, X.CopyFromParent, background_pixel=0x404040, event_mask=X.KeyPressMask)
atom = connection.intern_atom
window.set_wm_name("pinged")
window.set_wm_protocols([atom("_NET_WM_PING")])
window.map()
while True:
    event = connection.next_event()
    if event.type == X.KeyPress:
        time.sleep(1000)  # hangs
    elif event.type == X.ClientMessage:
        event.window = root
        root.send_event(event, event_mask=X.SubstructureNotifyMask | X.SubstructureRedirectMask)
        connection.flush()
"""


def test_reset_starts_a_game_anew_that_no_longer_answers_to_pings(monkeypatch):
    monkeypatch.setattr(session, "PING_S", 0.5)
    profile = replace(load_profile("flash"), launch=Launch(command=("{python}", "-c", PINGED)),
                      window=Window("pinged"), readings=(), rewards=(), ends=(), reset=(), probe=None)  # fmt: skip
    env = ScreenGameEnv(profile)
    env.reset()
    game = env.session._game.pid
    env.reset()
    assert env.session._game.pid == game  # it answers
    env.step(FLASH)
    env.reset()
    assert env.session._game.pid != game
    env.close()


def test_fourth_failure_in_ten_minutes_raises(own):
    for _ in range(3):
        os.kill(own._session._game.pid, signal.SIGKILL)
        wait_until(lambda: own.step(NOOP)[3])
        own.reset()
    os.kill(own._session._game.pid, signal.SIGKILL)
    with pytest.raises(ScreenError, match="window is gone"):
        wait_until(lambda: own.step(NOOP)[3] and not own.reset())


class Thrower:
    """A reader that works for the reset and then raises."""

    count = 0

    def read(self, pixels):
        self.count += 1
        if self.count > 3:
            raise ZeroDivisionError("in a reader")
        return 0.0


def test_reader_that_throws_surfaces_with_its_cause_nothing_stays_down_and_reset_recovers(where):
    profile = load_profile("flash")
    profile = replace(profile, readings=(*profile.readings, Reading("mine", Thrower())), reset=())
    env = ScreenGameEnv(profile, **where)
    env.reset()
    person = Screen(env._session.display.name)
    with pytest.raises(ReaderError, match="'mine'") as caught:
        wait_until(lambda: env.step(HOLD_LEFT) is None)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    wait_until(lambda: not person.held(), 1.0)
    person.close()
    assert env.reset()[1]["readings"]["mine"] == 0.0
    assert env.step(FLASH)[4]["failure"] == ""
    env.close()


def test_kill_chord_raises_at_once_and_holds_until_close(own):
    person = Screen(own._session.display.name)
    own.step(HOLD_LEFT)
    press_chord(person)
    with pytest.raises(Killed, match=r"Ctrl\+Shift\+F12"):
        wait_until(lambda: own.step(HOLD_LEFT) is None)
    assert person.keycode(XK.XK_Left) not in person.held()
    for again in (own.reset, lambda: own.step(NOOP)):
        with pytest.raises(Killed):
            again()
    person.close()
    own.close()
    own.reset()


# X11's alone: there the guardian of an input server listens as well.
def test_kill_chord_that_only_a_lost_input_server_heard_is_not_forgotten():
    env = ScreenGameEnv("flash", timeout=2.0)
    env.reset()
    person = Screen(env.session.display.name)
    worker = env.session.input.pid
    guardian = os.getpgid(worker)
    for pid in (guardian, worker):  # the guardian first, or it would end both before anybody presses
        os.kill(pid, signal.SIGSTOP)
    press_chord(person)
    os.kill(guardian, signal.SIGCONT)
    with pytest.raises(Killed):  # the guardian has heard the chord as well
        wait_until(lambda: env.step(NOOP) is None, timeout=30)
    person.close()
    env.close()


def test_kill_chord_between_the_episodes_is_heard_by_reset(where):
    env = ScreenGameEnv(replace(load_profile("flash"), reset=()), **where)  # no script, which would hear it by itself
    env.reset()
    person = Screen(env.session.display.name)
    press_chord(person)
    wait_until(lambda: env.session.input.report().killed)
    with pytest.raises(Killed):
        env.reset()
    person.close()
    env.close()
