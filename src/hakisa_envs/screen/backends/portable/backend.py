"""The back end that runs on Windows, on macOS, and on X11 where it is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from hakisa_envs.screen.backends.portable.device import pynput
from hakisa_envs.screen.backends.portable.finder import PortableFinder
from hakisa_envs.screen.backends.portable.link import PipeLink
from hakisa_envs.screen.backends.portable.listener import PortableListener
from hakisa_envs.screen.backends.portable.programs import PortablePrograms
from hakisa_envs.screen.backends.portable.system import this_system
from hakisa_envs.screen.backends.protocols import START_S, Capture, Display, Finder, Listener, Programs, Sign, Watcher
from hakisa_envs.screen.capture import Capture as MssCapture
from hakisa_envs.screen.errors import DisplayError
from hakisa_envs.screen.input.client import InputClient
from hakisa_envs.screen.xthread import XThread

CURRENT = "current"


class PortableBackend:
    """See `hakisa_envs.screen.backends.protocols.Backend`. It plays on the user's own desktop only."""

    name = "portable"
    default_display = CURRENT

    def __init__(self) -> None:
        self._system = this_system()
        self.untested = self._system.untested

    def check_display(self, kind: str) -> str:
        """The desktop only.

        Raises:
            ValueError: If it is another.
        """
        if kind != CURRENT:
            wrong = "'xvfb', 'nested' and names such as ':1' are" if re.match("xvfb|nested|:", kind) else "others are"
            raise ValueError(
                f"display={kind!r} needs X11: {wrong} displays of backend='x11', on Linux. With backend='portable' it "
                "must be 'current', your own desktop."
            )
        return kind

    def programs(self) -> PortablePrograms:
        """Runners, or jobs of Windows."""
        return PortablePrograms()

    def open_display(self, kind: str, size: tuple[int, int], programs: Programs, *, log: Path | None) -> Display:
        """The desktop, if it may be looked at.

        Raises:
            CaptureError: If it does not answer in time.
            DisplayError: If there is none, games cannot be played on it, or the user has to allow it first.
        """
        self.check_display(kind)
        self._system.prepare()
        _refuse_without(self._system.missing_permissions(press=False))
        self._system.check(START_S)
        return Display(self._system.desktop_name(), owned=False)

    def environment(self, home: Path, display: Display) -> dict[str, str]:
        """As the system wants it."""
        return self._system.environment(home)

    def input(
        self, display: Display, names: Iterable[str], *, dry: bool, timeout: float, programs: Programs
    ) -> InputClient:
        """A server that presses by pynput."""
        if not dry:
            _refuse_without(self._system.missing_permissions(press=True))
        return InputClient(None if dry else display.name, names, timeout=timeout, link=PipeLink())

    def thread(self, display: Display) -> XThread:
        """One whose calls end, though the window system hangs."""
        return XThread(display.name, server="window system")

    def capture(self, display: Display) -> Capture:
        """By mss."""
        return MssCapture(display.name, self._system.grabber)

    def finder(
        self,
        display: Display,
        title: str,
        is_ours: Callable[[int | None], bool] | None,
        size: tuple[int, int] | None,
    ) -> Finder:
        """By what the system tells of all windows."""
        return PortableFinder(self._system.desktop, title, is_ours, size)

    def listener(self, display: Display, names: Iterable[str], window: int) -> Listener:
        """By pynput, if it may listen."""
        _refuse_without(self._system.missing_permissions(press=False, listen=True))
        return PortableListener(self._system, names, window)

    def watcher(self, kind: str, title: str) -> Watcher | None:
        """The desktop is shown in no window."""
        return None

    def sign(self, display: Display) -> Sign | None:
        """On X11 only."""
        return self._system.sign()

    def missing_permissions(self) -> list[str]:
        """What the user still has to allow, by its menu, before games can be played and recorded."""
        return self._system.missing_permissions(press=True, listen=True)

    def check_devices(self) -> None:
        """See whether pynput finds keyboard and mouse, whatever it is allowed to do with them.

        Raises:
            DisplayError: If there is no desktop that it could find them on.
            MissingExtraError: If it cannot be imported.
        """
        self._system.prepare()
        self._system.check(START_S)
        pynput("keyboard")
        pynput("mouse")

    def swallows_keys(self, kind: str) -> str:
        """It is not known of any system."""
        return ""


def _refuse_without(permissions: list[str]) -> None:
    if permissions:
        raise DisplayError(
            f"This program is not allowed to do that yet. Allow it, or the terminal that it runs in, under "
            f"{' and '.join(permissions)}; then start it again."
        )
