"""Turns the repeats of keys off, and on again, where nothing is pressed: a person plays there, and is recorded."""

from __future__ import annotations

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.input.keys import resolve


class KeyRepeat:
    """The repeats of some keys of a display. Nothing is opened before they are turned off or on.

    Args:
        display: Name of the display.
        names: The keys; buttons among them do not repeat.
    """

    def __init__(self, display: str, names: list[str]) -> None:
        self._display = display
        self._names = names
        self._codes: set[int] = set()  # that were turned off, which another layout may have elsewhere

    def turn(self, on: bool) -> None:
        """Whether they repeat while they are held, by whomever.

        Raises:
            InputError: If one of them is not on the display's layout.
        """
        x = import_extra("Xlib.X", extra="screen", needed_by="a live game")
        display = import_extra("Xlib.display", extra="screen", needed_by="a live game").Display(self._display)
        try:
            if not (on and self._codes):
                self._codes |= {c.code for c in resolve(display, self._names).values() if c.kind == "key"}
            mode = x.AutoRepeatModeDefault if on else x.AutoRepeatModeOff
            for code in self._codes:
                display.change_keyboard_control(key=code, auto_repeat_mode=mode)
            display.sync()
        finally:
            display.close()
