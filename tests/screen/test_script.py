"""What the steps of scripts do: chords, texts, pointer moves; and what a dry run says of them."""

import shutil
import subprocess
import time
from dataclasses import replace

import pytest
from Xlib import XK, X
from Xlib.ext import xinput

from hakisa_envs.screen.conditions import Condition
from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import InputError, ResetError
from hakisa_envs.screen.game import Step
from hakisa_envs.screen.processes import Keeper
from tests.helpers.backends import portable_too

from . import game_windows
from .helpers import RawEvents, Screen, in_time, wait_until
from .test_game_windows import game

SHIFT, CONTROL, LEVEL_3 = 1, 4, 0x80


class Listener(Screen):
    """Hears the keys and sees the pointer in a game's window."""

    def __init__(self, env):
        super().__init__(env.session.display.name)
        window = self.display.create_resource_object("window", env.session.look().window.window)
        window.change_attributes(event_mask=X.KeyPressMask | X.KeyReleaseMask)
        self.display.sync()

    def heard(self):
        """Presses, and the releases of what was pressed (Xvfb tells a second client of one more before each press)."""
        found, down = [], set()
        for event in self.events():
            if event.type == X.KeyPress:
                down.add(event.detail)
                found.append(event)
            elif event.type == X.KeyRelease and event.detail in down:
                down.discard(event.detail)
                found.append(event)
        return found

    def text(self):
        """What somebody would have typed with these keys."""
        typed = ""
        for event in self.heard():
            index = bool(event.state & SHIFT) + 4 * bool(event.state & LEVEL_3)
            value = self.display.keycode_to_keysym(event.detail, index) if event.type == X.KeyPress else 0
            typed += "\n" if value == XK.XK_Return else chr(value) if 32 <= value < 256 else ""
        return typed


@pytest.fixture
def listen():
    """Makes an env whose reset script it is; runs that while a listener listens, which it returns, and the env."""
    made = []

    def listen(*steps, **options):
        env = ScreenGameEnv(game(game_windows.PLAIN, reset=steps), **options)
        made.append(env)
        env.reset()
        listener = Listener(env)
        made.append(listener)
        env.reset()
        return listener, env

    yield listen
    for thing in reversed(made):
        thing.close()


CHORDS = [("a", 0), ("Shift_L+a", SHIFT), ("Control_L+Shift_R+F5", CONTROL | SHIFT), ("Left+Up", 0)]


@pytest.mark.parametrize(
    ("key", "state", "where"), [*((*chord, "x11") for chord in CHORDS), portable_too(*CHORDS[2])], indirect=["where"]
)
def test_chord_holds_the_first_keys_while_the_last_is_pressed(listen, key, state, where):
    listener, _ = listen(Step(do="press", key=key, hold_ms=80.0), **where)
    events = listener.heard()
    codes = [listener.keycode(XK.string_to_keysym(name)) for name in key.split("+")]
    *held, last = codes
    presses = [event.detail for event in events if event.type == X.KeyPress]
    releases = [event.detail for event in events if event.type == X.KeyRelease]
    assert presses == codes
    assert releases[0] == last
    assert set(releases[1:]) == set(held)
    pressed = next(event for event in events if event.detail == last)
    assert pressed.state & (SHIFT | CONTROL) == state
    assert not listener.held()


TEXTS = ["a", "Hello, World! 42", "oooOOO11!!l", "a\nB\tc", '{[~@#$%^&*()_+|<>?:"]}']


@pytest.mark.parametrize(
    ("text", "where"), [*((text, "x11") for text in TEXTS), portable_too(TEXTS[1])], indirect=["where"]
)
def test_text_is_typed_with_shift_where_it_must_be(listen, text, where):
    listener, _ = listen(Step(do="type", text=text), **where)
    assert listener.text() == text.replace("\t", "")
    assert not listener.held()


@pytest.mark.skipif(shutil.which("setxkbmap") is None, reason="needs setxkbmap (scripts/system-packages.sh)")
def test_text_is_typed_on_another_layout_too(listen):
    keeper = Keeper()
    name = open_display("xvfb", (640, 480), keeper).name
    subprocess.run(["setxkbmap", "-display", name, "de"], check=True)
    listener, _ = listen(Step(do="type", text="Zürich: ß@{}"), display=name, armed=True)
    assert listener.text() == "Zürich: ß@{}"
    keeper.close()


