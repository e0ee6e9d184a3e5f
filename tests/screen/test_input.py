"""The input server on a real X server: where presses go, and when everything is let go."""

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from Xlib import XK, X
from Xlib.ext import xinput

from hakisa_envs.screen.display import _start
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.client import InputClient
from hakisa_envs.screen.input.devices import XTestDevice
from hakisa_envs.screen.processes import Keeper

from .helpers import RawEvents, Screen, gone, input_client, press_chord, wait_until

LEFT, CONTROL, SHIFT, F12 = XK.XK_Left, XK.XK_Control_L, XK.XK_Shift_L, XK.XK_F12
NAMES = ["Left", "Right", "a", "Control_L", "button1", "button3"]


@pytest.fixture
def window(screen):
    window = screen.window(100, 100, 200, 150, title="game")
    screen.focus(window)
    yield window
    window.destroy()
    screen.display.sync()


@pytest.fixture
def client(xserver, window):
    client = InputClient(xserver, NAMES)
    client.start()
    client.wait_ready()
    client.set_target(window.id)
    yield client
    client.close()


@pytest.fixture
def either(where, on_desktop, xserver, window):
    """The client of one back end, then of the other."""
    client = input_client(where, xserver, NAMES)
    client.start()
    client.wait_ready()
    client.set_target(window.id)
    yield client
    client.close()


def keys(events):
    return [(e.type, e.detail) for e in events if e.type in (X.KeyPress, X.KeyRelease)]


def test_tap_arrives_as_from_a_real_keyboard_and_lasts_50_ms(either, screen, window):
    screen.events()
    assert either.act([("tap", "Left")], 1.0).held == ("Left",)
    wait_until(lambda: not either.report().held)
    events = [e for e in screen.events() if e.type in (X.KeyPress, X.KeyRelease)]
    assert keys(events) == [(X.KeyPress, screen.keycode(LEFT)), (X.KeyRelease, screen.keycode(LEFT))]
    assert not any(e.send_event for e in events)
    assert events[1].time - events[0].time >= 49


