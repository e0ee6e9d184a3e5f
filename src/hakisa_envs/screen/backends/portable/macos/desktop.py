"""The windows of macOS: found by Quartz, moved and raised by the accessibility API. All is in points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hakisa_envs.screen.backends.portable.system import DesktopWindow, Sight
from hakisa_envs.screen.region import Region

# kCGWindowListOptionOnScreenOnly, ...ExcludeDesktopElements, ...OnScreenAboveWindow, ...IncludingWindow
ON_SCREEN, NO_DESKTOP, ABOVE, INCLUDING = 1, 16, 2, 8
NORMAL_LAYER = 0
IGNORING_OTHERS = 2  # NSApplicationActivateIgnoringOtherApps
POINT, SIZE = 1, 2  # kAXValueCGPointType, kAXValueCGSizeType
MOST_DISPLAYS = 32
TITLED = 1  # NSWindowStyleMaskTitled

Info = Mapping[str, Any]


class MacDesktop:
    """See `hakisa_envs.screen.backends.portable.system.Desktop`.

    Quartz tells of a window with its title bar; a client area is what is below one of the usual height, or all of a
    window that fills a monitor.

    Args:
        quartz, appkit, services: The modules ``Quartz``, ``AppKit`` and ``ApplicationServices``.
    """

    def __init__(self, quartz: Any, appkit: Any, services: Any) -> None:
        self._quartz, self._appkit, self._services = quartz, appkit, services
        framed = appkit.NSWindow.frameRectForContentRect_styleMask_(((0, 0), (100, 100)), TITLED)
        self._bar = round(framed[1][1] - 100)

    def windows(self) -> list[DesktopWindow]:
        """All that show and have a title, the frontmost first."""
        return [
            DesktopWindow(info["kCGWindowNumber"], str(info["kCGWindowName"]), info["kCGWindowOwnerPID"], area)
            for info in self._list()
            if info.get("kCGWindowName") and (area := self._client_area(info)).height > 0
        ]

    def look(self, window: int) -> Sight | None:
        """A window as it is now."""
        info = self._info(window)
        if info is None:
            return None
        shown = bool(info.get("kCGWindowIsOnscreen"))
        region = self._client_area(info)
        above = self._quartz.CGWindowListCopyWindowInfo(ABOVE | NO_DESKTOP, window) if shown else ()
        own = info["kCGWindowOwnerPID"]
        frames = [
            self._frame(other)
            for other in above or ()
            # The menu bar and the Dock lie above everything; where they are a window has no place.
            if other["kCGWindowOwnerPID"] != own and _is_normal(other)
        ]
        return Sight(region, shown, tuple(frame for frame in frames if frame.intersect(region) is not None))

    def was_destroyed(self, window: int) -> bool:
        """It is not told, and a number is hardly ever used again."""
        return False

    def has_focus(self, window: int) -> bool:
        """By the program that gets the keys, and its frontmost window."""
        normal = [info for info in self._list() if _is_normal(info)]
        info = next((info for info in normal if info["kCGWindowNumber"] == window), None)
        if info is None:
            return False
        own = info["kCGWindowOwnerPID"]
        front = self._focused_pid()
        if front is None:  # the accessibility API is not allowed: nothing may be pressed either
            return bool(normal[0] is info)
        first = next(other for other in normal if other["kCGWindowOwnerPID"] == own)
        return bool(front == own and first is info)

    def has_lost_focus(self, window: int) -> bool:
        """Whenever it has not got it."""
        return not self.has_focus(window)

    def is_under_pointer(self, window: int) -> bool:
        """By the frontmost window there."""
        quartz = self._quartz
        x, y = quartz.CGEventGetLocation(quartz.CGEventCreate(None))
        place = Region(int(x), int(y), 1, 1)
        for info in self._list():
            if info.get("kCGWindowAlpha", 1) > 0 and self._frame(info).intersect(place) is not None:
                return bool(info["kCGWindowNumber"] == window)
        return False

    def screen(self) -> Region:
        """All monitors together; left of or above the main one its numbers are negative."""
        areas = self._monitors()
        left, top = min(area.left for area in areas), min(area.top for area in areas)
        right, bottom = (
            max(area.left + area.width for area in areas),
            max(area.top + area.height for area in areas),
        )
        return Region(left, top, right - left, bottom - top)

    def show(self, window: int, region: Region | None) -> None:
        """Bring it back from the Dock, and set the place of its frame."""
        element = self._element(window)
        if element is None:
            return
        set_value = self._services.AXUIElementSetAttributeValue
        set_value(element, "AXMinimized", False)
        if region is not None:
            create = self._services.AXValueCreate
            set_value(element, "AXPosition", create(POINT, (region.left, region.top - self._bar)))
            set_value(element, "AXSize", create(SIZE, (region.width, region.height + self._bar)))

    def activate(self, window: int) -> None:
        """Put its program and the window in front."""
        info = self._info(window)
        if info is None:
            return
        application = self._appkit.NSRunningApplication.runningApplicationWithProcessIdentifier_(
            info["kCGWindowOwnerPID"]
        )
        if application is not None:
            application.activateWithOptions_(IGNORING_OTHERS)
        element = self._element(window)
        if element is not None:
            self._services.AXUIElementPerformAction(element, "AXRaise")

    def answers(self, window: int, timeout: float) -> bool:
        """It is not asked."""
        return True

    def close(self) -> None:
        """Nothing is open."""

    def _list(self) -> list[Info]:
        return list(self._quartz.CGWindowListCopyWindowInfo(ON_SCREEN | NO_DESKTOP, 0) or ())

    def _info(self, window: int) -> Info | None:
        """Of a window that is on the screen or not."""
        found = self._quartz.CGWindowListCopyWindowInfo(INCLUDING, window) or ()
        return next((info for info in found if info["kCGWindowNumber"] == window), None)

    def _monitors(self) -> list[Region]:
        _, displays, _ = self._quartz.CGGetActiveDisplayList(MOST_DISPLAYS, None, None)
        bounds = [self._quartz.CGDisplayBounds(display) for display in displays]
        return [Region(*(round(n) for n in (*origin, *size))) for origin, size in bounds]

    def _frame(self, info: Info) -> Region:
        bounds = info["kCGWindowBounds"]
        return Region(*(round(bounds[name]) for name in ("X", "Y", "Width", "Height")))

    def _client_area(self, info: Info) -> Region:
        frame = self._frame(info)
        bar = 0 if frame in self._monitors() else self._bar
        return Region(frame.left, frame.top + bar, frame.width, frame.height - bar)

    def _focused_pid(self) -> int | None:
        """By the accessibility API, which needs no run loop in this process, as NSWorkspace does."""
        everything = self._services.AXUIElementCreateSystemWide()
        error, application = self._services.AXUIElementCopyAttributeValue(everything, "AXFocusedApplication", None)
        if error or application is None:
            return None
        error, pid = self._services.AXUIElementGetPid(application, None)
        return None if error else int(pid)

    def _element(self, window: int) -> Any:
        """The accessibility API's own of a window, which it knows by its title; None if there is none."""
        info = self._info(window)
        if info is None:
            return None
        copy = self._services.AXUIElementCopyAttributeValue
        application = self._services.AXUIElementCreateApplication(info["kCGWindowOwnerPID"])
        error, elements = copy(application, "AXWindows", None)
        for element in () if error else elements or ():
            error, title = copy(element, "AXTitle", None)
            if not error and str(title) == str(info.get("kCGWindowName", "")):
                return element
        return None


def _is_normal(info: Info) -> bool:
    return bool(info.get("kCGWindowLayer", 0) == NORMAL_LAYER and info.get("kCGWindowAlpha", 1) > 0)
