"""Where nobody has tried what a press hits, the env presses only if it is told to all the same."""

import sys

import gymnasium as gym
import pytest

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import PlatformError, ScreenError


@pytest.fixture(params=["win32", "darwin"])
def elsewhere(request, monkeypatch):
    monkeypatch.setattr(sys, "platform", request.param)
    return request.param


@pytest.mark.parametrize("options", [{"armed": True}, {"armed": True, "display": "current"}])
def test_arming_is_refused(elsewhere, options):
    name = {"win32": "Windows", "darwin": "macOS"}[elsewhere]
    with pytest.raises(PlatformError, match=f"this is {name}.*armed=False.*untested_platform=True"):
        ScreenGameEnv("flash", **options)
    assert issubclass(PlatformError, ScreenError)


@pytest.mark.parametrize("options", [{}, {"armed": False}, {"display": "current"}, {"backend": "portable"}])
def test_looking_is_not_and_is_done_on_the_desktop(elsewhere, options):
    env = ScreenGameEnv("flash", **options)
    assert (env.backend.name, env.display) == ("portable", "current")
    env.close()


@pytest.mark.parametrize("display", ["xvfb", "nested", ":1"])
def test_another_display_than_the_desktop_needs_x11(elsewhere, display):
    with pytest.raises(ValueError, match=f"display='{display}' needs X11.*must be 'current'"):
        ScreenGameEnv("flash", display=display)


def test_x11_needs_linux(elsewhere):
    with pytest.raises(ValueError, match=f"needs Linux, and this is {elsewhere}.*backend='portable'"):
        ScreenGameEnv("flash", backend="x11")


def test_whoever_wants_it_all_the_same_gets_it(elsewhere):
    env = gym.make("hakisa_envs:Hakisa/ScreenGame-v0", game="flash", armed=True, untested_platform=True)
    assert env.unwrapped.armed


def test_on_linux_nothing_is_asked():
    assert ScreenGameEnv("flash", armed=True).armed
    assert ScreenGameEnv("flash", backend="portable", armed=True).armed


def test_unknown_back_end_is_refused():
    with pytest.raises(ValueError, match="backend='wayland' is not allowed: it must be None or 'x11' or 'portable'"):
        ScreenGameEnv("flash", backend="wayland")