def test_held_key_does_not_repeat_and_the_layouts_own_repeat_comes_back(client, screen):
    code = screen.keycode(LEFT)

    def repeats():
        return screen.display.get_keyboard_control().auto_repeats[code // 8] >> (code % 8) & 1

    assert repeats()
    screen.events()
    end = time.monotonic() + 1.0  # X repeats after 0.66 s
    while time.monotonic() < end:
        assert client.act([("hold", "Left")], 1.0).held == ("Left",)
        assert not repeats()
    assert len(keys(screen.events())) == 1
    client.act([("release", "Left")], 1.0)
    assert not client.report().held
    wait_until(repeats)


def test_absolute_move_stays_inside_the_window_and_follows_it(either, screen, window):
    for place, expected in [((5, 6), (105, 106)), ((-50, 9999), (100, 249)), ((9999, -1), (299, 100))]:
        either.act([("move", *place)], 1.0)
        pointer = screen.root.query_pointer()
        assert (pointer.root_x, pointer.root_y) == expected
    window.configure(x=560, y=-20)
    screen.display.sync()
    either.act([("move", 9999, 0)], 1.0)
    pointer = screen.root.query_pointer()
    assert (pointer.root_x, pointer.root_y) == (639, 0)


def test_relative_move_and_wheel(either, screen):
    either.act([("move", 10, 10), ("move_by", 7, -3)], 1.0)
    pointer = screen.root.query_pointer()
    assert (pointer.root_x, pointer.root_y) == (117, 107)
    screen.events()
    either.act([("wheel", 2), ("wheel", -1)], 1.0)
    buttons = [e.detail for e in screen.events() if e.type == X.ButtonPress]
    assert buttons == [4, 4, 5]


def test_click_goes_where_it_was_aimed(either, screen):
    screen.events()
    either.act([("move", 20, 30), ("tap", "button1")], 1.0)
    wait_until(lambda: not either.report().held)
    press = next(e for e in screen.events() if e.type == X.ButtonPress)
    assert (press.event_x, press.event_y, press.detail) == (20, 30, 1)


def test_nothing_is_pressed_without_focus_or_under_a_popup(either, screen, window):
    other = screen.window(350, 100, 50, 50, title="other")
    screen.focus(other)
    report = either.act([("tap", "Left")], 1.0)
    assert (report.pressed, report.refused, report.focused) == (0, 1, False)
    screen.focus(window)
    popup = screen.window(110, 110, 50, 50, title="popup", override=True)
    report = either.act([("move", 20, 20), ("tap", "button1"), ("wheel", 1)], 1.0)
    assert (report.pressed, report.refused) == (1, 2)
    assert not any(e.type in (X.KeyPress, X.ButtonPress) for e in screen.events())
    popup.destroy()
    other.destroy()


def test_keyboard_grab_by_another_client_takes_no_keys_from_us(client, screen, window):
    locker = screen.window(0, 0, 10, 10, title="locker", override=True)
    locker.grab_keyboard(True, X.GrabModeAsync, X.GrabModeAsync, X.CurrentTime)
    screen.display.sync()
    assert client.act([("tap", "Left")], 1.0).refused == 1
    screen.display.ungrab_keyboard(X.CurrentTime)
    screen.display.sync()
    assert client.act([("tap", "Left")], 1.0).pressed == 1
    locker.destroy()


def test_focus_that_is_wherever_the_pointer_is(client, screen, window):
    screen.display.set_input_focus(X.PointerRoot, X.RevertToPointerRoot, X.CurrentTime)
    screen.root.warp_pointer(5, 5)
    screen.display.sync()
    assert client.act([("tap", "Left")], 1.0).refused == 1
    assert client.act([("move", 3, 3), ("tap", "Left")], 1.0).pressed == 2


def test_focus_in_a_child_of_the_window_counts(either, screen, window):
    child = window.create_window(0, 0, 10, 10, 0, X.CopyFromParent)
    child.map()
    screen.focus(child)
    assert either.act([("tap", "Left")], 1.0).pressed == 1
    child.destroy()


@pytest.mark.parametrize("held", [["Left", "button3"], ["button3"]])
@pytest.mark.parametrize("loss", ["focus", "unmap", "destroy"])
def test_everything_is_released_when_the_window_loses_the_focus(either, screen, window, loss, held):
    other = screen.window(350, 100, 50, 50, title="other")
    for _ in range(5 if loss == "focus" else 1):
        screen.focus(window)
        wait_until(lambda: either.report().focused)
        assert either.act([("move", 9, 9), *(("hold", name) for name in held)], 10.0).held == tuple(sorted(held))
        assert len(screen.held()) == len(held)
        if loss == "focus":
            screen.focus(other)
        else:
            getattr(window, loss)()
            screen.display.sync()
        wait_until(lambda: not screen.held(), 1.0)
        assert "focus lost" in either.report().released
    other.destroy()


class Flipper:
    """A person who flips the focus and opens and closes a popup under the pointer, all the time, until told to stop."""

    def __init__(self, name, window, other, popup):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.flip, args=(name, window.id, other.id, popup.id))

    def flip(self, name, *ids):
        person = Screen(name)
        window, other, popup = (person.display.create_resource_object("window", number) for number in ids)
        random = np.random.default_rng(0)
        while not self.stop.wait(random.uniform(0.0, 0.004)):
            person.focus((window, other)[random.integers(2)])
            (popup.map if random.integers(2) else popup.unmap)()
            person.display.sync()
        person.close()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *details):
        self.stop.set()
        self.thread.join()


@pytest.fixture
def others(screen, window):
    """Another program's window, and a popup over the game's."""
    other = screen.window(350, 100, 50, 50, title="other")
    popup = screen.window(100, 100, 60, 60, title="popup", override=True)
    yield other, popup
    popup.destroy()
    other.destroy()


