"""Which window is taken for the game's on a display that others use too."""

from dataclasses import replace

import pytest
from Xlib import X

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import WindowError
from hakisa_envs.screen.game import Launch, Window
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.window import WindowFinder

from .helpers import game_window, wait_until

FLASH, CLICK = [1, 0, 0], [4, 5, 5]


@pytest.fixture
def decoy(screen):
    """Another program's window with the game's title: there before the game, larger, and with the focus."""
    window = screen.window(0, 0, 500, 400, title="Hakisa flash")
    screen.focus(window)
    yield window
    window.destroy()
    screen.display.sync()


def test_window_of_another_program_is_not_taken_for_the_launched_game(on_desktop, screen, decoy):
    decoy.set_wm_class("editor", "Editor")
    env = ScreenGameEnv("flash", **on_desktop)
    env.reset()
    assert env.session.look().window.window != decoy.id
    screen.events()
    wait_until(lambda: env.step(FLASH)[4]["readings"]["flash"] > 200)
    env.step(CLICK)
    env.close()
    assert not [event for event in screen.events() if event.type in (X.KeyPress, X.ButtonPress)]


def test_launched_game_that_shows_no_window_gets_no_other(on_desktop, screen, decoy):
    profile = load_profile("flash")
    profile = replace(profile, launch=Launch(command=("sleep", "60")), window=Window("Hakisa flash", timeout=0.5))
    env = ScreenGameEnv(profile, **on_desktop)
    with pytest.raises(WindowError, match=r"none of its own on display.*there are \['Hakisa flash'"):
        env.reset()
    env.close()
    assert screen.display.get_input_focus().focus == decoy


def test_several_windows_that_fit_are_named_where_nothing_is_launched(on_desktop, screen, decoy):
    second = screen.window(510, 0, 50, 50, title="Hakisa flash - notes")
    profile = replace(load_profile("flash"), launch=Launch(), pause=replace(load_profile("flash").pause, how="none"))
    profile = replace(profile, window=Window("^Hakisa flash"))
    env = ScreenGameEnv(profile, **on_desktop)
    with pytest.raises(WindowError, match="2 windows ") as caught:
        env.reset()
    assert all(title in str(caught.value) for title in ("'Hakisa flash'", "'Hakisa flash - notes'"))
    second.destroy()
    screen.display.sync()
    env = ScreenGameEnv(replace(profile, reset=()), **on_desktop | {"armed": None})
    env.reset()
    assert env.session.look().window.window == decoy.id
    env.close()


def test_game_opens_its_window_on_its_display_whatever_the_environment_says(where, monkeypatch):
    for name, value in (("SDL_VIDEODRIVER", "dummy"), ("QT_QPA_PLATFORM", "offscreen"), ("WAYLAND_DISPLAY", "w-0")):
        monkeypatch.setenv(name, value)
    profile = load_profile("flash")
    shell = ("sh", "-c", 'env > "$HOME/seen"; exec "$0" "$1"', *profile.launch.command)
    launch = Launch(command=shell, environment={"GDK_BACKEND": "x11"})
    env = ScreenGameEnv(replace(profile, launch=launch), timeout=10.0, **where)
    env.reset()
    seen = (env.session.folder / "home" / "seen").read_text()
    env.close()
    assert "GDK_BACKEND=x11" in seen  # what the profile sets stays
    assert not [name for name in ("SDL_VIDEODRIVER", "QT_QPA_PLATFORM", "WAYLAND_DISPLAY") if name in seen]


@pytest.mark.parametrize("border", [1, 7])
def test_border_of_a_window_as_large_as_its_display_lies_off_the_screen(xserver, screen, border):
    window = screen.root.create_window(0, 0, 640, 480, border, screen.display.screen().root_depth)
    window.set_wm_name("bordered")
    window.map()
    screen.display.sync()
    finder = WindowFinder(xserver, "^bordered$", None, (640, 480))
    assert finder.find() == window.id
    assert finder.state().region == Region(border, border, 640, 480)
    finder.restore(640, 480)
    wait_until(lambda: finder.state().region == Region(0, 0, 640, 480))
    finder.close()
    window.destroy()
    screen.display.sync()


def test_frame_and_child_with_the_same_title_are_one_window(xserver, screen):
    state = screen.display.intern_atom("WM_STATE")
    frame = screen.window(0, 0, 200, 150, title="framed")
    client = frame.create_window(10, 20, 100, 50, 0, X.CopyFromParent)
    client.set_wm_name("framed")
    client.map()
    profile = replace(load_profile("flash"), launch=Launch(), window=Window("^framed$"), readings=(), rewards=(),
                      ends=(), reset=(), probe=None)  # fmt: skip
    for managed, expected in ((False, frame), (True, client)):
        if managed:
            client.change_property(state, state, 32, [1, 0])
        screen.display.sync()
        env = ScreenGameEnv(profile, display=xserver)
        env.reset()
        assert env.session.look().window.window == expected.id
        env.close()
    frame.destroy()
    screen.display.sync()


def test_window_of_an_unknown_process_is_the_games_only_on_a_display_of_its_own(xserver):
    shared = ScreenGameEnv("flash", display=xserver)
    shared.reset()
    own = ScreenGameEnv("flash")
    own.reset()
    assert not shared.session._launched(None)
    assert own.session._launched(None)
    for env in (shared, own):
        assert env.session._launched(env.session._game.pid)
        assert not env.session._launched(1)
        env.close()


def test_game_window_is_the_one_of_its_process(on_desktop, screen):
    env = ScreenGameEnv("flash", **on_desktop | {"armed": None})
    env.reset()
    assert env.session.look().window.window == game_window(screen).id
    assert env.session._thread.call(env.session._finder.pid) == env.session._game.pid
    env.close()
