"""What the portable back end says where something is missing, and what it sees of an X display."""

import sys

import pytest
from Xlib import X

from hakisa_envs.errors import MissingExtraError
from hakisa_envs.screen.backends.portable import backend as portable
from hakisa_envs.screen.backends.portable.programs import PortablePrograms
from hakisa_envs.screen.backends.portable.x11 import X11Desktop
from hakisa_envs.screen.errors import DisplayError
from hakisa_envs.screen.region import Region

from .helpers import Screen


def test_missing_permissions_stop_it_before_anything_is_opened(monkeypatch):
    made = portable.PortableBackend()
    made._system = type("System", (), {
        "prepare": lambda self: None,
        "missing_permissions": lambda self, press, listen=False: [
            f"Settings > {'Accessibility' if press else 'Input Monitoring' if listen else 'Screen'}"
        ],
    })()  # fmt: skip
    with pytest.raises(DisplayError, match=r"Allow it.*under Settings > Screen; then start it again"):
        made.open_display("current", (0, 0), PortablePrograms(), log=None)
    with pytest.raises(DisplayError, match="Settings > Accessibility"):
        made.input(None, [], dry=False, timeout=1.0, programs=PortablePrograms())
    with pytest.raises(DisplayError, match="Settings > Input Monitoring"):
        made.listener(None, ["Left"], 1)


def test_desktop_that_is_not_there_is_named(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(DisplayError, match="DISPLAY, which is not set"):
        portable.PortableBackend().open_display("current", (0, 0), PortablePrograms(), log=None)


def test_wayland_desktop_is_refused(desktop, monkeypatch):
    monkeypatch.setattr("hakisa_envs.screen.display._is_xwayland", lambda connection: True)
    with pytest.raises(DisplayError, match="belongs to a Wayland session"):
        portable.PortableBackend().open_display("current", (0, 0), PortablePrograms(), log=None)


def test_library_that_is_missing_comes_with_the_line_that_installs_it(desktop, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynput.keyboard", None)
    made = portable.PortableBackend()
    with pytest.raises(MissingExtraError, match=r'pip install "hakisa\[portable\]"'):
        made.listener(made.open_display("current", (0, 0), PortablePrograms(), log=None), ["Left"], 1)


def test_what_an_x_server_tells_does_not_pile_up_where_only_the_focus_is_asked_for(desktop, screen):
    windows = X11Desktop()
    game = screen.window(0, 0, 50, 50, title="game")
    screen.focus(game)
    for x in range(200):
        game.configure(x=x)
    screen.display.sync()
    assert windows.has_focus(game.id)
    assert windows._display.pending_events() == 0
    assert windows.look(game.id).region.left == 199
    game.destroy()
    screen.display.sync()
    assert windows.look(game.id) is None
    assert [windows.was_destroyed(game.id) for _ in range(2)] == [True, False]
    windows.close()


def test_button_may_be_held_beyond_the_edge_where_keys_go_to_whatever_is_under_the_pointer(desktop, screen):
    windows, game = X11Desktop(), screen.window(0, 0, 50, 50, title="game")
    screen.display.set_input_focus(X.PointerRoot, X.RevertToPointerRoot, X.CurrentTime)
    screen.root.warp_pointer(300, 300)
    screen.display.sync()
    assert not windows.has_focus(game.id)
    assert not windows.has_lost_focus(game.id)
    game.unmap()
    screen.display.sync()
    assert windows.has_lost_focus(game.id)
    game.destroy()
    windows.close()


def test_frame_that_repeats_a_title_is_none_and_others_windows_above_cover(desktop, screen):
    windows, other = X11Desktop(), Screen(desktop)
    frame = screen.window(10, 10, 120, 120, title="game")
    inner = frame.create_window(5, 20, 100, 90, 0, screen.display.screen().root_depth)
    inner.set_wm_name("game")
    inner.map()
    screen.display.sync()
    (found,) = [window for window in windows.windows() if window.title == "game"]
    assert (found.number, found.region) == (inner.id, Region(15, 30, 100, 90))
    assert windows.look(inner.id).above == ()
    cover = other.window(100, 100, 50, 50, title="cover", override=True)
    assert windows.look(inner.id).above == (Region(100, 100, 50, 50),)
    cover.destroy()
    other.display.sync()
    assert windows.look(inner.id).above == ()
    frame.unmap()
    screen.display.sync()
    assert not windows.look(inner.id).shown
    frame.destroy()
    windows.close()
    other.close()
