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


@pytest.mark.parametrize("options", [{}, {"display": "nested"}, {"armed": True}, {"armed": True, "display": "current"}])
def test_arming_is_refused(elsewhere, options):
    with pytest.raises(PlatformError, match=f"this is {elsewhere}.*armed=False.*untested_platform=True"):
        ScreenGameEnv("flash", **options)
    assert issubclass(PlatformError, ScreenError)


@pytest.mark.parametrize("options", [{"armed": False}, {"display": "current"}, {"display": ":1"}])
def test_looking_is_not(elsewhere, options):
    ScreenGameEnv("flash", **options).close()


def test_whoever_wants_it_all_the_same_gets_it(elsewhere):
    env = gym.make("hakisa_envs:Hakisa/ScreenGame-v0", game="flash", armed=True, untested_platform=True)
    assert env.unwrapped.armed


def test_on_linux_nothing_is_asked():
    assert ScreenGameEnv("flash", armed=True).armed
