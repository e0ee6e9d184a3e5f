"""macOS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.backends.portable.macos.desktop import MacDesktop
from hakisa_envs.screen.backends.portable.macos.keys import KEYPAD, MacKeys

VIRTUAL_KEYS = 128
MENU = "System Settings > Privacy & Security > "


def framework(name: str) -> Any:
    """A module of PyObjC, which comes with pynput."""
    return import_extra(name, extra="portable", needed_by="backend='portable'")


class MacSystem:
    """See `hakisa_envs.screen.backends.portable.system.System`."""

    name = untested = "macOS"

    def prepare(self) -> None:
        """There is nothing to be asked for: mss grabs in points, in which windows and the pointer are told of too."""

    def check(self, timeout: float) -> None:
        """Nothing is known that could be wrong."""

    def missing_permissions(self, press: bool, listen: bool = False) -> list[str]:
        """By the name of their menu."""
        quartz, services = framework("Quartz"), framework("ApplicationServices")
        missing = []
        if not quartz.CGPreflightScreenCaptureAccess():  # else every window is missing in the picture, and its title
            missing.append(f"{MENU}Screen & System Audio Recording")
        if press and not services.AXIsProcessTrusted():
            missing.append(f"{MENU}Accessibility")
        if (press or listen) and not quartz.CGPreflightListenEventAccess():  # who presses listens for the kill chord
            missing.append(f"{MENU}Input Monitoring")
        return missing

    def desktop_name(self) -> str:
        """There is one."""
        return "desktop"

    def environment(self, home: Path) -> dict[str, str]:
        """The user's own, with a home of the game's."""
        return {**os.environ, "HOME": str(home)}

    def grabber(self) -> Any:
        """By CoreGraphics, at nominal resolution."""
        return framework("mss").MSS()

    def sign(self) -> None:
        """There is none here."""

    def desktop(self) -> MacDesktop:
        """Its windows."""
        return MacDesktop(framework("Quartz"), framework("AppKit"), framework("ApplicationServices"))

    def keys(self) -> MacKeys:
        """Its keyboard and mouse."""
        return MacKeys(framework("Quartz"), characters_of(framework("pynput._util.darwin")))


def characters_of(darwin: Any) -> dict[str, int]:
    """The virtual key of each character that the layout of now makes without a modifier, off the number pad.

    pynput's own map names the last of several keys, which is the number pad's.

    Args:
        darwin: The module ``pynput._util.darwin``.
    """
    found: dict[str, int] = {}
    with darwin.keycode_context() as layout:
        for code in range(VIRTUAL_KEYS):
            if code not in KEYPAD:
                found.setdefault(darwin.keycode_to_string(layout, code), code)
    return found
