"""The game's window: found by its title, and where its client area is now."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.window_state import WindowState, fit, gone, several
from hakisa_envs.screen.xwindows import DEPTH, area_of, ask_manager, of_one_client, pid_of, title_of, top_of, unmaximise


class WindowFinder:
    """Finds and watches one window of a display. Used in one thread; nothing is opened before the first call.

    Args:
        display: Name of the display.
        title: Regular expression that is searched for in the titles.
        is_ours: Whether a window of this process (None: not known) may be the game's; the largest of those is. None: a
            window of any process may be, but there must be only one.
        size: The width and height that it has in the end, if that is known; one of this size goes before a larger one.

    Attributes:
        superseded: Since the last `find` the game has shown another window that fits better: this one was a splash.
    """

    def __init__(
        self,
        display: str,
        title: str,
        is_ours: Callable[[int | None], bool] | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.display = display
        self.title = re.compile(title)
        self.is_ours = is_ours
        self.size = size
        self.superseded = False
        self._connection: Any = None
        self._window: Any = None
        self._picture: Any = None  # in which the game is drawn
        self._size = self._picture_size = (0, 0)
        self._visible: bool | None = True  # None: not known since it was mapped
        self._told = False  # since it was found: the X server tells of changes only
        self._mapped = self._viewable = True
        self._gone = False
        self._restacked = False  # since windows were last looked at
        self._newcomers: list[Any] = []
        self._covers: list[Region] = []  # other programs' windows above it, in pixels of the screen
        self._own: list[Any] = []  # the game's own above it, lowest first
        self._owner: int | None = None  # the process of the window that was found first, where any may be
        self._screen = (0, 0)
        self._ping, self._answered = [0, 0, 0], False  # the last one: its atom, its number, its window

    def find(self) -> int | None:
        """The id of the game's window, None if it is not there.

        Raises:
            WindowError: If there are several and nothing says which is the game's.
        """
        self._open()
        x = self._x
        found = self._matches(self._connection.screen().root, DEPTH)
        if self._owner is not None:  # another program's window is none that the game has made anew
            found = [match for match in found if pid_of(self._connection, match[0]) == self._owner]
        if not found:
            return None
        if self.is_ours is None and len(found) > 1:
            raise several(f"display {self.display}", self.title.pattern, [title for _, _, title in found])
        self.has_news()  # what it tells is older than this window, and may be of one that had the same number
        self._window = max(found, key=self._rank)[0]
        self._visible = self._mapped = self._viewable = self._restacked = True
        self._gone = self.superseded = self._told = False
        self._newcomers = []
        self._window.change_attributes(event_mask=x.VisibilityChangeMask | x.StructureNotifyMask)
        try:
            size = self._window.get_geometry()
            if self.is_ours is None:
                self._owner = pid_of(self._connection, self._window)
        except self._errors:  # it has just gone
            return None
        self._size = self._picture_size = size.width, size.height
        self._picture = self._window
        number: int = self._window.id
        return number

    def titles(self) -> list[str]:
        """The titles of all windows on the screen, for messages."""
        self._open()
        found = []
        for window in self._windows(self._connection.screen().root, DEPTH):
            with contextlib.suppress(*self._errors):
                if window.get_attributes().map_state == self._x.IsViewable:
                    found.append(title_of(self._connection, window))
        return list(filter(None, found))

    def screen(self) -> tuple[int, int]:
        """Width and height of the whole screen, all monitors together."""
        self._open()
        size = self._connection.screen().root.get_geometry()
        return size.width, size.height

    def state(self) -> WindowState:
        """Where the window is now.

        Raises:
            WindowError: If it is gone.
        """
        origin = self._origin_of_picture()
        # All that happened before that answer has been told before it; the rest needs no question, which takes 0.2 ms.
        self.has_news()
        if self._restacked and not self._gone:
            self._look_round()
            origin = self._origin_of_picture()
        if self._gone or origin is None:
            raise gone(self.title.pattern)
        region = Region(*origin, *self._picture_size)
        parts = [cover.intersect(region) for cover in self._covers]
        covers = tuple(part.shifted(-region.left, -region.top) for part in parts if part is not None)
        shown = self._mapped and self._viewable and self._visible is not None
        obscured = not shown or bool(covers) or not (self._visible or self._own)
        return WindowState(self._window.id, self._picture.id, region, obscured, shown, self._screen, covers)

    def has_news(self) -> bool:
        """Read what the X server has told meanwhile; True if windows came, went or moved. It asks nothing."""
        x, news = self._x, False
        while self._connection.pending_events():
            event = self._connection.next_event()
            if event.type == x.VisibilityNotify:
                self._visible, self._told = event.state == x.VisibilityUnobscured, True
            elif event.type in (x.MapNotify, x.UnmapNotify) and event.window == self._window:
                self._mapped = event.type == x.MapNotify
                if not self._mapped:
                    self._visible = None
            elif event.type == x.ConfigureNotify and event.window in (self._window, self._picture):
                if event.window == self._window and not event.send_event:
                    self._size = event.width, event.height
                if event.window == self._picture and not event.send_event:
                    self._picture_size = event.width, event.height
            elif event.type == x.ConfigureNotify and event.window == self._connection.screen().root:
                self._screen = event.width, event.height  # monitors came, went or changed their mode
            elif event.type == x.DestroyNotify and event.window == self._window:
                self._gone = True
            elif event.type == x.MapNotify:
                self._newcomers.append(event.window)
            elif event.type == x.ClientMessage:  # a window manager may ping it too
                self._answered |= list(event.data[1])[:3] == self._ping
            news |= event.type in self._arrangement
        self._restacked |= news
        return news

    def _look_round(self) -> None:
        """See what lies above the window; the X server has told that something there has changed."""
        self._restacked = False
        passing: tuple[type[Exception], ...] = (*self._errors, ValueError)
        try:
            self._find_covers()
        except passing:  # a window has just gone, or into a frame, which will be told, too
            self._covers, self._restacked = [Region(0, 0, *self._screen)], True  # until it is known what lies there
        newcomers, self._newcomers = self._newcomers, []
        if self.is_ours is not None:
            mine = self._rank((self._window, self._size, ""))
            found = [match for window in newcomers for match in self._nest(window, DEPTH)]
            self.superseded = any(match[0] != self._window and self._rank(match) > mine for match in found)

    def _find_covers(self) -> None:
        x, root = self._x, self._connection.screen().root
        self._viewable = self._window.get_attributes().map_state == x.IsViewable
        top = top_of(self._connection, self._window)
        stack = root.query_tree().children
        region = Region(*self._origin(self._window), *self._size)
        areas = {window: self._area(window) for window in stack[stack.index(top) + 1 :]}
        # Whose the others are need not be known, which takes a while to find out.
        above = [window for window, area in areas.items() if area is not None and area.intersect(region)]
        self._own = [window for window in above if self._is_own(window)]
        over = self._find_picture(region, areas)
        if over is not None:  # what lies below it covers nothing
            region = Region(*self._origin(self._picture), *self._picture_size)
            higher = stack[stack.index(over) + 1 :]
            above = [window for window in higher if (area := areas[window]) and area.intersect(region)]
        foreign = [window for window in above if window not in self._own]
        composited = foreign and self._connection.get_selection_owner(self._atom("_NET_WM_CM_S0"))
        if composited:
            foreign = [window for window in foreign if not self._is_overlay(window, composited)]
        elif self._visible and self._told:  # what lies there has holes where this window is
            foreign = []
        self._covers = [area for window in foreign if (area := areas[window]) is not None]

    def _find_picture(self, region: Region, areas: dict[Any, Region | None]) -> Any:
        """Find out in which window the game is drawn; return the one on the screen that holds it, None for the titled.

        SDL 1.2 shows a fullscreen game in the middle of a window that lies over all of the screen and has no title.
        """
        screen = Region(0, 0, *self._screen)
        self._picture, self._picture_size = self._window, self._size
        for over in reversed(self._own):
            area = areas[over]
            if area is None or area.intersect(region) != region.intersect(screen):
                continue
            drawn = [window for window in self._windows(over, 2) if self._has_size(window, self._size)]
            if over.get_attributes().override_redirect and (drawn or area.intersect(screen) == screen):
                self._picture = drawn[-1] if drawn else over
                size = self._picture.get_geometry()
                self._picture_size = size.width, size.height
                self._picture.change_attributes(event_mask=self._x.StructureNotifyMask)
                return over
        return None

    def restore(self, width: int, height: int) -> None:
        """Show the window, give it its size back, and move it onto the screen if it sticks out."""
        root = self._connection.screen().root.get_geometry()
        with contextlib.suppress(*self._errors):
            self._window.map()
            region = self.state().region
            if self._picture is not self._window:
                return  # a fullscreen window is where it must be
            if (region.width, region.height) != (width, height):
                unmaximise(self._connection, self._window)
                self._window.configure(width=width, height=height)
            fits = width <= root.width and height <= root.height
            inside = 0 <= region.left <= root.width - width and 0 <= region.top <= root.height - height
            if fits and not inside:
                border = self._window.get_geometry().border_width  # which may stick out: it is no part of the picture
                self._window.configure(x=-border, y=-border)
        self._connection.sync()

    def focus(self) -> None:
        """Show the window, put it in front and give it the focus, through the window manager if there is one.

        The game's own windows that lie above it stay there: SDL 1.2 shows a fullscreen game in one without a title.
        """
        x = self._x
        self._look_round()
        # Source 2, a pager: window managers ignore a program that pushes itself forward.
        managed = ask_manager(self._connection, self._window, "_NET_ACTIVE_WINDOW", 2)
        with contextlib.suppress(*self._errors):  # not viewable yet
            for window in self._own:
                window.configure(stack_mode=x.Above)
            if not managed:
                self._window.map()
                if self._own:
                    self._window.configure(sibling=self._own[0], stack_mode=x.Below)
                else:
                    self._window.configure(stack_mode=x.Above)
                self._connection.sync()
                self._connection.set_input_focus(self._window, x.RevertToPointerRoot, x.CurrentTime)
        self._connection.sync()

    def pid(self) -> int | None:
        """The window's process, if it is known."""
        return pid_of(self._connection, self._window)

    def answers(self, timeout: float) -> bool:
        """False if the window's program says that it answers to pings (_NET_WM_PING), and does not in ``timeout``."""
        x = self._x
        ping, protocols = self._atom("_NET_WM_PING"), self._atom("WM_PROTOCOLS")
        known = self._window.get_full_property(protocols, x.AnyPropertyType)
        if known is None or ping not in known.value:
            return True
        self._ping, self._answered = [ping, self._ping[1] + 1, self._window.id], False
        protocol = import_extra("Xlib.protocol.event", extra="screen", needed_by="a live game")
        # The answer is the same message, sent to the root.
        event = protocol.ClientMessage(window=self._window, client_type=protocols, data=(32, [*self._ping, 0, 0]))
        self._window.send_event(event, event_mask=x.NoEventMask)
        deadline = time.monotonic() + timeout
        while self.state() and not self._answered and time.monotonic() < deadline:
            time.sleep(0.002)
        return self._answered

    def is_managed(self) -> bool:
        """True once a window manager is at work: it shows a window of ours that asks to be shown.

        A property on the root says earlier that there is one, but what asks while openbox still starts it forgets.
        """
        self._open()
        root = self._connection.screen().root
        if root.get_full_property(self._atom("_NET_SUPPORTING_WM_CHECK"), self._x.AnyPropertyType) is None:
            return False
        probe = root.create_window(0, 0, 1, 1, 0, self._x.CopyFromParent)
        probe.map()
        deadline = time.monotonic() + 0.1
        shown = False
        while not shown and time.monotonic() < deadline:
            time.sleep(0.002)
            shown = bool(probe.get_attributes().map_state == self._x.IsViewable)
        probe.destroy()
        self._connection.sync()
        return shown

    def close(self) -> None:
        """Close the connection; may be called twice, and the server may be gone."""
        connection, self._connection = self._connection, None
        with contextlib.suppress(Exception):
            if connection is not None:
                connection.close()

    def _open(self) -> None:
        if self._connection is None:
            self._x = import_extra("Xlib.X", extra="screen", needed_by="a live game")
            display = import_extra("Xlib.display", extra="screen", needed_by="a live game")
            self._errors: tuple[type[Exception], ...] = (
                import_extra("Xlib.error", extra="screen", needed_by="a live game").XError,
            )
            self._connection = display.Display(self.display)
            # An error to a request without a reply (its window has just gone) would be printed.
            self._connection.set_error_handler(lambda *details: None)
            self._state = self._atom("WM_STATE")
            x = self._x
            self._arrangement = {x.MapNotify, x.UnmapNotify, x.ConfigureNotify, x.CirculateNotify, x.ReparentNotify,
                                 x.DestroyNotify, x.VisibilityNotify}  # fmt: skip
            root = self._connection.screen().root
            root.change_attributes(event_mask=x.StructureNotifyMask | x.SubstructureNotifyMask)
            size = root.get_geometry()
            self._screen = size.width, size.height

    def _atom(self, name: str) -> int:
        number: int = self._connection.get_atom(name)
        return number

    def _windows(self, window: Any, depth: int) -> Iterator[Any]:
        with contextlib.suppress(*self._errors):
            for child in window.query_tree().children:
                yield child
                if depth:
                    yield from self._windows(child, depth - 1)

    def _has_size(self, window: Any, size: tuple[int, int]) -> bool:
        area = self._area(window)
        return area is not None and (area.width, area.height) == size

    def _origin_of_picture(self) -> tuple[int, int] | None:
        """None if that window is gone."""
        with contextlib.suppress(*self._errors):
            return self._origin(self._picture)
        self._restacked, self._gone = True, self._picture is self._window  # else it was but a fullscreen one
        return None

    def _origin(self, window: Any) -> tuple[int, int]:
        """Where the left upper corner of a window is on the screen."""
        place = self._connection.screen().root.translate_coords(window, 0, 0)
        return place.x, place.y

    def _area(self, window: Any) -> Region | None:
        with contextlib.suppress(*self._errors):
            return area_of(window)
        return None

    def _is_own(self, window: Any) -> bool:
        """Whether a window on the screen is the game's, by its client or by its process."""
        # Of a frame, what counts is the window in it.
        state = (self._state, self._x.AnyPropertyType, 0, 1)
        inner = next((child for child in self._windows(window, 2) if child.get_property(*state)), window)
        one = of_one_client(self._connection, inner, self._window)
        return one or bool(self.is_ours and self.is_ours(pid_of(self._connection, inner)))

    def _is_overlay(self, window: Any, composited: Any) -> bool:
        """Whether it is what a compositor draws the whole screen into, and so no window over others."""
        area = window.get_geometry()
        theirs = all(of_one_client(self._connection, w, composited) for w in (window, *self._windows(window, 2)))
        return theirs and area.width >= self._screen[0] and area.height >= self._screen[1]

    def _rank(self, match: tuple[Any, tuple[int, int], str]) -> tuple[bool, int]:
        return fit(match[1], self.size)

    def _matches(self, window: Any, depth: int) -> list[tuple[Any, tuple[int, int], str]]:
        """Windows below this one that may be the game's, with their sizes and titles; one of each nest."""
        return [match for child in self._windows(window, 0) for match in self._nest(child, depth)]

    def _nest(self, window: Any, depth: int) -> list[tuple[Any, tuple[int, int], str]]:
        """The same of a window and all below it."""
        inner = self._matches(window, depth - 1) if depth else []
        with contextlib.suppress(*self._errors):  # one that has just gone
            # A frame that repeats the title of the window in it is the manager's, not the game's.
            if not any(match.get_property(self._state, self._x.AnyPropertyType, 0, 1) for match, _, _ in inner):
                # Each question takes a while on a busy machine, so what rules most windows out comes first.
                viewable = window.get_attributes().map_state == self._x.IsViewable
                title = title_of(self._connection, window) if viewable else ""
                fits = viewable and self.title.search(title) and not self._is_splash(window)
                if fits and (not self.is_ours or self.is_ours(pid_of(self._connection, window))):
                    size = window.get_geometry()
                    inner = [(window, (size.width, size.height), title)]
        return inner

    def _is_splash(self, window: Any) -> bool:
        said = window.get_full_property(self._atom("_NET_WM_WINDOW_TYPE"), self._x.AnyPropertyType)
        return said is not None and self._atom("_NET_WM_WINDOW_TYPE_SPLASH") in said.value
