"""The one place that knows mss."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.image import Pixels, pad
from hakisa_envs.screen.region import Region


@dataclass(frozen=True)
class Frame:
    """One grab.

    Attributes:
        pixels: uint8 ``[height, width, 4]``, BGRA; nobody else writes to it. Outside the screen it is 0.
        t_grab_ns: When the grab began (`time.monotonic_ns`); what is shown is at least this new.
        grab_ns: How long it took.
        visible: The part of it that lay on the screen, in its own coordinates; None if nothing did.
    """

    pixels: Pixels
    t_grab_ns: int
    grab_ns: int
    visible: Region | None

    @property
    def clipped(self) -> bool:
        """True if part of the region lay outside the screen."""
        height, width = self.pixels.shape[:2]
        return self.visible != Region(0, 0, width, height)


class Capture:
    """Grabs regions of one screen. Used in one thread; nothing is opened before the first `grab`.

    Args:
        display: The name of an X display, such as ``":7"``.
        grabber: What opens an ``mss.MSS``; default: one of that display.
    """

    def __init__(self, display: str, grabber: Callable[[], Any] | None = None) -> None:
        self.display = display
        self._grabber = grabber or self._grabber_of_display
        self._mss: Any = None
        self._screen = Region(0, 0, 0, 0)

    @property
    def performance_status(self) -> str:
        """What mss says about the speed of the path that it took."""
        return "" if self._mss is None else " ".join(self._mss.performance_status)

    def grab(self, region: Region) -> Frame:
        """Grab ``region`` of the screen, now; it may lie partly or wholly outside.

        Raises:
            Exception: Whatever mss raises when the server is gone.
        """
        if self._mss is not None:
            try:
                return self._grab(region)
            except Exception:
                # The screen's size may have changed, and mss holds on to the old one: open it anew, once.
                self.close()
        self._open()
        return self._grab(region)

    def close(self) -> None:
        """Close the connection; may be called twice."""
        # Once only: where the server is gone, mss 10.2 raises, and frees its memory again in a second close.
        mss, self._mss = self._mss, None
        with contextlib.suppress(Exception):
            if mss is not None:
                mss.close()

    def _open(self) -> None:
        self._mss = self._grabber()
        screen = self._mss.monitors[0]
        self._screen = Region(screen["left"], screen["top"], screen["width"], screen["height"])

    def _grabber_of_display(self) -> Any:
        return import_extra("mss", extra="screen", needed_by="a live game").MSS(display=self.display)

    def _grab(self, region: Region) -> Frame:
        start = time.monotonic_ns()
        part = region.intersect(self._screen)
        # mss raises for a region that sticks out.
        if part is None:
            pixels = np.zeros((region.height, region.width, 4), np.uint8)
        else:
            monitor = {"left": part.left, "top": part.top, "width": part.width, "height": part.height}
            pixels = np.asarray(self._mss.grab(monitor))  # mss fills a fresh buffer on every grab
            if part != region:
                pixels = pad(pixels, part, region)
        visible = None if part is None else part.shifted(-region.left, -region.top)
        return Frame(pixels, start, time.monotonic_ns() - start, visible)
