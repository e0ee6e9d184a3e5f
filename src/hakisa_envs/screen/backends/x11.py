"""The back end for X11 on Linux: XShm, XTest, XInput 2, and displays that are started for a game."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from hakisa_envs.screen.backends.environment import x11_environment
from hakisa_envs.screen.backends.protocols import Capture, Display, Finder, Listener, Programs, Sign, Watcher
from hakisa_envs.screen.capture import Capture as XCapture
from hakisa_envs.screen.display import check_kind, open_display, window_name
from hakisa_envs.screen.input.client import InputClient
from hakisa_envs.screen.input.host import HostWindow
from hakisa_envs.screen.input.listener import PersonListener, input_method
from hakisa_envs.screen.input.sign import RecordingSign
from hakisa_envs.screen.processes import Keeper
from hakisa_envs.screen.window import WindowFinder
from hakisa_envs.screen.xthread import XThread


class X11Backend:
    """See `hakisa_envs.screen.backends.protocols.Backend`."""

    name = "x11"
    default_display = "xvfb"
    untested = ""

    def check_display(self, kind: str) -> str:
        """Any that `hakisa_envs.screen.display.open_display` knows."""
        return check_kind(kind)

    def programs(self) -> Keeper:
        """A keeper."""
        return Keeper()

    def open_display(self, kind: str, size: tuple[int, int], programs: Programs, *, log: Path | None) -> Display:
        """Find or start an X display."""
        assert isinstance(programs, Keeper)
        return open_display(kind, size, programs, log=log)

    def environment(self, home: Path, display: Display) -> dict[str, str]:
        """The user's own, but for what leads elsewhere."""
        return x11_environment(home, display.name)

    def input(
        self, display: Display, names: Iterable[str], *, dry: bool, timeout: float, programs: Programs
    ) -> InputClient:
        """A server that presses by XTest."""
        assert isinstance(programs, Keeper)
        name, keyboard = (None, display.name) if dry else (display.name, None)
        return InputClient(name, names, timeout=timeout, keeper=programs, mends=display.owned, keyboard=keyboard)

    def thread(self, display: Display) -> XThread:
        """One whose calls end, though the X server hangs."""
        return XThread(display.name, mends=display.owned)

    def capture(self, display: Display) -> Capture:
        """By mss, from shared memory."""
        return XCapture(display.name)

    def finder(
        self,
        display: Display,
        title: str,
        is_ours: Callable[[int | None], bool] | None,
        size: tuple[int, int] | None,
    ) -> Finder:
        """By what the X server tells."""
        return WindowFinder(display.name, title, is_ours, size)

    def listener(self, display: Display, names: Iterable[str], window: int) -> Listener:
        """By raw events of XInput 2."""
        return PersonListener(display.name, names, window)

    def watcher(self, kind: str, title: str) -> Watcher | None:
        """Of Xephyr's window on the desktop."""
        if kind != "nested" or os.environ.get("WAYLAND_DISPLAY"):
            return None
        return HostWindow(window_name(), os.environ["DISPLAY"], title)

    def sign(self, display: Display) -> Sign | None:
        """A window that takes no clicks."""
        return RecordingSign(display.name)

    def swallows_keys(self, kind: str) -> str:
        """What answers for XIM on the desktop."""
        display = os.environ.get("DISPLAY")
        return input_method(display) if kind == "current" and display else ""