@pytest.mark.skipif(shutil.which("setxkbmap") is None, reason="needs setxkbmap (scripts/system-packages.sh)")
@pytest.mark.parametrize(("first", "then"), [("us", "de"), ("de", "us"), ("us", "fr")])
def test_script_follows_a_layout_that_changes_in_mid_session(first, then):
    keeper = Keeper()
    name = open_display("xvfb", (640, 480), keeper).name
    subprocess.run(["setxkbmap", "-display", name, first], check=True)
    script = (Step(do="type", text="Yz @{1}"), Step(do="press", key="Control_L+z"))
    env = ScreenGameEnv(game(game_windows.PLAIN, reset=script), display=name, armed=True, timeout=10.0)
    for layout in (first, then):
        subprocess.run(["setxkbmap", "-display", name, layout], check=True)
        env.reset()
        listener = Listener(env)  # which asks for the layout of now
        env.reset()
        assert listener.text() == "Yz @{1}z"
        assert not listener.held()
        listener.close()
    assert env.session.input.restarts == 0
    env.close()
    keeper.close()


def test_character_that_no_key_types_is_named_before_anything_is_pressed(where):
    env = ScreenGameEnv(game(game_windows.PLAIN, reset=(Step(do="type", text="ab\u4e2d"),)), **where)
    with pytest.raises(InputError, match="The character '\u4e2d' is not on the keyboard layout"):
        env.reset()
    env.close()


def test_pointer_is_moved_to_a_place_and_by_a_distance(listen, where):
    listener, env = listen(Step(do="move", place=(100, 60)), Step(do="move", by=(7, -3)), **where)
    pointer = listener.root.query_pointer()
    assert (pointer.root_x, pointer.root_y) == (107, 57)
    raw = RawEvents(listener.display)
    env.reset()
    assert raw.count(xinput.RawButtonPress, xinput.RawKeyPress) == 0
    assert raw.count(xinput.RawMotion) > 0


STEPS = [
    Step(do="press", key="Return"),
    Step(do="press", key="Shift_L+a"),
    Step(do="click", place=(5, 5)),
    Step(do="type", text="go"),
    Step(do="move", place=(5, 5)),
]


@pytest.mark.parametrize(
    ("step", "where"), [*((step, "x11") for step in STEPS), portable_too(STEPS[1])], indirect=["where"]
)
def test_dry_run_that_waits_for_what_a_press_would_bring_says_so_at_once(step, where):
    step = replace(step, until=Condition.parse("light > 200"), timeout=30.0, again=1.0)
    env = ScreenGameEnv(game(game_windows.PLAIN, reset=(step,)), **where | {"armed": False})
    began = time.monotonic()
    with pytest.raises(ResetError, match=r"reset\[0\]: this is a dry run, nothing is pressed.*armed=True \(--arm\)"):
        env.reset()
    assert in_time(began, 15.0)  # twice a start of the game, and not the half minute
    env.close()


def test_dry_run_plays_where_what_is_waited_for_holds_already(where):
    steps = (
        Step(do="press", key="Return", until=Condition.parse("light < 100")),
        Step(do="press", key="Return", when=Condition.parse("light > 100"), until=Condition.parse("light > 200")),
        Step(do="look", until=Condition.parse("light is read")),
    )
    env = ScreenGameEnv(game(game_windows.PLAIN, reset=steps), **where | {"armed": False})
    env.reset()
    assert env.session.dry
    env.close()


def test_dry_run_that_looks_in_vain_says_that_nothing_was_pressed(where):
    steps = (Step(do="press", key="Return"), Step(do="look", until=Condition.parse("light > 200"), timeout=0.2))
    env = ScreenGameEnv(game(game_windows.PLAIN, reset=steps), **where | {"armed": False})
    with pytest.raises(ResetError, match=r"'light > 200' did not come true \(a dry run: nothing was pressed\)"):
        env.reset()
    env.close()


def test_step_of_a_script_waits_for_the_focus(listen, where):
    listener, env = listen(Step(do="press", key="Shift_L+a"), **where)
    other = listener.window(400, 300, 50, 50, override=True)
    listener.focus(other)
    listener.events()
    env.reset()
    assert [event.detail for event in listener.heard() if event.type == X.KeyPress][-1] == listener.keycode(XK.XK_a)
    wait_until(lambda: not listener.held(), 1.0)
