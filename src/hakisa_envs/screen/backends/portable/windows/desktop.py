"""The windows of Windows."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from ctypes import wintypes
from typing import Any

from hakisa_envs.screen.backends.portable.system import DesktopWindow, Sight
from hakisa_envs.screen.region import Region

# winuser.h and dwmapi.h
NEXT, PREVIOUS, ROOT = 2, 3, 2  # GW_HWNDNEXT, GW_HWNDPREV; GA_ROOT
EXTENDED_STYLE, TRANSPARENT = -20, 0x20  # GWL_EXSTYLE, WS_EX_TRANSPARENT: the mouse goes through it
STYLE = -16
NO_ZORDER, NO_ACTIVATE = 0x4, 0x10  # of SetWindowPos
RESTORE = 9  # SW_RESTORE
SCREEN_LEFT, SCREEN_TOP, SCREEN_WIDTH, SCREEN_HEIGHT = 76, 77, 78, 79  # SM_XVIRTUALSCREEN and the rest
CLOAKED = 14  # DWMWA_CLOAKED: not drawn, as windows of apps that are suspended and of other desktops
ABORT_IF_HUNG = 2
MOST = 5000  # windows that are gone through; the list may change meanwhile and never end


class WindowsDesktop:
    """See `hakisa_envs.screen.backends.portable.system.Desktop`. All is in physical pixels: the process is DPI-aware.

    Args:
        user32, dwmapi: The system's libraries.
    """

    def __init__(self, user32: Any, dwmapi: Any) -> None:
        self._user32, self._dwmapi = user32, dwmapi

    def windows(self) -> list[DesktopWindow]:
        """All that show and have a title, the frontmost first."""
        found = []
        for window in self._chain(self._user32.GetTopWindow(None), NEXT):
            title = self._title(window) if self._is_seen(window) else ""
            region = self._client_area(window) if title else None
            if region is not None:
                found.append(DesktopWindow(window, title, self._pid(window), region))
        return found

    def look(self, window: int) -> Sight | None:
        """A window as it is now."""
        if not self._user32.IsWindow(window):
            return None
        region = self._client_area(window) or Region(0, 0, 0, 0)
        shown = self._is_seen(window) and region.width > 0
        return Sight(region, shown, tuple(self._above(window, region)) if shown else ())

    def was_destroyed(self, window: int) -> bool:
        """It is not told, and a number is hardly ever used again."""
        return False

    def has_focus(self, window: int) -> bool:
        """By the window in the foreground."""
        return bool(self._user32.GetForegroundWindow() == window)

    def has_lost_focus(self, window: int) -> bool:
        """Whenever it has not got it."""
        return not self.has_focus(window)

    def is_under_pointer(self, window: int) -> bool:
        """By the window that a click there goes to."""
        place = wintypes.POINT()
        self._user32.GetCursorPos(ctypes.byref(place))
        below = self._user32.WindowFromPoint(place)
        return bool(below and self._user32.GetAncestor(below, ROOT) == window)

    def screen(self) -> Region:
        """All monitors together; left of or above the main one its numbers are negative."""
        metrics = [self._user32.GetSystemMetrics(n) for n in (SCREEN_LEFT, SCREEN_TOP, SCREEN_WIDTH, SCREEN_HEIGHT)]
        return Region(*metrics)

    def show(self, window: int, region: Region | None) -> None:
        """Show it, and set the place of its frame so that its client area lies there."""
        user32 = self._user32
        if user32.IsIconic(window) or (region is not None and user32.IsZoomed(window)):
            user32.ShowWindow(window, RESTORE)
        if region is None:
            return
        frame, style = wintypes.RECT(0, 0, region.width, region.height), user32.GetWindowLongW(window, STYLE)
        extended = user32.GetWindowLongW(window, EXTENDED_STYLE)
        menu = bool(user32.GetMenu(window))
        user32.AdjustWindowRectExForDpi(ctypes.byref(frame), style, menu, extended, user32.GetDpiForWindow(window))
        place = (region.left + frame.left, region.top + frame.top, frame.right - frame.left, frame.bottom - frame.top)
        user32.SetWindowPos(window, None, *place, NO_ZORDER | NO_ACTIVATE)

    def activate(self, window: int) -> None:
        """Put it in the foreground, which Windows allows after a key of Alt, or else only flashes it."""
        user32 = self._user32
        if user32.GetForegroundWindow() == window:
            return
        if not user32.SetForegroundWindow(window):
            # A window that is minimised and restored comes to the foreground by itself.
            user32.ShowWindow(window, 6)
            user32.ShowWindow(window, RESTORE)
            user32.SetForegroundWindow(window)

    def answers(self, window: int, timeout: float) -> bool:
        """By a message that it has to answer."""
        result = ctypes.c_size_t()
        return bool(
            self._user32.SendMessageTimeoutW(window, 0, 0, 0, ABORT_IF_HUNG, round(timeout * 1e3), ctypes.byref(result))
        )

    def close(self) -> None:
        """Nothing is open."""

    def _chain(self, window: int, direction: int) -> Iterator[int]:
        for _ in range(MOST):
            if not window:
                return
            yield window
            window = self._user32.GetWindow(window, direction)

    def _is_seen(self, window: int) -> bool:
        cloaked = wintypes.DWORD()
        with contextlib.suppress(OSError):
            self._dwmapi.DwmGetWindowAttribute(window, CLOAKED, ctypes.byref(cloaked), ctypes.sizeof(cloaked))
        visible = self._user32.IsWindowVisible(window) and not self._user32.IsIconic(window)
        return bool(visible and not cloaked.value)

    def _above(self, window: int, region: Region) -> Iterator[Region]:
        """Where windows of other programs lie over a window, but for those that the mouse goes through."""
        own = self._pid(window)
        for other in self._chain(self._user32.GetWindow(window, PREVIOUS), PREVIOUS):
            if not self._is_seen(other) or self._pid(other) == own:
                continue
            if self._user32.GetWindowLongW(other, EXTENDED_STYLE) & TRANSPARENT:
                continue
            frame = wintypes.RECT()
            self._user32.GetWindowRect(other, ctypes.byref(frame))
            lies = Region(frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top)
            if lies.intersect(region) is not None:
                yield lies

    def _client_area(self, window: int) -> Region | None:
        size, origin = wintypes.RECT(), wintypes.POINT(0, 0)
        if not self._user32.GetClientRect(window, ctypes.byref(size)):
            return None
        self._user32.ClientToScreen(window, ctypes.byref(origin))
        return Region(origin.x, origin.y, size.right, size.bottom)

    def _title(self, window: int) -> str:
        length = self._user32.GetWindowTextLengthW(window)
        if not length:
            return ""
        text = ctypes.create_unicode_buffer(length + 1)
        self._user32.GetWindowTextW(window, text, length + 1)
        return text.value

    def _pid(self, window: int) -> int:
        pid = wintypes.DWORD()
        self._user32.GetWindowThreadProcessId(window, ctypes.byref(pid))
        return int(pid.value)
