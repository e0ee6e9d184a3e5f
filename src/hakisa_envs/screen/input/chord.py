"""Hears Ctrl+Shift+F12, whoever has the focus."""

from __future__ import annotations

import struct
import time
from typing import Any

from hakisa_envs.errors import import_extra

RECENT_S = 0.5  # a modifier counts this long after it went up


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
        self._display: Any = xdisplay.Display(display)
        extension = self._display.query_extension(xinput.extname)
        opcode = extension.major_opcode
        # Asked for 2.0, as python-xlib's own helper does, the server keeps raw events back during a grab.
        xinput.XIQueryVersion(display=self._display.display, opcode=opcode, major_version=2, minor_version=2)
        mask = xinput.RawKeyPressMask | xinput.RawKeyReleaseMask
        self._display.screen().root.xinput_select_events([(xinput.AllMasterDevices, mask)])
        self._f12 = self._codes("F12")
        self._modifiers = (self._codes("Control_L", "Control_R"), self._codes("Shift_L", "Shift_R"))
        self._last_up = [-RECENT_S, -RECENT_S]
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
            kind = getattr(event, "evtype", None)
            if kind not in (self._press, self._release):
                continue
            # xXIRawEvent after the header: deviceid, time, detail (the keycode), sourceid.
            keycode = struct.unpack_from("=HIIH", event.data)[2]
            if kind == self._release:
                for index, codes in enumerate(self._modifiers):
                    if keycode in codes:
                        self._last_up[index] = time.monotonic()
            elif keycode in self._f12:
                found |= self._modifiers_count()
        return found

    def close(self) -> None:
        """Close the connection."""
        self._display.close()

    def _modifiers_count(self) -> bool:
        keymap = self._display.query_keymap()
        since = time.monotonic() - RECENT_S
        return all(
            last > since or any(keymap[code // 8] >> (code % 8) & 1 for code in codes)
            for last, codes in zip(self._last_up, self._modifiers, strict=True)
        )

    def _codes(self, *names: str) -> set[int]:
        xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
        return {code for name in names for code, _ in self._display.keysym_to_keycodes(xk.string_to_keysym(name))}
