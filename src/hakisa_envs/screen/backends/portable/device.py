"""What presses: pynput, after a look at the focus."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.backends.portable.system import System
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.keys import BUTTONS, Contact
from hakisa_envs.screen.input.service import FOCUS_POLL_NS


def pynput(module: str) -> Any:
    """``pynput.keyboard`` or ``pynput.mouse``, which open the display when they are imported.

    Raises:
        MissingExtraError: If it is not installed, or there is no display.
    """
    return import_extra(f"pynput.{module}", extra="portable", needed_by="backend='portable'")


class PortableDevice:
    """Presses in one window only, as far as that can be known: the focus is looked up, and then it is pressed.

    These are two acts. Where the focus goes to another window between them, that gets the press; on X11 the other back
    end makes one act of them.

    Args:
        system: The operating system.
        names: Keys and buttons that may be pressed.

    Raises:
        InputError: If one of them cannot be pressed here.
    """

    def __init__(self, system: System, names: Iterable[str]) -> None:
        self._keys, self._desktop = system.keys(), system.desktop()
        self.contacts = self._keys.contacts(names)
        self.lacks: InputError | None = None
        self._keyboard, self._mouse = pynput("keyboard").Controller(), pynput("mouse").Controller()
        button = pynput("mouse").Button
        self._buttons = dict(zip(BUTTONS, (button.left, button.middle, button.right), strict=True))
        self._target = 0
        self._down: set[Contact] = set()
        self._had_focus = False
        self._next_look = 0

    def set_target(self, window: int, picture: int = 0) -> None:
        """From now on press in this window only; the game is drawn in no other here."""
        self._target = window

    def watch(self) -> bool:
        """True if the window has lost the focus since it was pressed in; looked up while buttons alone are down.

        While a key is down the server asks for the focus itself. A button may be down in a window that never had the
        focus: one that is clicked to get it.
        """
        now = time.monotonic_ns()
        if not self._down or now < self._next_look or any(contact.kind == "key" for contact in self._down):
            return False
        self._next_look = now + FOCUS_POLL_NS
        had, self._had_focus = self._had_focus, not self._desktop.has_lost_focus(self._target)
        return had and not self._had_focus

    def layout_changed(self) -> bool:
        """It is not told: what is down goes up by the virtual key that it went down by."""
        return False

    def focused(self) -> bool:
        """True if a key pressed now would go to the window."""
        return self._target != 0 and self._desktop.has_focus(self._target)

    def press(self, contact: Contact) -> bool:
        """Press a key if the window has the focus, a button if it is under the pointer."""
        if contact.kind == "key":
            if not self.focused():
                return False
            self._keyboard.press(self._keys.key(contact))
            focused = True
        else:
            if not self._is_under_pointer():
                return False
            focused = self.focused()
            self._mouse.press(self._buttons[contact.name])
        self._had_focus = focused or (self._had_focus and bool(self._down))
        self._down.add(contact)
        return True

    def release(self, contact: Contact) -> None:
        """Let go by virtual key."""
        self._down.discard(contact)
        if contact.kind == "key":
            self._keyboard.release(self._keys.key(contact))
        else:
            self._mouse.release(self._buttons[contact.name])

    def set_repeat(self, on: bool) -> None:
        """What pynput holds is not repeated by Windows and macOS, and X11's repeat is left as it is."""

    def move(self, x: int, y: int) -> bool:
        """Put the pointer on a pixel of the window's client area, or the nearest that is on the screen."""
        sight = self._desktop.look(self._target) if self.focused() else None
        inside = None if sight is None else sight.region.intersect(self._desktop.screen())
        if sight is None or inside is None:
            return False
        across = min(max(sight.region.left + x, inside.left), inside.left + inside.width - 1)
        down = min(max(sight.region.top + y, inside.top), inside.top + inside.height - 1)
        self._mouse.position = (across, down)
        return True

    def move_by(self, dx: int, dy: int) -> bool:
        """Move as a hand moves a mouse; pynput's own is a jump to another place."""
        if not self.focused():
            return False
        self._keys.move_by(dx, dy)
        return True

    def wheel(self, notches: int) -> bool:
        """Turn the wheel over the window; up is positive."""
        if not self._is_under_pointer():
            return False
        self._mouse.scroll(0, notches)
        return True

    def sync(self) -> None:
        """pynput returns once the system has taken what was asked."""

    def release_stale(self) -> None:
        """Release whatever of ours is down though nobody holds it: a server before this one was killed."""
        for contact in self.contacts.values():
            if self._keys.is_down(contact):
                self.release(contact)

    def close(self) -> None:
        """Close what was opened."""
        self._keys.close()
        self._desktop.close()

    def _is_under_pointer(self) -> bool:
        return self._target != 0 and self._desktop.is_under_pointer(self._target)
