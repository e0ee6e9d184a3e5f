"""A red dot shows that a display is recorded: beside the game, above other windows, and gone with its process."""

import os
import signal
import subprocess
import sys

import pytest
from Xlib import X

from hakisa_envs.screen.input.sign import SIZE, TITLE, RecordingSign
from hakisa_envs.screen.region import Region
from tests.screen.helpers import Screen, wait_until

GAME = Region(0, 0, 200, 150)


@pytest.fixture
def screen(xserver):
    screen = Screen(xserver)
    yield screen
    screen.close()


def signs(screen):
    """Where signs are, on the screen."""
    found = []
    for window in screen.root.query_tree().children:
        if window.get_wm_name() == TITLE and window.get_attributes().map_state == X.IsViewable:
            area = window.get_geometry()
            found.append(Region(area.x, area.y, area.width, area.height))
    return found


def red(screen, place):
    """Whether the middle of a place is red."""
    middle = screen.root.get_image(place.left + SIZE // 2, place.top + SIZE // 2, 1, 1, X.ZPixmap, 0xFFFFFFFF).data
    blue, green, red = middle[:3]
    return red > 200 and green < 50 and blue < 50


def test_it_is_seen_beside_the_game_and_above_others(screen, xserver):
    sign = RecordingSign(xserver)
    assert signs(screen) == []
    root = screen.root.get_geometry()
    other = screen.window(0, 0, root.width, root.height, title="other")
    assert sign.show(GAME)
    (place,) = signs(screen)
    assert place.intersect(GAME) is None
    assert red(screen, place)
    assert sign.show(place)  # the game moves to where it is
    (elsewhere,) = signs(screen)
    assert elsewhere.intersect(place) is None
    assert red(screen, elsewhere)
    sign.close()
    sign.close()
    wait_until(lambda: signs(screen) == [])
    other.destroy()


def test_it_takes_no_clicks(screen, xserver):
    sign = RecordingSign(xserver)
    other = screen.window(0, 0, 640, 480, title="other")
    sign.show(GAME)
    (place,) = signs(screen)
    screen.root.warp_pointer(place.left + SIZE // 2, place.top + SIZE // 2)
    screen.display.sync()
    assert screen.root.query_pointer().child == other
    sign.close()
    other.destroy()


def test_game_that_fills_the_screen_leaves_no_room(screen, xserver):
    root = screen.root.get_geometry()
    sign = RecordingSign(xserver)
    assert sign.show(GAME)
    assert not sign.show(Region(0, 0, root.width, root.height))
    assert signs(screen) == []
    assert sign.show(GAME)
    assert len(signs(screen)) == 1
    sign.close()


def test_it_goes_with_its_process(screen, xserver):
    code = f"""
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.input.sign import RecordingSign
sign = RecordingSign({xserver!r})
sign.show(Region(0, 0, 200, 150))
time.sleep(600)
"""
    child = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: len(signs(screen)) == 1, 60)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    wait_until(lambda: signs(screen) == [])