def hits(screen):
    """Where presses of keys and buttons went: window ids and kinds."""
    return [(e.window.id, e.type) for e in screen.events() if e.type in (X.KeyPress, X.ButtonPress)]


def test_no_press_ever_reaches_another_window_while_the_focus_flips(client, xserver, screen, window, others):
    screen.events()
    pressed = refused = 0
    with Flipper(xserver, window, *others):
        for _ in range(500):
            report = client.act([("hold", "Left"), ("move", 20, 20), ("hold", "button1"), ("wheel", 1)], 1.0)
            pressed, refused = pressed + report.pressed, refused + report.refused
            client.release_all()
    went = hits(screen)
    assert {where for where, _ in went} == {window.id}
    assert {kind for _, kind in went} == {X.KeyPress, X.ButtonPress}
    assert pressed > 50
    assert refused > 50


def test_ten_thousand_presses_against_a_flipping_focus_never_miss_the_window(xserver, screen, window, others):
    """The device by itself: so many in a few seconds, and every press is let go of again at once."""
    device = XTestDevice(xserver, ["Left", "button1"])
    device.set_target(window.id)
    screen.display.xtest_fake_input(X.MotionNotify, 0, x=120, y=120)  # under the popup
    screen.events()
    done = {name: [0, 0] for name in device.contacts}
    went = []
    with Flipper(xserver, window, *others):
        for k in range(10_000):
            contact = device.contacts[("Left", "button1")[k % 2]]
            allowed = device.press(contact)
            done[contact.name][allowed] += 1
            if allowed:
                device.release(contact)
            if k % 500 == 0:
                went += hits(screen)
    device.close()
    went += hits(screen)
    assert not screen.held()
    assert {where for where, _ in went} == {window.id}
    assert len(went) == done["Left"][True] + done["button1"][True]
    assert all(count > 500 for counts in done.values() for count in counts)


@pytest.fixture
def fast_repeat():
    """A display on which a held key repeats 100 times a second after a tenth of one."""
    keeper = Keeper()
    argv = [shutil.which("Xvfb"), "-screen", "0", "640x480x24", "-noreset", "-ardelay", "100", "-arinterval", "10"]
    yield Screen(_start(argv, keeper, None, 10.0).name)
    keeper.close()


@pytest.mark.parametrize("guarded", [True, False])
def test_key_held_for_long_does_not_repeat_into_the_next_window(guarded, fast_repeat):
    screen = fast_repeat
    window = screen.window(100, 100, 200, 150, title="game")
    other = screen.window(350, 100, 50, 50, title="other")
    screen.focus(window)
    client = InputClient(screen.display.get_display_name(), ["Left"])
    client.start()
    client.wait_ready()
    client.set_target(window.id)
    code = screen.keycode(LEFT)
    if not guarded:  # the negative control: pressed by any other program, it does repeat
        screen.display.xtest_fake_input(X.KeyPress, code)
    end = time.monotonic() + 1.2
    while guarded and time.monotonic() < end:
        assert client.act([("hold", "Left")], 1.0).held == ("Left",)
    screen.events()
    screen.focus(other)
    if guarded:
        wait_until(lambda: code not in screen.held(), 1.0)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            assert hits(screen) == []
    else:
        repeats = []
        wait_until(lambda: repeats.extend(hits(screen)) or repeats.count((other.id, X.KeyPress)) > 5)
        screen.display.xtest_fake_input(X.KeyRelease, code)
    client.close()
    screen.close()


def test_relative_motion_is_felt_at_the_edge_of_the_screen(either, screen):
    either.act([("move", 0, 0), ("move_by", -500, 0)], 1.0)
    assert screen.root.query_pointer().root_x == 0
    raw = RawEvents(screen.display)
    # The pointer has left the window, but the window has the focus still.
    assert either.act([("move_by", -7, 0), ("move_by", -7, 0)], 1.0).pressed == 2
    assert wait_until(lambda: raw.count(xinput.RawMotion) == 2)


