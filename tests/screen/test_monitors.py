"""A screen of two monitors, and one whose mode changes while the game is played (RandR)."""

from dataclasses import replace

import numpy as np
import pytest
from Xlib.ext import randr
from Xlib.protocol import rq

from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.game import Screen as ScreenSettings
from hakisa_envs.screen.processes import Keeper
from hakisa_envs.screen.profile import load_profile

from .helpers import Screen, wait_until

NOOP, HOLD_LEFT = [0, 0, 0], [2, 1, 0]
LEFT_CLICK = 4


@pytest.fixture
def env(where, monkeypatch):
    profile, keeper = replace(load_profile("flash"), screen=ScreenSettings((960, 480))), Keeper()
    if where:  # else the env starts it
        monkeypatch.setenv("DISPLAY", open_display("xvfb", (960, 480), keeper).name)
    env = ScreenGameEnv(profile, render_mode="rgb_array", timeout=10.0, **where)
    env.reset()
    yield env
    env.close()
    keeper.close()


@pytest.fixture
def person(env):
    person = Screen(env._session.display.name)
    yield person
    person.close()


def place(env, person, x, y):
    """Move the game's window, and wait until that is seen."""
    window = person.display.create_resource_object("window", env._view.window.window)
    window.configure(x=x, y=y)
    person.display.sync()
    wait_until(lambda: env.step(NOOP) and (env._view.window.region.left, env._view.window.region.top) == (x, y))


class SetMonitor(rq.Request):
    """RRSetMonitor; python-xlib 0.33 cannot pack its own."""

    _request = rq.Struct(
        rq.Card8("opcode"), rq.Opcode(43), rq.RequestLength(), rq.Window("window"),
        rq.Card32("name"), rq.Bool("primary"), rq.Bool("automatic"), rq.LengthOf("outputs", 2),
        rq.Int16("x"), rq.Int16("y"), rq.Card16("width"), rq.Card16("height"),
        rq.Card32("width_mm"), rq.Card32("height_mm"), rq.List("outputs", rq.Card32Obj),
    )  # fmt: skip


def split(person):
    """Make two monitors side by side out of the screen."""
    for name, left in (("WEST", 0), ("EAST", 480)):
        SetMonitor(
            display=person.display.display, opcode=person.display.display.get_extension_major(randr.extname),
            window=person.root, name=person.display.intern_atom(name), primary=left == 0, automatic=False,
            x=left, y=0, width=480, height=480, width_mm=120, height_mm=120, outputs=[],
        )  # fmt: skip
    person.display.sync()
    shown = [(monitor.x, monitor.width_in_pixels) for monitor in person.root.xrandr_get_monitors().monitors]
    assert {(0, 480), (480, 480)} <= set(shown)


def change_mode(person, width, height):
    """Give the whole screen another size, as a change of the monitor's mode does."""
    resources = person.root.xrandr_get_screen_resources()
    person.display.xrandr_set_crtc_config(resources.crtcs[0], resources.config_timestamp, 0, 0, 0, 1, [])
    person.root.xrandr_set_screen_size(width, height, 100, 100)
    person.display.sync()
    assert person.root.get_geometry().width == width


@pytest.mark.parametrize("left", [640, 320])  # on the second monitor, and half on each
def test_game_is_seen_and_hit_on_whatever_monitor_it_is(env, person, left):
    reference = env.step(NOOP)[0]
    split(person)
    place(env, person, left, 100)
    observation, _, _, _, info = env.step(NOOP)
    assert np.array_equal(observation, reference)
    assert not info["clipped"]
    for cell in ((0, 0), (31, 23)):
        env.step([LEFT_CLICK, *cell])
        pointer = person.root.query_pointer()
        assert (pointer.root_x, pointer.root_y) == (left + 10 * cell[0] + 5, 100 + 10 * cell[1] + 5)
        wait_until(lambda cell=cell: env.step(NOOP) and env.render()[10 * cell[1] + 5, 10 * cell[0] + 5, 1] == 200)


def test_mode_that_changes_is_flagged_and_a_larger_one_is_seen_whole_again(env, person):
    place(env, person, 400, 100)
    reference = env.step(NOOP)[0]
    change_mode(person, 640, 300)
    observation, _, _, truncated, info = wait_until(lambda: (s := env.step(HOLD_LEFT))[4]["clipped"] and s)
    assert not truncated
    assert info["readings"] == {"flash": None, "bar": None}  # both reach beyond what is left of the screen
    assert observation.shape == reference.shape
    assert not observation[-1, :, -20:].any()
    pointer = person.root.query_pointer()
    assert pointer.root_x < 640
    change_mode(person, 960, 480)
    wait_until(lambda: not env.step([3, 1, 0])[4]["clipped"])
    assert env.step(NOOP)[0][-1, :, -20:].any()


def test_reset_brings_the_window_back_onto_a_screen_that_became_smaller(env, person):
    place(env, person, 600, 200)
    env.step(HOLD_LEFT)
    change_mode(person, 640, 300)
    wait_until(lambda: env.step(NOOP)[4]["clipped"])
    env.reset()
    assert not person.held()
    info = env.step(NOOP)[4]
    assert not info["clipped"]
    assert env._view.window.region.left == 0
