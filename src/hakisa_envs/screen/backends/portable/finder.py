"""Finds and watches the game's window, by what a `Desktop` tells of all of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from hakisa_envs.screen.backends.portable.system import Desktop, DesktopWindow, Sight
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.window_state import WindowState, fit, gone, several

SEARCH_S = 0.5  # how often it is looked whether the game shows another window that fits better


class PortableFinder:
    """See `hakisa_envs.screen.backends.protocols.Finder`.

    Args:
        open_desktop: Called in the thread in which the finder is used, at the first call.
        title: Regular expression that is searched for in the titles.
        is_ours: Whether a window of this process may be the game's, or None: there must be only one.
        size: The width and height that it has in the end, if that is known.
    """

    def __init__(
        self,
        open_desktop: Callable[[], Desktop],
        title: str,
        is_ours: Callable[[int | None], bool] | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.title = re.compile(title)
        self.is_ours = is_ours
        self.size = size
        self.superseded = False
        self._open = open_desktop
        self._desktop: Desktop | None = None
        self._window: DesktopWindow | None = None
        self._search_at = 0.0
        self._lost = False  # it is gone; one that has its number now is another

    def find(self) -> int | None:
        """The number of the game's window, None if it is not there.

        Raises:
            WindowError: If there are several and nothing says which is the game's.
        """
        found = self._matches()
        before = self._window
        if self.is_ours is None and before is not None:  # another program's window is none that the game made anew
            found = [window for window in found if window.pid == before.pid]
        if not found:
            return None
        if self.is_ours is None and len(found) > 1:
            raise several("the desktop", self.title.pattern, [window.title for window in found])
        self._window = max(found, key=self._rank)
        self._lost = False
        self._opened().was_destroyed(self._window.number)  # one before it, perhaps
        self._search_at = time.monotonic() + SEARCH_S
        self.superseded = False
        return self._window.number

    def titles(self) -> list[str]:
        """The titles of all windows on the screen, for messages."""
        return [window.title for window in self._opened().windows()]

    def screen(self) -> tuple[int, int]:
        """Width and height of the whole screen, all monitors together."""
        screen = self._opened().screen()
        return screen.width, screen.height

    def state(self) -> WindowState:
        """Where the window is now.

        Raises:
            WindowError: If it is gone.
        """
        assert self._window is not None
        sight = self._look()
        if sight is None:
            raise gone(self.title.pattern)
        region, number = sight.region, self._window.number
        parts = [area.intersect(region) for area in sight.above]
        covers = tuple(part.shifted(-region.left, -region.top) for part in parts if part is not None)
        self._look_for_better(region)
        return WindowState(number, number, region, not sight.shown or bool(covers), sight.shown, self.screen(), covers)

    def has_news(self) -> None:
        """Nothing is told without asking."""

    def restore(self, width: int, height: int) -> None:
        """Show the window, give it its size back, and move it onto the screen if it sticks out."""
        number = self._number()
        sight, screen = self._look(), self._opened().screen()
        if sight is None:
            return
        region = Region(sight.region.left, sight.region.top, width, height)
        if width <= screen.width and height <= screen.height and screen.intersect(region) != region:
            region = Region(screen.left, screen.top, width, height)
        self._opened().show(number, None if region == sight.region else region)

    def focus(self) -> None:
        """Put the window in front and give it the focus."""
        self._opened().activate(self._number())

    def pid(self) -> int | None:
        """The window's process, if it is known."""
        return None if self._window is None else self._window.pid

    def answers(self, timeout: float) -> bool:
        """False if it can be told that the window's program hangs."""
        self.state()  # a window that is gone does not hang
        return self._opened().answers(self._number(), timeout)

    def is_managed(self) -> bool:
        """A desktop has a window manager."""
        return True

    def close(self) -> None:
        """Close the desktop; may be called twice."""
        desktop, self._desktop = self._desktop, None
        if desktop is not None:
            desktop.close()

    def _opened(self) -> Desktop:
        if self._desktop is None:
            self._desktop = self._open()
        return self._desktop

    def _look(self) -> Sight | None:
        """The window that was found; None if it is gone."""
        number = self._number()
        sight = self._opened().look(number)
        self._lost |= self._opened().was_destroyed(number)
        return None if self._lost else sight

    def _number(self) -> int:
        assert self._window is not None
        return self._window.number

    def _matches(self) -> list[DesktopWindow]:
        return [
            window
            for window in self._opened().windows()
            if self.title.search(window.title) and (not self.is_ours or self.is_ours(window.pid))
        ]

    def _rank(self, window: DesktopWindow) -> tuple[bool, int]:
        return self._fit(window.region)

    def _fit(self, region: Region) -> tuple[bool, int]:
        return fit((region.width, region.height), self.size)

    def _look_for_better(self, region: Region) -> None:
        """Now and then, and not once the window has the size that it is to have: it takes milliseconds."""
        if self.is_ours is None or self._fit(region)[0] or time.monotonic() < self._search_at:
            return
        self._search_at = time.monotonic() + SEARCH_S
        others = [window for window in self._matches() if window.number != self._number()]
        self.superseded = any(self._rank(window) > self._fit(region) for window in others)