def test_lease_that_nobody_renews_lets_go(either, screen):
    for _ in range(5):
        # Again where a busy machine looks only after the lease.
        wait_until(lambda: either.act([("hold", "Left"), ("hold", "Right")], 0.1) and len(screen.held()) == 2)
        wait_until(lambda: not screen.held(), 1.0)
        assert either.report().released == ("lease expired",)


@pytest.mark.parametrize("before", [("hold", "Left"), ("tap", "Left", 60_000)])
def test_last_lease_counts_even_if_one_before_was_longer_and_cuts_a_tap_short(either, screen, before):
    either.act([before], 60.0)
    assert either.act([], 0.1).held == ("Left",)
    wait_until(lambda: not screen.held(), 1.0)
    assert either.report().released == ("lease expired",)


def test_commands_older_than_their_lease_are_dropped(either, screen):
    assert either.act([("tap", "Left")], -0.001).dropped == 1
    assert not screen.held()


def test_told_to(either, screen):
    for _ in range(5):
        either.act([("hold", "Left"), ("tap", "Right")], 10.0)
        assert either.release_all().held == ()
        assert not screen.held()


def test_kill_chord_is_heard_while_we_tap_control_ourselves(where, on_desktop, xserver, screen, window):
    for _ in range(5):
        client = input_client(where, xserver, NAMES)
        client.start()
        client.wait_ready()
        client.set_target(window.id)
        person = iter([(X.KeyPress, CONTROL), (X.KeyPress, SHIFT), (X.KeyPress, F12)])

        def step(client=client, person=person):
            report = client.act([("tap", "Control_L"), ("hold", "Left")], 1.0)
            for kind, keysym in [next(person, (None, None))]:
                if kind is not None:
                    screen.display.xtest_fake_input(kind, screen.keycode(keysym))
                    screen.display.sync()
            return report.killed

        wait_until(step, 1.0)
        for keysym in (F12, SHIFT, CONTROL):
            screen.display.xtest_fake_input(X.KeyRelease, screen.keycode(keysym))
        wait_until(lambda: not screen.held(), 1.0)
        assert client.act([("tap", "Left")], 1.0).pressed == 0
        assert not screen.held()
        client.close()


