"""A second X client plays, and is heard: in order, only while the game has the focus, and nothing but its keys."""

import itertools
import os
import random
import signal
import threading
import time

import pytest
from Xlib import X
from Xlib.ext import xtest
from Xlib.protocol.event import FocusIn, FocusOut

from hakisa_envs.screen.backends.choice import make_backend
from hakisa_envs.screen.backends.protocols import Display
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.client import InputClient
from hakisa_envs.screen.input.listener import CHECK_S, PersonListener, input_method
from tests.screen.helpers import Screen, wait_until

SPACE, LEFT, CANARY = 0x20, 0xFF51, ord("q")
NAMES = ["space", "Left", "button1"]


class Person(Screen):
    """Presses through XTest, as hardware would."""

    def key(self, keysym, down):
        xtest.fake_input(self.display, X.KeyPress if down else X.KeyRelease, self.keycode(keysym))
        self.display.sync()

    def tap(self, keysym):
        for kind in (X.KeyPress, X.KeyRelease):  # in one go, or a slow machine makes a hold of it
            xtest.fake_input(self.display, kind, self.keycode(keysym))
        self.display.sync()

    def button(self, number, down):
        xtest.fake_input(self.display, X.ButtonPress if down else X.ButtonRelease, number)
        self.display.sync()

    def move(self, x, y):
        xtest.fake_input(self.display, X.MotionNotify, x=x, y=y)
        self.display.sync()


@pytest.fixture
def person(xserver):
    one = Person(xserver)
    yield one
    for keysym in (SPACE, LEFT, CANARY, 0xFFE3, 0xFFE1, 0xFFC6, 0xFFC7, 0xFFC9):
        one.key(keysym, False)
    one.close()


@pytest.fixture
def game(person):
    window = person.window(0, 0, 200, 150, title="game")
    person.focus(window)
    yield window
    window.destroy()
    person.display.sync()


@pytest.fixture
def listener(xserver, person, game):
    """X11's, for what the portable one does not know: the order of keys and focus, and layouts that change."""
    one = PersonListener(xserver, NAMES, game.id)
    yield one
    one.close()


@pytest.fixture
def listen(where, on_desktop, xserver, game):
    """Begins to listen, by one back end, then by the other."""
    begun = []

    def listen():
        begun.append(make_backend(where.get("backend")).listener(Display(xserver, owned=False), NAMES, game.id))
        return begun[-1]

    yield listen
    for one in begun:
        one.close()


@pytest.fixture
def either(listen, person):
    return listen()


def heard(listener, kinds=("press", "release"), count=0, seconds=20.0):
    """What came, once it is as much as that."""
    found, until = [], time.monotonic() + seconds
    while True:
        found += [e for e in listener.take() if e.kind in kinds]
        if len(found) >= count or time.monotonic() > until:
            return found
        time.sleep(0.005)


def names(events):
    return [(event.kind, event.name) for event in events]


def test_keys_buttons_motion_and_wheel_are_heard_with_their_place_and_the_servers_time(either, person):
    before = time.monotonic_ns()
    person.move(20, 30)
    # One of them hears keys and the mouse in two threads, and knows no order between these.
    events = heard(either, ("motion",), 1)
    person.tap(SPACE)
    events += heard(either, ("press", "release"), 2)
    person.move(50, 60)
    person.button(1, True)
    person.button(1, False)
    person.button(4, True)
    person.button(4, False)
    until = time.monotonic() + 20
    while "wheel" not in {event.kind for event in events} and time.monotonic() < until:  # motion may come in parts
        events += heard(either, ("press", "release", "wheel", "motion"), 1)
    after = time.monotonic_ns()
    person.tap(CANARY)
    rest = [e for e in events if e.kind != "motion"]
    assert [(e.kind, e.name) for e in rest] == [
        ("press", "space"), ("release", "space"), ("press", "button1"), ("release", "button1"), ("wheel", ""),
    ]  # fmt: skip
    assert (rest[0].place, rest[2].place, rest[4].by) == ((20, 30), (50, 60), (0.0, 1.0))
    assert all(before - 2_000_000 <= e.t_ns <= after + 2_000_000 for e in events)
    assert [e.t_ns for e in events] == sorted(e.t_ns for e in events)
    person.tap(LEFT)
    assert names(heard(either, count=2)) == [("press", "Left"), ("release", "Left")]  # and no canary


def test_the_pointers_place_is_known_in_a_game_that_plays_in_an_inner_window(person, game, xserver):
    inner = game.create_window(0, 0, 200, 150, 0, X.CopyFromParent, event_mask=X.PointerMotionMask)
    inner.map()
    person.move(10, 10)
    listener = PersonListener(xserver, NAMES, game.id)
    try:
        person.move(70, 80)
        assert (70, 80) in [e.place for e in heard(listener, ("motion",), 2)]  # how far, and where to
        person.move(30, 40)
        person.button(1, True)
        person.button(1, False)
        found = heard(listener, ("press",), 1)
        assert [e.place for e in found] == [(30, 40)]
    finally:
        listener.close()


