"""The game's window under a real window manager: what a person can do to it with one, and how `reset` answers."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from Xlib import X
from Xlib.protocol.event import ClientMessage

from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import ProcessError
from hakisa_envs.screen.game import Screen as ScreenSettings
from hakisa_envs.screen.processes import Keeper
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.screen.window import WindowFinder

from .helpers import Screen, wait_until

pytestmark = pytest.mark.skipif(
    shutil.which("openbox") is None, reason="needs openbox (scripts/system-packages.sh)"
)  # fmt: skip

NOOP, FLASH, HOLD_LEFT = [0, 0, 0], [1, 0, 0], [2, 1, 0]
ICONIC = 3


@pytest.fixture(scope="module")
def shared(where):
    profile = load_profile("flash")
    profile = replace(profile, screen=ScreenSettings((640, 480), "openbox"))
    keeper = Keeper()
    with pytest.MonkeyPatch.context() as patch:
        if where:  # else the env starts both
            name = open_display("xvfb", (640, 480), keeper).name
            patch.setenv("DISPLAY", name)
            keeper.launch([shutil.which("openbox")], environment=dict(os.environ))
            finder = WindowFinder(name, "")
            wait_until(finder.is_managed)
            finder.close()
        env = ScreenGameEnv(profile, render_mode="rgb_array", timeout=10.0, **where)
        yield env
        env.close()
    keeper.close()


@pytest.fixture
def env(shared):
    shared.reset()
    return shared


class Person(Screen):
    """Asks the window manager for what its buttons and menus do."""

    def __init__(self, env):
        super().__init__(env.session.display.name)
        self.game = self.display.create_resource_object("window", env.view.window.window)

    def ask(self, window, name, *data):
        words = [*data, 0, 0, 0, 0, 0][:5]
        message = ClientMessage(window=window, client_type=self.display.intern_atom(name), data=(32, words))
        self.root.send_event(message, event_mask=X.SubstructureRedirectMask | X.SubstructureNotifyMask)
        self.display.sync()


@pytest.fixture
def person(env):
    person = Person(env)
    yield person
    person.close()


def test_frame_of_the_window_manager_is_not_seen_and_clicks_fall_inside_it(env, person):
    frame = person.game.query_tree().parent
    assert frame != person.root
    # The area begins below the title bar.
    place = person.game.translate_coords(person.root, 0, 0)
    assert place.y != 0
    info = env.step([4, 0, 0])[4]
    assert info["focused"]
    wait_until(lambda: env.step(NOOP) and tuple(env.render()[5, 5]) == (30, 200, 30))
    pointer = person.game.query_pointer()
    assert (pointer.win_x, pointer.win_y) == (5, 5)


def refused(env):
    """What a step says whose press the game does not get; on a busy machine one may come too late to be tried."""
    return wait_until(lambda: (info := env.step(FLASH)[4])["refused"] == 1 and info)


def test_window_that_is_minimised_gets_nothing_and_comes_back(env, person):
    assert env.step(HOLD_LEFT)[4]["held"] == ("Left",)
    person.ask(person.game, "WM_CHANGE_STATE", ICONIC)
    info = wait_until(lambda: (i := env.step(FLASH)[4])["obscured"] and i)
    wait_until(lambda: not person.held(), 1.0)
    info = refused(env)
    assert not info["focused"]
    assert info["readings"] == {"flash": None, "bar": None}  # not those of what is to be seen there instead
    assert not info["transition"]
    env.reset()
    info = env.step(FLASH)[4]
    assert info["focused"]
    assert not info["refused"]
    assert not info["obscured"]


def test_window_that_is_covered_by_another_program_is_raised_again(env, person):
    env.step(HOLD_LEFT)
    other = person.window(0, 0, 600, 440, title="other")  # which the window manager gives the focus to
    person.ask(other, "_NET_ACTIVE_WINDOW", 2)
    wait_until(lambda: env.step(NOOP)[4]["obscured"])
    wait_until(lambda: not person.held(), 1.0)
    assert not refused(env)["focused"]
    assert not any(event.type == X.KeyPress for event in person.events())
    env.reset()
    info = env.step(FLASH)[4]
    assert (info["focused"], info["refused"], info["obscured"]) == (True, 0, False)
    other.destroy()
    person.display.sync()


def test_window_that_is_moved_by_its_frame_is_followed(env, person):
    reference = env.step(NOOP)[0]
    before = env._view.window.region
    person.game.configure(x=250, y=200)
    person.display.sync()
    wait_until(lambda: env.step(NOOP) and env._view.window.region.left not in (before.left, 0))
    observation, _, _, _, info = env.step(NOOP)
    assert np.array_equal(observation, reference)
    assert not info["clipped"]


def test_window_that_is_maximised_is_flagged_and_restored(env, person):
    atoms = [person.display.intern_atom(f"_NET_WM_STATE_MAXIMIZED_{way}") for way in ("VERT", "HORZ")]
    person.ask(person.game, "_NET_WM_STATE", 1, *atoms)
    wait_until(lambda: env.step(NOOP)[4]["resized"])
    game = env._session._game.pid
    env.reset()
    assert not env.step(NOOP)[4]["resized"]
    assert env._session._game.pid == game  # it need not be started anew


def test_window_manager_that_does_not_start_is_explained():
    profile = load_profile("flash")
    env = ScreenGameEnv(replace(profile, screen=ScreenSettings((640, 480), "false")))
    with pytest.raises(ProcessError, match="'false' did not start"):
        env.reset()
    env.close()


def test_window_that_is_closed_by_its_button_ends_the_episode_and_is_started_again(env, person):
    env.step(HOLD_LEFT)
    person.ask(person.game, "_NET_CLOSE_WINDOW")
    step = wait_until(lambda: (s := env.step(NOOP))[3] and s)
    assert "window is gone" in step[4]["failure"]
    wait_until(lambda: not person.held(), 1.0)
    env.reset()
    assert env.step(FLASH)[4]["failure"] == ""