def sockets(pid):
    return sum(os.readlink(entry).startswith("socket:") for entry in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.parametrize("when", ["heard", "server stopped", "no server"])
def test_kill_chord_is_not_lost_when_the_input_server_is_replaced(client, screen, when):
    client.act([("hold", "Left")], 10.0)
    if when == "server stopped":
        wait_until(lambda: sockets(os.getpgid(client.pid)) == 2)  # its guardian has come up too
        os.kill(client.pid, signal.SIGSTOP)  # of which it dies: its guardian sees to that
    elif when == "no server":
        os.killpg(os.getpgid(client.pid), signal.SIGKILL)
        wait_until(lambda: gone(client.pid))
    press_chord(screen, [X.KeyPress])
    if when == "heard":
        wait_until(lambda: screen.keycode(LEFT) not in screen.held())
    if when != "no server":
        press_chord(screen, [X.KeyRelease])  # nothing of it is to be seen any more
        if when == "heard":
            os.kill(client.pid, signal.SIGKILL)
        wait_until(lambda: not screen.held(), 1.0)
    for _ in range(2):
        report = client.act([("tap", "a")], 1.0)
        assert (report.killed, report.pressed) == (True, 0)
    assert client.restarts == 1
    press_chord(screen, [X.KeyRelease])
    client.close()
    client.start()
    client.wait_ready()
    assert not client.report().killed  # close ends it


@pytest.mark.parametrize("way", ["release", "told to", "close", "killed"])
def test_releases_reach_x_while_another_client_grabs_keyboard_and_pointer(client, screen, way):
    assert client.act([("hold", "Left"), ("move", 9, 9), ("hold", "button1")], 10.0).pressed == 3
    locker = screen.window(0, 0, 10, 10, title="locker", override=True)
    locker.grab_keyboard(True, X.GrabModeAsync, X.GrabModeAsync, X.CurrentTime)
    locker.grab_pointer(True, 0, X.GrabModeAsync, X.GrabModeAsync, X.NONE, X.NONE, X.CurrentTime)
    screen.display.sync()
    if way == "release":
        client.act([("release", "Left"), ("release", "button1")], 10.0)
    elif way == "told to":
        client.release_all()
    elif way == "close":
        client.close()
    else:
        os.kill(client.pid, signal.SIGKILL)
    wait_until(lambda: not screen.held(), 1.0)
    screen.display.ungrab_keyboard(X.CurrentTime)
    screen.display.ungrab_pointer(X.CurrentTime)
    locker.destroy()
    screen.display.sync()


def test_keys_without_the_chord_kill_nothing(either, screen):
    for keysym in (CONTROL, F12):
        screen.display.xtest_fake_input(X.KeyPress, screen.keycode(keysym))
    for keysym in (CONTROL, F12):
        screen.display.xtest_fake_input(X.KeyRelease, screen.keycode(keysym))
    screen.display.sync()
    assert not either.report().killed


def test_server_that_is_killed_leaves_nothing_down_and_is_replaced(either, screen):
    for count in range(1, 6):
        either.act([("hold", "Left"), ("move", 9, 9), ("hold", "button1")], 10.0)
        assert len(screen.held()) == 2
        os.kill(either.pid, signal.SIGKILL)
        wait_until(lambda: not screen.held(), 1.0)
        assert either.act([("tap", "a")], 10.0).pressed == 1
        assert either.restarts == count
        either.release_all()


def test_guardian_that_is_killed_takes_the_server_along_with_its_keys(either, screen):
    either.act([("hold", "Left")], 10.0)
    os.kill(os.getpgid(either.pid), signal.SIGKILL)
    wait_until(lambda: not screen.held(), 1.0)
    wait_until(lambda: gone(either.pid), 1.0)


def test_both_killed_at_once_the_next_server_releases_what_is_down(either, screen):
    either.act([("hold", "Left"), ("hold", "button1")], 10.0)
    os.killpg(os.getpgid(either.pid), signal.SIGKILL)
    wait_until(lambda: gone(either.pid))
    assert screen.held()
    assert either.act([], 1.0).held == ()
    assert not screen.held()


def test_close_releases_and_may_be_repeated(either, screen, window):
    for _ in range(5):
        either.act([("hold", "Left"), ("tap", "a")], 10.0)
        either.close()
        either.close()
        assert not screen.held()
        either.start()
        either.wait_ready()
        either.set_target(window.id)


def test_display_that_is_not_there():
    client = InputClient(":9999", ["a"])
    client.start()
    with pytest.raises(InputError, match=":9999"):
        client.wait_ready()
    client.close()


def test_dry_run_reaches_no_display(screen):
    client = InputClient(None, ["a", "button1"])
    client.start()
    client.wait_ready()
    client.set_target(1)
    report = client.act([("hold", "a"), ("move", 3, 4), ("tap", "button1")], 1.0)
    assert report.held == ("a", "button1")
    assert report.record[-3:] == (("press", "a"), ("move", 3, 4), ("press", "button1"))
    assert not screen.held()
    client.close()


def test_input_server_imports_nothing_from_the_folder_that_the_trainer_runs_in(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *sys.path])
    client = InputClient(None, ["a"])
    client.start()
    client.wait_ready()
    assert client.act([("tap", "a")], 1.0).pressed == 1
    client.close()
