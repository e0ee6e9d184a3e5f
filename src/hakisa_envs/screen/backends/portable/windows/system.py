"""Windows."""

from __future__ import annotations

import ctypes
import os
from ctypes import wintypes
from pathlib import Path
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.backends.portable.windows.desktop import WindowsDesktop
from hakisa_envs.screen.backends.portable.windows.keys import WindowsKeys

PER_MONITOR_V2, PER_MONITOR = -4, 2  # DPI_AWARENESS_CONTEXT, PROCESS_DPI_AWARENESS


def load_user32() -> Any:
    """user32, with the types that 64 bits need; a copy of it that nobody else declares otherwise."""
    user32: Any = vars(ctypes)["WinDLL"]("user32")
    window, pointer = wintypes.HWND, ctypes.c_void_p
    for name, result, arguments in (
        ("GetTopWindow", window, (window,)),
        ("GetWindow", window, (window, wintypes.UINT)),
        ("GetForegroundWindow", window, ()),
        ("SetForegroundWindow", wintypes.BOOL, (window,)),
        ("WindowFromPoint", window, (wintypes.POINT,)),
        ("GetAncestor", window, (window, wintypes.UINT)),
        ("IsWindow", wintypes.BOOL, (window,)),
        ("IsWindowVisible", wintypes.BOOL, (window,)),
        ("IsIconic", wintypes.BOOL, (window,)),
        ("IsZoomed", wintypes.BOOL, (window,)),
        ("ShowWindow", wintypes.BOOL, (window, ctypes.c_int)),
        ("SetWindowPos", wintypes.BOOL, (window, window, *(ctypes.c_int,) * 4, wintypes.UINT)),
        ("GetWindowLongW", wintypes.LONG, (window, ctypes.c_int)),
        ("GetMenu", wintypes.HMENU, (window,)),
        ("GetDpiForWindow", wintypes.UINT, (window,)),
        ("GetWindowRect", wintypes.BOOL, (window, pointer)),
        ("GetClientRect", wintypes.BOOL, (window, pointer)),
        ("ClientToScreen", wintypes.BOOL, (window, pointer)),
        ("GetWindowTextLengthW", ctypes.c_int, (window,)),
        ("GetWindowTextW", ctypes.c_int, (window, wintypes.LPWSTR, ctypes.c_int)),
        ("GetWindowThreadProcessId", wintypes.DWORD, (window, pointer)),
        ("SendMessageTimeoutW", ctypes.c_ssize_t,
         (window, wintypes.UINT, ctypes.c_size_t, ctypes.c_ssize_t, wintypes.UINT, wintypes.UINT, pointer)),
        ("VkKeyScanW", ctypes.c_short, (wintypes.WCHAR,)),
        ("MapVirtualKeyW", wintypes.UINT, (wintypes.UINT, wintypes.UINT)),
        ("GetAsyncKeyState", ctypes.c_short, (ctypes.c_int,)),
    ):  # fmt: skip
        function = getattr(user32, name)
        function.restype, function.argtypes = result, arguments
    user32.mouse_event.argtypes = (wintypes.DWORD, wintypes.LONG, wintypes.LONG, wintypes.DWORD, ctypes.c_size_t)
    return user32


class WindowsSystem:
    """See `hakisa_envs.screen.backends.portable.system.System`."""

    name = untested = "Windows"

    def prepare(self) -> None:
        """Ask for physical pixels, before the first call that tells of any."""
        become_dpi_aware(vars(ctypes)["windll"])

    def check(self, timeout: float) -> None:
        """Nothing is known that could be wrong."""

    def missing_permissions(self, press: bool, listen: bool = False) -> list[str]:
        """Windows asks for none, but a game that runs as administrator hears only such programs."""
        return []

    def desktop_name(self) -> str:
        """There is one."""
        return "desktop"

    def environment(self, home: Path) -> dict[str, str]:
        """The user's own, with HOME for what goes by it; what goes by USERPROFILE or APPDATA finds the user's."""
        return {**os.environ, "HOME": str(home)}

    def grabber(self) -> Any:
        """By GDI, as mss does it."""
        return import_extra("mss", extra="portable", needed_by="backend='portable'").MSS()

    def sign(self) -> None:
        """There is none here."""

    def desktop(self) -> WindowsDesktop:
        """Its windows."""
        self.prepare()  # in whichever process is the first to ask
        return WindowsDesktop(load_user32(), vars(ctypes)["WinDLL"]("dwmapi"))

    def keys(self) -> WindowsKeys:
        """Its keyboard and mouse."""
        return WindowsKeys(load_user32())


def become_dpi_aware(windll: Any) -> None:
    """Else Windows tells of pixels that are scaled, and grabs others; the newest way that this Windows knows.

    Args:
        windll: ``ctypes.windll``.
    """
    try:
        if windll.user32.SetProcessDpiAwarenessContext(ctypes.c_void_p(PER_MONITOR_V2)):
            return
    except (AttributeError, OSError):  # before Windows 10, 1703
        pass
    try:
        windll.shcore.SetProcessDpiAwareness(PER_MONITOR)  # it refuses a second time: then it was done before
    except (AttributeError, OSError):  # before Windows 8.1
        windll.user32.SetProcessDPIAware()
