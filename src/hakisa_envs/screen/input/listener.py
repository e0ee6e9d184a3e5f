"""Hears what a person does with keyboard and mouse, while the game has the focus; in one ordered stream."""

from __future__ import annotations

import select
import struct
import threading
import time
from collections.abc import Iterable
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.recording import events as e
from hakisa_envs.recording.events import Event
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.heard import Chord, Heard
from hakisa_envs.screen.input.keys import BUTTONS, WHEEL_DOWN, WHEEL_UP, Contact, resolve
from hakisa_envs.screen.xwindows import is_in

ENDS = {"F9": e.PAUSE, "F10": e.BAD, "F12": e.KILL}  # with Ctrl and Shift
LOOK_S = 0.05  # how long an end of the listener may take
CHECK_S = 0.2  # how often the server is asked who has the focus, should one of its events be missing
SERVERS = "XIM_SERVERS"


class PersonListener:
    """Listens on a display, in a thread and a connection of its own.

    Everything comes through one connection, so the X server has put it in order: a key that was pressed before the
    game lost the focus comes before that, and one that was pressed after it is never kept, whatever it was. Keys and
    buttons are told by XInput 2 raw events, which come during grabs too and tell of no repeats of the keyboard; the
    pointer's place by the game's window.

    Args:
        display: Name of the display.
        names: Keys and buttons of the profile; no other is kept.
        window: X id of the game's window.

    Attributes:
        error: Why it stopped listening; None while it does.

    Raises:
        InputError: If a key is not on the display's layout.
    """

    def __init__(self, display: str, names: Iterable[str], window: int) -> None:
        self._names = sorted(set(names))
        self._heard = Heard("listens to the keyboard")
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._x = import_extra("Xlib.X", extra="screen", needed_by="a live game")
        self._xinput = import_extra("Xlib.ext.xinput", extra="screen", needed_by="a live game")
        self._display: Any = import_extra("Xlib.display", extra="screen", needed_by="a live game").Display(display)
        self._display.set_error_handler(lambda *details: None)
        self._chord = Chord(set(), set())
        self._place: tuple[int, int] | None = None
        self._moved_ns: int | None = None  # the pointer went somewhere, and the window has not said where
        self._size = (0, 0)
        self._lacks: InputError | None = None  # why the layout of now cannot be listened to
        self._by_pointer = False  # the focus is where the pointer is
        self._grabbed = False  # by another program, which gets the keys though the game has the focus
        self._focus_heard = False  # since the server was asked who has the focus
        self._next_check = 0.0
        self._window = self._display.create_resource_object("window", window)
        self._read_keys()
        self._offset_ns = self._measure_clock()
        self._select()
        self._thread = threading.Thread(target=self._run, name="hakisa-listener", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still listens."""
        return self._thread.is_alive() and self.error is None

    @property
    def held(self) -> list[str]:
        """What is down now, as far as it went down while the game had the focus."""
        return self._heard.held

    def take(self) -> list[Event]:
        """What came since the last call, in order.

        Raises:
            InputError: If it does not listen any more: what is recorded from now on would be without keys.
        """
        return self._heard.take(self.is_alive, self.error)

    def close(self) -> None:
        """Stop listening; may be called twice."""
        self._stop.set()
        self._thread.join(2.0)

    def _select(self) -> None:
        """Ask for everything, and find out whether the window has the focus, as one act."""
        x, xinput = self._x, self._xinput
        extension = self._display.query_extension(xinput.extname)
        opcode = extension.major_opcode
        # 2.2: with 2.0 the server keeps raw events back during another client's grab.
        xinput.XIQueryVersion(display=self._display.display, opcode=opcode, major_version=2, minor_version=2)
        raw = ("RawKeyPress", "RawKeyRelease", "RawButtonPress", "RawButtonRelease", "RawMotion")
        self._kinds = {getattr(xinput, name): name.removeprefix("Raw") for name in raw}
        mask = sum(getattr(xinput, f"{name}Mask") for name in raw)
        own = x.FocusChangeMask | x.StructureNotifyMask | x.PointerMotionMask | x.EnterWindowMask
        own |= x.LeaveWindowMask
        self._display.grab_server()
        try:
            self._display.screen().root.xinput_select_events([(xinput.AllMasterDevices, mask)])
            self._window.change_attributes(event_mask=own)
            self._focused = self._has_focus()
            geometry = self._window.get_geometry()
            self._size = geometry.width, geometry.height
            pointer = self._window.query_pointer()
            self._place = pointer.win_x, pointer.win_y
        finally:
            self._display.ungrab_server()
            self._display.sync()
        self._heard.say(time.monotonic_ns(), e.ON if self._focused else e.GAP, "" if self._focused else "focus")
        self._heard.say(time.monotonic_ns(), e.GEOMETRY, place=self._size)

    def _has_focus(self) -> bool:
        x, root = self._x, self._display.screen().root
        focus = self._display.get_input_focus().focus
        self._by_pointer = focus == x.PointerRoot
        if self._by_pointer:
            below = root.query_pointer().child
            while below not in (x.NONE, self._window):
                below = below.query_pointer().child
            return bool(below == self._window)
        return is_in(self._display, focus, self._window)

    def _measure_clock(self) -> int:
        """What to add to the server's milliseconds, in nanoseconds, for our clock."""
        x, tries = self._x, []
        window = self._display.screen().root.create_window(
            0, 0, 1, 1, 0, x.CopyFromParent, event_mask=x.PropertyChangeMask
        )
        atom = self._display.intern_atom("HAKISA_CLOCK")
        for number in range(5):
            before = time.monotonic_ns()
            window.change_property(atom, atom, 8, bytes([number]))
            while True:
                event = self._display.next_event()
                if event.type == x.PropertyNotify:
                    break
            after = time.monotonic_ns()
            tries.append((after - before, (before + after) // 2 - event.time * 1_000_000))
        window.destroy()
        offset: int = min(tries)[1]
        return offset

    def _now_ns(self, server_ms: int) -> int:
        """The time of an event; the server's clock goes round every 49 days."""
        when = server_ms * 1_000_000 + self._offset_ns
        round_ns = (1 << 32) * 1_000_000
        while when < time.monotonic_ns() - round_ns // 2:
            when += round_ns
        return when

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if not self._display.pending_events():
                    select.select([self._display.fileno()], [], [], LOOK_S)
                self._hear_all()
                self._find_pointer()
                if time.monotonic() > self._next_check:
                    self._check_focus()
        except Exception as error:  # told by take()
            self.error = error
        finally:
            try:
                self._display.close()
            except Exception as error:  # a server that is gone
                self.error = self.error or error

    def _hear_all(self) -> None:
        while self._display.pending_events():
            self._hear(self._display.next_event())

    def _check_focus(self) -> None:
        """Agree with the server about the focus.

        Its answer has its place among the events: what it sent before is heard first, as it was meant then. Where an
        event of the focus was on its way, that is the newer news. A grab takes keys away and not the focus.
        """
        self._next_check = time.monotonic() + CHECK_S
        if self._grabbed:
            return
        by_pointer = self._by_pointer
        self._focus_heard = False
        try:
            focused = self._has_focus()
        except import_extra("Xlib.error", extra="screen", needed_by="a live game").XError:
            return  # a window is gone, which its own event will say
        self._hear_all()
        if self._focus_heard:
            return
        if focused == self._focused:
            self._by_pointer = by_pointer
        else:
            self._set_focus(focused, "focus")

    def _hear(self, event: Any) -> None:
        x, kind = self._x, getattr(event, "evtype", None)
        if kind in self._kinds:
            self._hear_raw(self._kinds[kind], event.data)
        elif event.type == x.MappingNotify:
            self._display.refresh_keyboard_mapping(event)
            self._heard.let_go(time.monotonic_ns())
            try:
                self._read_keys()
            except InputError as error:  # perhaps not for long: programs swap two keys by two requests
                self._lacks = error
            self._heard.say(time.monotonic_ns(), e.LAYOUT)
        elif getattr(event, "window", None) != self._window:
            return
        elif event.type in (x.MotionNotify, x.EnterNotify, x.LeaveNotify):
            self._place, self._moved_ns = (event.event_x, event.event_y), None
            if event.type != x.MotionNotify:
                self._hear_crossing(event)
            elif self._focused:
                self._heard.say(self._now_ns(event.time), e.MOTION, place=self._place)
        elif event.type in (x.FocusIn, x.FocusOut):
            self._hear_focus(event)
        elif event.type == x.ConfigureNotify and (event.width, event.height) != self._size:
            self._size = event.width, event.height
            self._heard.say(time.monotonic_ns(), e.GEOMETRY, place=self._size)
        elif event.type in (x.UnmapNotify, x.DestroyNotify):
            self._set_focus(False, "window")

    def _hear_focus(self, event: Any) -> None:
        x = self._x
        if event.detail in (x.NotifyInferior, x.NotifyPointerRoot):
            return  # it went to a part of the window, or to no window
        if event.type == x.FocusIn and event.send_event:
            return  # another program says so, to whom keys may go meanwhile
        self._grabbed = event.type == x.FocusOut and event.mode == x.NotifyGrab
        self._by_pointer = event.type == x.FocusIn and event.detail == x.NotifyPointer
        self._set_focus(event.type == x.FocusIn, "focus" if event.mode != x.NotifyGrab else "grab")

    def _hear_crossing(self, event: Any) -> None:
        """Without a window manager the focus may be wherever the pointer is."""
        x = self._x
        if event.detail == x.NotifyInferior or event.mode != x.NotifyNormal:
            return
        if event.type == x.EnterNotify and event.flags & 1 and not self._focused:
            self._by_pointer = True
            self._set_focus(True, "")
        elif event.type == x.LeaveNotify and self._by_pointer:
            self._set_focus(False, "focus")

    def _set_focus(self, focused: bool, why: str) -> None:
        self._focus_heard = True
        if focused == self._focused:
            return
        self._focused = focused
        self._heard.forget()
        self._heard.say(time.monotonic_ns(), e.ON if focused else e.GAP, "" if focused else why)

    def _hear_raw(self, kind: str, data: bytes) -> None:
        # xXIRawEvent after the header: deviceid, time, detail (keycode or button), sourceid, words of the mask, flags.
        _, ms, detail, _, words = struct.unpack_from("=HIIHH", data)
        when = self._now_ns(ms)
        if kind.startswith("Key") and self._chord.hear(kind == "KeyPress", detail) and detail in self._ends:
            self._heard.let_go(when)  # chords are never a game's keys
            self._heard.say(when, self._ends[detail])
            return
        if not self._focused:
            return  # whatever it was, it was not for the game
        if self._lacks is not None and kind == "KeyPress":
            raise self._lacks
        if kind == "Motion":
            by, raw = _motion(data, words)
            if any(by) or any(raw):
                self._heard.say(when, e.MOTION, by=by, raw=raw)
            self._moved_ns = when
            return
        self._find_pointer()
        if kind == "ButtonPress" and detail in (WHEEL_UP, WHEEL_DOWN):
            self._heard.say(when, e.WHEEL, place=self._place, by=(0.0, 1.0 if detail == WHEEL_UP else -1.0))
        else:
            name = (self._keys if kind.startswith("Key") else self._buttons).get(detail)
            if name is not None:
                self._heard.turn(when, name, kind.endswith("Press"), self._place)

    def _find_pointer(self) -> None:
        """Asks for its place: an inner window that a game has made for itself keeps motion from the game's window."""
        if self._moved_ns is None:
            return
        when, self._moved_ns = self._moved_ns, None
        try:
            pointer = self._window.query_pointer()
        except import_extra("Xlib.error", extra="screen", needed_by="a live game").XError:
            return  # the window is gone, which its own event will say
        place = pointer.win_x, pointer.win_y
        inside = all(0 <= at < side for at, side in zip(place, self._size, strict=True))
        if inside and self._focused and place != self._place:
            self._place = place
            self._heard.say(when, e.MOTION, place=place)

    def _read_keys(self) -> None:
        contacts: list[Contact] = list(resolve(self._display, self._names).values())
        self._lacks = None
        self._keys = {contact.code: contact.name for contact in contacts if contact.kind == "key"}
        self._buttons = {code: name for name, code in BUTTONS.items() if name in self._names}
        self._chord.modifiers = self._codes("Control_L", "Control_R"), self._codes("Shift_L", "Shift_R")
        self._ends = {code: kind for name, kind in ENDS.items() for code in self._codes(name)}

    def _codes(self, *names: str) -> set[int]:
        xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
        return {c for n in names for c, _ in self._display.keysym_to_keycodes(xk.string_to_keysym(n))}


def _motion(data: bytes, words: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """How far the pointer moved (accelerated), and the hand (raw), of a raw event."""
    start = struct.calcsize("=HIIHHII")
    mask = data[start : start + 4 * words]
    axes = [axis for axis in range(8 * len(mask)) if mask[axis // 8] >> axis % 8 & 1]
    numbers = struct.unpack_from(f"={4 * len(axes)}i", data, start + 4 * words)
    # FP3232: whole and 2**32nds, first all accelerated values and then all raw ones.
    values = [whole + (part & 0xFFFFFFFF) / 2**32 for whole, part in zip(numbers[::2], numbers[1::2], strict=True)]
    by, raw = (dict(zip(axes, half, strict=True)) for half in (values[: len(axes)], values[len(axes) :]))
    return (by.get(0, 0.0), by.get(1, 0.0)), (raw.get(0, 0.0), raw.get(1, 0.0))


def input_method(display: str) -> str:
    """The name of an input method that runs on a display and may swallow keys, such as ``"ibus"``; empty if none."""
    xdisplay = import_extra("Xlib.display", extra="screen", needed_by="a live game")
    connection = xdisplay.Display(display)
    try:
        root, atom = connection.screen().root, connection.intern_atom(SERVERS)
        found = root.get_full_property(atom, 0)
        for server in found.value if found is not None and found.format == 32 else ():
            if connection.get_selection_owner(server):
                return str(connection.get_atom_name(server)).removeprefix("@server=")
        return ""
    finally:
        connection.close()
