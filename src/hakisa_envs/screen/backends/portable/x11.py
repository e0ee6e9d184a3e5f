"""X11 as the portable back end sees it: the least that python-xlib is needed for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.backends.environment import x11_environment
from hakisa_envs.screen.backends.portable.system import DesktopWindow, Sight
from hakisa_envs.screen.display import check_display
from hakisa_envs.screen.errors import DisplayError
from hakisa_envs.screen.input.keys import Contact, resolve
from hakisa_envs.screen.input.sign import RecordingSign
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.xwindows import (
    DEPTH,
    area_of,
    ask_manager,
    is_in,
    of_one_client,
    pid_of,
    title_of,
    top_of,
    unmaximise,
)

LEVELS = 4  # columns of the keyboard map of which pynput tells


def x_library(module: str) -> Any:
    """A module of python-xlib."""
    return import_extra(module, extra="portable", needed_by="backend='portable'")


class X11System:
    """X11 on Linux."""

    name = "X11"
    untested = ""

    def prepare(self) -> None:
        """Say at once if there is no desktop.

        Raises:
            DisplayError: If DISPLAY is not set.
        """
        if not os.environ.get("DISPLAY"):
            raise DisplayError("backend='portable' plays on your desktop and needs DISPLAY, which is not set.")

    def check(self, timeout: float) -> None:
        """As on the other back end: it must answer, be no Wayland desktop, and have the colours and extensions."""
        check_display(os.environ["DISPLAY"], timeout)

    def missing_permissions(self, press: bool, listen: bool = False) -> list[str]:
        """X11 asks for none."""
        return []

    def desktop_name(self) -> str:
        """What DISPLAY says."""
        return os.environ["DISPLAY"]

    def environment(self, home: Path) -> dict[str, str]:
        """As on the other back end."""
        return x11_environment(home, os.environ["DISPLAY"])

    def grabber(self) -> Any:
        """From shared memory, if that can be."""
        return x_library("mss").MSS(display=os.environ["DISPLAY"])

    def sign(self) -> RecordingSign:
        """As on the other back end."""
        return RecordingSign(os.environ["DISPLAY"])

    def desktop(self) -> X11Desktop:
        """The windows of the display that DISPLAY names."""
        return X11Desktop()

    def keys(self) -> X11Keys:
        """Its keyboard and mouse."""
        return X11Keys()


class X11Desktop:
    """See `hakisa_envs.screen.backends.portable.system.Desktop`."""

    def __init__(self) -> None:
        self._x = x_library("Xlib.X")
        self._errors: tuple[type[Exception], ...] = (x_library("Xlib.error").XError,)
        self._display: Any = x_library("Xlib.display").Display()
        # An error to a request without a reply (its window has just gone) would be printed.
        self._display.set_error_handler(lambda *details: None)
        self._root = self._display.screen().root
        self._root.change_attributes(event_mask=self._x.SubstructureNotifyMask | self._x.StructureNotifyMask)
        self._seen: dict[int, Sight] = {}  # while no window comes, goes or moves
        self._looked_at: set[int] = set()
        self._destroyed: set[int] = set()
        self._screen: Region | None = None  # and no monitor comes, goes or changes its mode

    def windows(self) -> list[DesktopWindow]:
        """All that show and have a title, the frontmost first."""
        return list(self._below(self._root, DEPTH))

    def look(self, window: int) -> Sight | None:
        """A window as it is now."""
        it = self._display.create_resource_object("window", window)
        with contextlib.suppress(*self._errors):
            self._root.translate_coords(it, 0, 0)  # all that happened before its answer has been told before it
            self._forget_what_changed()
            self._looked_at.add(window)
            if window not in self._seen:
                it.change_attributes(event_mask=self._x.StructureNotifyMask)
                region = self._region(it)
                shown = it.get_attributes().map_state == self._x.IsViewable
                self._seen[window] = Sight(region, shown, tuple(self._above(it, region)) if shown else ())
            return self._seen[window]
        return None

    def was_destroyed(self, window: int) -> bool:
        """Programs may use the number of a window again, and some do at once."""
        self._forget_what_changed()
        destroyed = window in self._destroyed
        self._destroyed.discard(window)
        return destroyed

    def has_focus(self, window: int) -> bool:
        """By the window that has it, or one that holds that."""
        with contextlib.suppress(*self._errors):
            focus = self._display.get_input_focus().focus
            self._forget_what_changed()  # where nobody looks, events would only pile up
            if focus == self._x.PointerRoot:
                return self.is_under_pointer(window)
            return is_in(self._display, focus, self._display.create_resource_object("window", window))
        return False

    def has_lost_focus(self, window: int) -> bool:
        """Not while no window has it, and this one shows."""
        with contextlib.suppress(*self._errors):
            if self._display.get_input_focus().focus == self._x.PointerRoot:
                sight = self.look(window)
                return sight is None or not sight.shown
        return not self.has_focus(window)

    def is_under_pointer(self, window: int) -> bool:
        """By all windows below the pointer, from the outermost to the innermost."""
        with contextlib.suppress(*self._errors):
            pointer = self._root.query_pointer()
            it = pointer.child
            while it != self._x.NONE:
                if it.id == window:
                    return True
                it = it.translate_coords(self._root, pointer.root_x, pointer.root_y).child
        return False

    def screen(self) -> Region:
        """The root window."""
        self._forget_what_changed()
        if self._screen is None:
            size = self._root.get_geometry()
            self._screen = Region(0, 0, size.width, size.height)
        return self._screen

    def show(self, window: int, region: Region | None) -> None:
        """Map it, and ask for its place."""
        it = self._display.create_resource_object("window", window)
        with contextlib.suppress(*self._errors):
            it.map()
            if region is not None:
                now = self._region(it)
                if (now.width, now.height) != (region.width, region.height):
                    unmaximise(self._display, it)
                    it.configure(width=region.width, height=region.height)
                if (now.left, now.top) != (region.left, region.top):
                    border = it.get_geometry().border_width  # which is no part of the picture
                    it.configure(x=region.left - border, y=region.top - border)
        self._display.sync()

    def activate(self, window: int) -> None:
        """Ask the window manager, or do it where there is none."""
        it = self._display.create_resource_object("window", window)
        with contextlib.suppress(*self._errors):
            # Source 2, a pager: window managers ignore a program that pushes itself forward.
            if not ask_manager(self._display, it, "_NET_ACTIVE_WINDOW", 2):
                it.configure(stack_mode=self._x.Above)
                self._display.sync()
                self._display.set_input_focus(it, self._x.RevertToPointerRoot, self._x.CurrentTime)
        self._display.sync()

    def answers(self, window: int, timeout: float) -> bool:
        """It is not asked."""
        return True

    def close(self) -> None:
        """Close the connection, if the server still is there."""
        with contextlib.suppress(Exception):
            self._display.close()

    def _forget_what_changed(self) -> None:
        while self._display.pending_events():
            event = self._display.next_event()
            if event.type == self._x.DestroyNotify and event.window.id in self._looked_at:
                self._destroyed.add(event.window.id)
            self._seen.clear()
            self._screen = None

    def _region(self, window: Any) -> Region:
        place, size = self._root.translate_coords(window, 0, 0), window.get_geometry()
        return Region(place.x, place.y, size.width, size.height)

    def _below(self, window: Any, depth: int) -> Iterator[DesktopWindow]:
        with contextlib.suppress(*self._errors):
            for child in reversed(window.query_tree().children):
                found = None
                with contextlib.suppress(*self._errors):  # it has just gone
                    viewable = child.get_attributes().map_state == self._x.IsViewable  # which few windows are
                    title = title_of(self._display, child) if viewable else ""
                    if title:
                        found = DesktopWindow(child.id, title, pid_of(self._display, child), self._region(child))
                inner = list(self._below(child, depth - 1)) if depth else []
                # A frame that repeats the title of the window in it is the manager's.
                yield from inner or ([found] if found else [])

    def _above(self, window: Any, region: Region) -> Iterator[Region]:
        """Where windows of other programs lie over a window."""
        top = top_of(self._display, window)
        stack = self._root.query_tree().children
        for other in stack[stack.index(top) + 1 :] if top in stack else ():
            with contextlib.suppress(*self._errors):
                lies = None if of_one_client(self._display, other, window) else area_of(other)
                if lies is not None and lies.intersect(region) is not None:
                    yield lies


class X11Keys:
    """See `hakisa_envs.screen.backends.portable.system.Keys`. What pynput calls a virtual key is a keysym here."""

    def __init__(self) -> None:
        x_library("Xlib.ext.xtest")  # gives displays xtest_fake_input
        self._x = x_library("Xlib.X")
        self._display: Any = x_library("Xlib.display").Display()

    def contacts(self, names: Iterable[str]) -> dict[str, Contact]:
        """As the X11 back end finds them."""
        found = resolve(self._display, names)
        return {
            name: contact if contact.kind == "button" else replace(contact, code=self._keysym(contact.code, 0))
            for name, contact in found.items()
        }

    def key(self, contact: Contact) -> Any:
        """By keysym, which pynput sends through XTest."""
        return import_extra("pynput.keyboard", extra="portable", needed_by="backend='portable'").KeyCode.from_vk(
            contact.code
        )

    def heard(self, contacts: Iterable[Contact]) -> dict[int, str]:
        """By all that a key makes, with Shift and AltGr too: pynput tells what it made."""
        found: dict[int, str] = {}
        for contact in contacts:
            if contact.kind == "key":
                code = self._display.keysym_to_keycode(contact.code)
                levels = (self._keysym(code, level) for level in range(LEVELS))
                found |= {keysym: contact.name for keysym in levels if keysym and keysym not in found}
        return found

    def is_down(self, contact: Contact) -> bool:
        """As the server knows it."""
        if contact.kind == "button":
            return bool(self._display.screen().root.query_pointer().mask >> (7 + contact.code) & 1)
        byte, bit = divmod(self._display.keysym_to_keycode(contact.code), 8)
        return bool(self._display.query_keymap()[byte] >> bit & 1)

    def move_by(self, dx: int, dy: int) -> None:
        """By XTest, which pynput has for places only."""
        self._display.xtest_fake_input(self._x.MotionNotify, 1, x=dx, y=dy)
        self._display.sync()

    def close(self) -> None:
        """Close the connection, if the server still is there."""
        with contextlib.suppress(Exception):
            self._display.close()

    def _keysym(self, keycode: int, level: int) -> int:
        return int(self._display.keycode_to_keysym(keycode, level))