def test_what_is_typed_elsewhere_is_never_kept_however_the_focus_flips(listener, person, game, xserver):
    other = Person(xserver)
    elsewhere = other.window(300, 200, 100, 100, title="mail")
    rng, stop = random.Random(0), threading.Event()

    def flip():
        flipper = Person(xserver)
        while not stop.is_set():
            flipper.focus(rng.choice([game, elsewhere]))
            time.sleep(rng.uniform(0.002, 0.02))
        flipper.close()

    thread = threading.Thread(target=flip)
    thread.start()
    to_game, counts = [], {"game": 0, "elsewhere": 0}
    for _ in range(150):
        keysym = rng.choice([SPACE, LEFT, CANARY])
        # Which window gets it is certain only while nobody else is served.
        person.display.grab_server()
        focus = person.display.get_input_focus().focus
        xtest.fake_input(person.display, X.KeyPress, person.keycode(keysym))
        xtest.fake_input(person.display, X.KeyRelease, person.keycode(keysym))
        person.display.sync()
        person.display.ungrab_server()
        person.display.flush()
        counts["game" if focus == game else "elsewhere"] += 1
        if focus == game and keysym != CANARY:
            to_game += [("press", {SPACE: "space", LEFT: "Left"}[keysym])]
        time.sleep(rng.uniform(0.0, 0.01))
    stop.set()
    thread.join()
    person.focus(game)
    person.tap(SPACE)
    found = [event for event in heard(listener, ("press",), len(to_game) + 1) if event.kind == "press"]
    assert min(counts.values()) > 20
    assert names(found) == [*to_game, ("press", "space")]
    elsewhere.destroy()
    other.close()


def elsewhere(person, keysym, listener):
    """Taps a key while another window has the focus, and waits until that is heard: the chord comes after it."""
    person.tap(keysym)
    for pressed, key in itertools.product((True, False), (0xFFE3, 0xFFE1, 0xFFC7)):  # Ctrl+Shift+F10
        person.key(key, pressed)
    assert names(heard(listener, ("bad", "press"), 1)) == [("bad", "")]


def test_losing_the_focus_is_a_gap_and_ends_what_is_held(either, person, game):
    kinds = ("press", "release", "gap", "on")
    events = heard(either, kinds, 1)
    person.key(SPACE, True)
    events += heard(either, kinds, 1)
    other = person.window(300, 200, 100, 100)
    person.focus(other)
    events += heard(either, kinds, 1)  # one of them looks for the focus now and then
    assert either.held == []
    person.key(SPACE, False)
    elsewhere(person, LEFT, either)
    person.focus(game)
    events += heard(either, kinds, 1)
    person.tap(LEFT)
    events += heard(either, kinds, 2)
    assert names(events) == [
        ("on", ""), ("press", "space"), ("gap", "focus"), ("on", ""), ("press", "Left"), ("release", "Left"),
    ]  # fmt: skip
    other.destroy()


def test_where_the_focus_is_wherever_the_pointer_is_it_is_the_games_under_the_pointer(listen, person, game):
    def pointer_rules():
        person.display.set_input_focus(X.PointerRoot, X.RevertToPointerRoot, X.CurrentTime)
        person.display.sync()

    person.move(400, 300)  # on no window
    pointer_rules()
    one = listen()
    elsewhere(person, LEFT, one)
    for enter, leave in (
        (lambda: person.move(20, 20), lambda: person.move(400, 300)),
        (lambda: person.focus(game), pointer_rules),
        (lambda: person.move(30, 30), lambda: person.move(400, 300)),
    ):
        enter()
        assert names(heard(one, ("on",), 1)) == [("on", "")]
        person.tap(SPACE)
        assert names(heard(one, ("press",), 1)) == [("press", "space")]
        leave()
        assert names(heard(one, ("gap",), 1)) == [("gap", "focus")]
        elsewhere(person, LEFT, one)
    person.focus(game)


def test_a_repeat_of_the_keyboard_is_no_press(either, person, game):
    person.display.change_keyboard_control(auto_repeat_mode=X.AutoRepeatModeOn)
    person.key(SPACE, True)
    game.change_attributes(event_mask=X.KeyPressMask)
    time.sleep(0.9)  # the server begins to repeat after 0.66 s
    person.key(SPACE, False)
    assert names(heard(either, count=2)) == [("press", "space"), ("release", "space")]
    assert either.held == []


def test_chords_pause_and_mark_whoever_has_the_focus(either, person, game):
    other = person.window(300, 200, 100, 100)
    person.focus(other)
    for key in (0xFFC6, 0xFFC7, 0xFFC9):  # F9, F10, F12
        for keysym, down in (
            (0xFFE3, True),
            (0xFFE1, True),
            (key, True),
            (key, False),
            (0xFFE1, False),
            (0xFFE3, False),
        ):
            person.key(keysym, down)
    person.tap(0xFFC6)  # alone it is nothing
    told = names(heard(either, ("press", "release", "pause", "bad", "kill"), 3))
    assert told == [("pause", ""), ("bad", ""), ("kill", "")]
    person.focus(game)
    heard(either, ("on",), 1)
    person.tap(SPACE)
    assert names(heard(either, count=2)) == [("press", "space"), ("release", "space")]
    other.destroy()


