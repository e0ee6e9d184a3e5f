"""What the portable back end asks of an operating system beside mss and pynput, and which system this is.

No library of windows is used: PyWinCtl, the one that is kept, starts an AppleScript process for every question on
macOS, where the focus is asked for before every press, and finds no window on an X display without a window manager.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hakisa_envs.screen.backends.protocols import Sign
from hakisa_envs.screen.input.keys import Contact
from hakisa_envs.screen.region import Region


@dataclass(frozen=True)
class DesktopWindow:
    """A window that shows.

    Attributes:
        number: The system's own.
        title: Its title.
        pid: Its process, None if that is not known.
        region: Its client area, in pixels of the screen.
    """

    number: int
    title: str
    pid: int | None
    region: Region


@dataclass(frozen=True)
class Sight:
    """A window as it is now.

    Attributes:
        region: Its client area, in pixels of the screen.
        shown: False if it is minimised or hidden.
        above: Where windows of other programs lie that are above it.
    """

    region: Region
    shown: bool
    above: tuple[Region, ...] = ()


class Desktop(Protocol):
    """The windows and the pointer of the user's desktop. Used in one thread.

    A pixel is what the system moves the pointer by: a physical one on Windows and X11, a point on macOS, where pictures
    are grabbed at that resolution too.
    """

    def windows(self) -> list[DesktopWindow]:
        """All that show and have a title, the frontmost first."""

    def look(self, window: int) -> Sight | None:
        """A window as it is now; None if it is gone."""

    def was_destroyed(self, window: int) -> bool:
        """True if it has been since the last call, though there may be another of the same number by now."""

    def has_focus(self, window: int) -> bool:
        """True if a key pressed now goes to the window."""

    def has_lost_focus(self, window: int) -> bool:
        """True if what is held for the window must go up: another has the focus, or it is gone or hidden.

        Where keys go to whatever is under the pointer, a button may be held beyond the window's edge.
        """

    def is_under_pointer(self, window: int) -> bool:
        """True if a button pressed now goes to the window."""

    def screen(self) -> Region:
        """All monitors together; left of or above the main one its numbers are negative."""

    def show(self, window: int, region: Region | None) -> None:
        """Show a window, with its client area there if that is given; what cannot be done is left."""

    def activate(self, window: int) -> None:
        """Put a window in front and give it the focus, as far as the system lets a program do that."""

    def answers(self, window: int, timeout: float) -> bool:
        """False if it can be told that the window's program hangs."""

    def close(self) -> None:
        """Close what was opened; may be called twice."""


class Keys(Protocol):
    """The keyboard and the mouse of the user's desktop, as far as pynput does not know them. Used in one thread."""

    def contacts(self, names: Iterable[str]) -> dict[str, Contact]:
        """Find keys, buttons and typed characters on the layout; their codes are what pynput calls virtual keys.

        Raises:
            InputError: If one is not on the layout, only together with a modifier, or must not be pressed.
        """

    def key(self, contact: Contact) -> Any:
        """What pynput is to press: a key by its virtual key, never by a character."""

    def heard(self, contacts: Iterable[Contact]) -> dict[int, str]:
        """The names of keys by the virtual keys that pynput may tell of when they are pressed."""

    def is_down(self, contact: Contact) -> bool:
        """Whether a key or a button is down, whoever pressed it."""

    def move_by(self, dx: int, dy: int) -> None:
        """Move the mouse by so much, which games that read raw motion see too."""

    def close(self) -> None:
        """Close what was opened; may be called twice."""


class System(Protocol):
    """An operating system.

    Attributes:
        name: What it is called.
        untested: The same where nobody has tried what a press hits; else empty.
    """

    name: str
    untested: str

    def prepare(self) -> None:
        """To be called in a process before anything else is."""

    def check(self, timeout: float) -> None:
        """Refuse a desktop on which games cannot be seen or played, and say why; within so many seconds."""

    def missing_permissions(self, press: bool, listen: bool = False) -> list[str]:
        """What the user has to allow first, by its menu: to look, to ``press`` or to ``listen`` to a person."""

    def desktop_name(self) -> str:
        """What messages call the desktop."""

    def environment(self, home: Path) -> dict[str, str]:
        """That of a game with a home of its own."""

    def grabber(self) -> Any:
        """An open ``mss.MSS``."""

    def sign(self) -> Sign | None:
        """What shows that a recording runs; None where there is nothing of that sort."""

    def desktop(self) -> Desktop:
        """The windows of the desktop."""

    def keys(self) -> Keys:
        """Its keyboard and mouse."""


def this_system() -> System:
    """The one that this is; its module is imported only here."""
    if sys.platform == "win32":
        from hakisa_envs.screen.backends.portable.windows.system import WindowsSystem

        return WindowsSystem()
    if sys.platform == "darwin":
        from hakisa_envs.screen.backends.portable.macos.system import MacSystem

        return MacSystem()
    from hakisa_envs.screen.backends.portable.x11 import X11System

    return X11System()
