"""Hears Ctrl+Shift+F12, whoever has the focus."""

from __future__ import annotations

import struct
from typing import Any

from hakisa_envs.errors import import_extra

RECENT_MS = 500  # a modifier counts this long after it went up


class KillChord:
    """Listens to raw key events (XInput 2.2, which reach us during other clients' grabs too).

    The env never presses F12, so a press of it is a person's. The modifiers are heard generously: one that is
    down, or was within half a second, counts. For the env may tap Ctrl itself, and its release lets go of a
    Ctrl that the person holds; so nothing that the env presses can hide the chord.

    Args:
        display: Name of the display.
    """

    def __init__(self, display: str) -> None:
        xdisplay = import_extra("Xlib.display", extra="screen", needed_by="a live game")
        xinput = import_extra("Xlib.ext.xinput", extra="screen", needed_by="a live game")
        self._press, self._release = xinput.RawKeyPress, xinput.RawKeyRelease
        self._mapping = import_extra("Xlib.X", extra="screen", needed_by="a live game").MappingNotify
        self._display: Any = xdisplay.Display(display)
        extension = self._display.query_extension(xinput.extname)
        opcode = extension.major_opcode
        # Asked for 2.0, as python-xlib's own helper does, the server keeps raw events back during a grab.
        xinput.XIQueryVersion(display=self._display.display, opcode=opcode, major_version=2, minor_version=2)
        mask = xinput.RawKeyPressMask | xinput.RawKeyReleaseMask
        self._display.screen().root.xinput_select_events([(xinput.AllMasterDevices, mask)])
        self._find_keys()
        self._last_up = [0, 0]  # the server's time, in milliseconds
        self._down: set[int] = set()  # as these events say; the server knows of what was down before
        self._display.sync()

    def fileno(self) -> int:
        """The connection: readable when a key moved."""
        number: int = self._display.fileno()
        return number

    def heard(self) -> bool:
        """Read what has arrived; True if the chord was among it."""
        found = False
        while self._display.pending_events():
            event = self._display.next_event()
            if event.type == self._mapping:
                self._display.refresh_keyboard_mapping(event)
                self._find_keys()
            kind = getattr(event, "evtype", None)
            if kind not in (self._press, self._release):
                continue
            # xXIRawEvent after the header: deviceid, time, detail (the keycode), sourceid.
            _, now, keycode, _ = struct.unpack_from("=HIIH", event.data)
            if kind == self._press:
                self._down.add(keycode)
                found |= keycode in self._f12 and self._modifiers_count(now)
            else:
                self._down.discard(keycode)
                self._last_up = [
                    now if keycode in codes else last
                    for last, codes in zip(self._last_up, self._modifiers, strict=True)
                ]
        return found

    def is_down(self) -> bool:
        """True if the chord is down at this moment: nobody may have listened when it was pressed."""
        down = self._pressed()
        return all(codes & down for codes in (self._f12, *self._modifiers))

    def close(self) -> None:
        """Close the connection."""
        self._display.close()

    def _modifiers_count(self, now: int) -> bool:
        down = self._pressed() | self._down
        return all(
            codes & down or (last and now - last < RECENT_MS)
            for last, codes in zip(self._last_up, self._modifiers, strict=True)
        )

    def _pressed(self) -> set[int]:
        keymap = self._display.query_keymap()
        return {code for code in range(256) if keymap[code // 8] >> (code % 8) & 1}

    def _find_keys(self) -> None:
        self._f12 = self._codes("F12")
        self._modifiers = (self._codes("Control_L", "Control_R"), self._codes("Shift_L", "Shift_R"))

    def _codes(self, *names: str) -> set[int]:
        xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
        return {code for name in names for code, _ in self._display.keysym_to_keycodes(xk.string_to_keysym(name))}