def lie(person, game, kind):
    """What the server says of the focus, from another program."""
    event = kind(window=game, detail=X.NotifyNonlinear, mode=X.NotifyNormal)
    game.send_event(event, event_mask=X.FocusChangeMask)
    person.display.sync()


def test_a_focus_that_is_not_what_events_said_is_taken_up(listener, person, game):
    heard(listener, ("on",), 1)
    lie(person, game, FocusOut)
    assert names(heard(listener, ("gap", "on"), 2)) == [("gap", "focus"), ("on", "")]
    person.tap(SPACE)
    assert names(heard(listener, count=2)) == [("press", "space"), ("release", "space")]


def test_no_other_program_can_say_that_the_game_has_the_focus(listener, person, game):
    other = person.window(300, 200, 100, 100)
    person.focus(other)
    for _ in range(20):
        lie(person, game, FocusIn)
        person.tap(LEFT)
    person.focus(game)
    person.tap(SPACE)
    assert names(heard(listener, count=2)) == [("press", "space"), ("release", "space")]
    other.destroy()


def test_while_another_program_has_grabbed_the_keyboard_nothing_is_kept(listener, person, game):
    other = person.window(300, 200, 100, 100)
    assert other.grab_keyboard(False, X.GrabModeAsync, X.GrabModeAsync, X.CurrentTime) == X.GrabSuccess
    assert names(heard(listener, ("gap",), 1)) == [("gap", "grab")]
    until = time.monotonic() + 3 * CHECK_S
    while time.monotonic() < until:  # the server goes on saying that the game has the focus
        person.tap(LEFT)
    person.display.ungrab_keyboard(X.CurrentTime)
    person.display.sync()
    assert names(heard(listener, ("on",), 1)) == [("on", "")]
    person.tap(SPACE)
    assert names(heard(listener, count=2)) == [("press", "space"), ("release", "space")]
    other.destroy()


def test_a_window_that_is_gone_is_a_gap(either, person, game):
    game.unmap()
    person.display.sync()
    assert names(heard(either, ("gap",), 1))[0][0] == "gap"


def test_a_listener_that_died_is_said(listener):
    listener._display.close()
    wait_until(lambda: not listener.is_alive, 30)
    with pytest.raises(Exception, match="has to stop"):
        listener.take()


def test_an_input_method_is_found_by_its_server(xserver, person):
    assert input_method(xserver) == ""
    atom = person.display.intern_atom("@server=ibus")
    owner = person.window(0, 0, 10, 10)
    owner.set_selection_owner(atom, X.CurrentTime)
    person.root.change_property(person.display.intern_atom("XIM_SERVERS"), 4, 32, [atom])
    person.display.sync()
    assert input_method(xserver) == "ibus"
    owner.destroy()
    person.display.sync()
    assert input_method(xserver) == ""


def repeats(person):
    code = person.keycode(SPACE)
    return bool(person.display.get_keyboard_control().auto_repeats[code // 8] >> code % 8 & 1)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it forks
def test_keys_repeat_again_after_a_kill(xserver, person):
    assert repeats(person)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client = InputClient(xserver, ["space", "Left"], timeout=60.0)
            client.start()
            client.wait_ready(120.0)
            client.set_repeat(False)
            os.write(writing, b"x")
            time.sleep(600)
        finally:
            os._exit(1)
    try:
        os.read(reading, 1)
        assert not repeats(person)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    wait_until(lambda: repeats(person), 30)
    os.close(reading)
    os.close(writing)


def test_keys_of_a_layout_that_changes_key_by_key_are_heard_where_they_are_then(listener, person, game):
    left, canary = person.keycode(LEFT), person.keycode(CANARY)
    names_of = {LEFT: [LEFT] * 2, CANARY: [CANARY, ord("Q")]}
    try:
        person.display.change_keyboard_mapping(left, [names_of[CANARY]])  # there is no "Left" now
        person.display.sync()
        heard(listener, ("layout",), count=1)
        person.display.change_keyboard_mapping(canary, [names_of[LEFT]])
        person.display.sync()
        heard(listener, ("layout",), count=1)
        for code in (left, canary):
            for kind in (X.KeyPress, X.KeyRelease):
                xtest.fake_input(person.display, kind, code)
        person.display.sync()
        assert names(heard(listener, count=2)) == [("press", "Left"), ("release", "Left")]
    finally:
        person.display.change_keyboard_mapping(left, [names_of[LEFT]])
        person.display.change_keyboard_mapping(canary, [names_of[CANARY]])
        person.display.sync()


def test_key_on_a_layout_that_lacks_one_of_the_games_ends_the_recording_and_says_which(listener, person, game):
    left = person.keycode(LEFT)
    person.display.change_keyboard_mapping(left, [[CANARY, ord("Q")]])
    person.display.sync()
    try:
        heard(listener, ("layout",), count=1)
        person.tap(SPACE)
        with pytest.raises(InputError, match="'Left' is not on the keyboard layout"):
            heard(listener, count=1)
    finally:
        person.display.change_keyboard_mapping(left, [[LEFT] * 2])
        person.display.sync()
