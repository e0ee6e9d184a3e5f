"""What the tests of live games share: waiting for a condition, windows of our own, a look at what is held."""

import contextlib
import struct

from Xlib import XK, X
from Xlib.display import Display
from Xlib.ext import xinput, xtest  # noqa: F401 - with xtest a client of ours can play the person at the keyboard

from hakisa_envs.screen.input.client import InputClient
from tests.helpers.processes import busy, gone, in_time, open_fds, wait_until

__all__ = [
    "CHORD", "RawEvents", "Screen", "busy", "game_window", "gone", "in_time", "input_client", "open_fds", "press_chord",
    "step_until_held", "wait_until",
]  # fmt: skip

CHORD = (XK.XK_Control_L, XK.XK_Shift_L, XK.XK_F12)


def input_client(where, display, names):
    """A client of the input server of a back end, which the fixture "where" names."""
    link = None
    if where.get("backend") == "portable":
        from hakisa_envs.screen.backends.portable.link import PipeLink

        link = PipeLink()
    return InputClient(display, names, link=link)


def press_chord(person, kinds=(X.KeyPress, X.KeyRelease)):
    """A person presses the kill chord, and lets go of it."""
    for kind in kinds:
        for keysym in CHORD:
            person.display.xtest_fake_input(kind, person.keycode(keysym))
    for _ in range(2):  # what the server does for the second one comes after it has told everybody of the keys
        person.display.sync()


def game_window(screen):
    """The window of the game that ships, "flash"."""
    return next(w for w in screen.root.query_tree().children if w.get_wm_name() == "Hakisa flash")


def step_until_held(env, action, *screens, code=None):
    """Steps until this key (Left) alone is down: its lease may end before a busy machine lets anybody look.

    Returns:
        Of the last step, what the env gives.
    """

    def step():
        told = env.step(action)
        return all(screen.held() == {code or screen.keycode(XK.XK_Left)} for screen in screens) and told

    return wait_until(step)


class Screen:
    """A second X client: draws windows, listens to keys, and says what is held down."""

    def __init__(self, name):
        self.display = Display(name)
        self.root = self.display.screen().root

    def window(self, x, y, width, height, colour=0xFF0000, title="test", override=False):
        window = self.root.create_window(
            x,
            y,
            width,
            height,
            0,
            self.display.screen().root_depth,
            background_pixel=colour,
            override_redirect=override,
            event_mask=X.KeyPressMask | X.KeyReleaseMask | X.ButtonPressMask | X.ButtonReleaseMask
            | X.StructureNotifyMask,
        )  # fmt: skip
        window.set_wm_name(title)
        window.map()
        self.display.sync()
        wait_until(lambda: window.get_attributes().map_state == X.IsViewable)
        return window

    def fill(self, window, colour):
        window.change_attributes(background_pixel=colour)
        window.clear_area()
        self.display.sync()

    def focus(self, window):
        self.display.set_input_focus(window, X.RevertToPointerRoot, X.CurrentTime)
        self.display.sync()

    def keycode(self, keysym):
        return self.display.keysym_to_keycode(keysym)

    def held(self):
        """Keycodes and ``("button", n)`` that X believes to be down."""
        keymap = self.display.query_keymap()
        keys = {code for code in range(256) if keymap[code // 8] >> (code % 8) & 1}
        mask = self.root.query_pointer().mask
        return keys | {("button", n) for n in range(1, 6) if mask >> (7 + n) & 1}

    def events(self):
        """Everything that has arrived by now."""
        self.display.sync()
        return [self.display.next_event() for _ in range(self.display.pending_events())]

    def close(self):
        with contextlib.suppress(Exception):
            self.display.close()


class RawEvents:
    """Counts, by their kind, the keys, buttons and motion that any device, XTest's too, sends to a display.

    It is what a game that reads XInput2 raw events would see, wherever the pointer and the focus are.
    """

    KINDS = (xinput.RawKeyPress, xinput.RawKeyRelease, xinput.RawButtonPress, xinput.RawButtonRelease, xinput.RawMotion)

    def __init__(self, display):
        self.display, self.counts = display, dict.fromkeys(self.KINDS, 0)
        self.times = []  # of each, in milliseconds
        opcode = display.query_extension(xinput.extname).major_opcode
        xinput.XIQueryVersion(display=display.display, opcode=opcode, major_version=2, minor_version=2)
        mask = sum(1 << kind for kind in self.KINDS)
        display.screen().root.xinput_select_events([(xinput.AllMasterDevices, mask)])
        display.sync()

    def count(self, *kinds):
        """How many have arrived by now, of these kinds or of all."""
        self.display.sync()
        while self.display.pending_events():
            event = self.display.next_event()
            kind = getattr(event, "evtype", None)
            if kind in self.counts:
                self.counts[kind] += 1
                self.times.append(struct.unpack_from("=HI", event.data)[1])
        return sum(self.counts[kind] for kind in kinds or self.KINDS)
