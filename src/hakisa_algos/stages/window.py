"""A window of our own that shows an env and hears the keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hakisa_algos.errors import ConfigError, require
from hakisa_envs.recording.events import BAD, GAP, ON, PAUSE, PRESS, RELEASE, RESUME, Event

HEIGHT = 480  # that pictures are enlarged to, about


class Window:
    """Shows pictures and hears keys, through pygame; F9 pauses and goes on.

    Args:
        title: of the window; it says too when it is paused.
        keys: that are heard.
        log: is told of what is done.

    Attributes:
        closed: somebody has closed it.
        paused: what it shows should stand still.
        focused: what is typed goes to it.
        missed: it was paused, or the focus was elsewhere, since somebody has set this to False.

    Raises:
        ConfigError: a key that there is not.
        MissingExtraError: pygame is not installed.
    """

    def __init__(self, title: str, keys: set[str], log: Callable[[list[Event]], None] = lambda events: None) -> None:
        self._pygame: Any = require("pygame", "record")
        self._title, self._keys, self._tell = title, keys, log
        self._screen: Any = None
        self._zoom = 1
        self._down: list[str] = []
        self.closed = self.paused = self.focused = self.missed = False
        self._pygame.display.init()
        unknown = [key for key in keys if self._code(key) is None]
        if unknown:
            raise ConfigError(f"--keys: there is no key {unknown[0]!r}; names are 'left', 'space', 'return', 'a'")

    def _code(self, key: str) -> int | None:
        try:
            code: int = self._pygame.key.key_code(key)
        except ValueError:
            return None
        return code

    def open(self, picture: Any) -> None:
        """Opens it for pictures like this one, uint8 ``[height, width, 3]``, unless it is open.

        Raises:
            ConfigError: it is no picture.
        """
        if not isinstance(picture, np.ndarray) or picture.ndim != 3:
            raise ConfigError("the env gives no picture; it must be made with render_mode='rgb_array'")
        if self._screen is not None:
            return
        height, width = picture.shape[:2]
        self._zoom = max(1, round(HEIGHT / height))
        self._screen = self._pygame.display.set_mode((self._zoom * width, self._zoom * height))
        self._show_title()
        for event in self._pygame.event.get():
            self._hear(event, [])
        if not self.focused:
            self._log(GAP, "focus")

    def show(self, picture: Any) -> None:
        """A frame, uint8 ``[height, width, 3]``."""
        self.open(picture)
        large = picture.repeat(self._zoom, 0).repeat(self._zoom, 1)
        self._pygame.surfarray.blit_array(self._screen, large.swapaxes(0, 1))
        self._pygame.display.flip()

    def wait(self, until: float, pictures: Sequence[Any] = ()) -> list[str]:
        """Until then pictures are shown, one after the other, and keys are heard.

        Returns:
            The keys that are down in the end or went down since, as they were pressed.
        """
        pressed: list[str] = []
        shown, begin = -1, time.monotonic()
        each = max(until - begin, 1e-3) / max(len(pictures), 1)
        while True:
            due = min(int((time.monotonic() - begin) / each), len(pictures) - 1)
            if due > shown:  # what a slow machine is late with is left out, but never the last
                shown = due
                self.show(pictures[due])
            for event in self._pygame.event.get():
                self._hear(event, pressed)
            left = until - time.monotonic()
            if (left <= 0 and shown == len(pictures) - 1) or self.closed:
                return [*self._down, *(key for key in pressed if key not in self._down)]
            time.sleep(min(max(left, 0.0), 0.004))

    def _hear(self, event: Any, pressed: list[str]) -> None:
        pygame = self._pygame
        if event.type == pygame.QUIT:
            self.closed = True
        elif event.type in (pygame.WINDOWFOCUSLOST, pygame.WINDOWFOCUSGAINED):
            self._set_focus(event.type == pygame.WINDOWFOCUSGAINED)
        elif event.type in (pygame.KEYDOWN, pygame.KEYUP):
            name = pygame.key.name(event.key)
            if event.type == pygame.KEYDOWN and name == "f9":
                self.paused = not self.paused
                self.missed = True
                self._show_title()
                self._log(PAUSE if self.paused else RESUME, "")
            elif event.type == pygame.KEYDOWN and name == "f10":
                self._log(BAD, "")
            elif name in self._keys and event.type == pygame.KEYDOWN and name not in self._down:
                self._down.append(name)
                pressed.append(name)
                self._log(PRESS, name)
            elif name in self._down and event.type == pygame.KEYUP:
                self._let_go(name)

    def _set_focus(self, focused: bool) -> None:
        if focused == self.focused:
            return
        self.focused = focused
        if focused:
            self._log(ON, "")
            return
        self.missed = True
        for key in list(self._down):
            self._let_go(key)
        self._log(GAP, "focus")

    def _show_title(self) -> None:
        self._pygame.display.set_caption(f"{self._title} (paused; F9 goes on)" if self.paused else self._title)

    def _let_go(self, name: str) -> None:
        self._down.remove(name)
        self._log(RELEASE, name)

    def _log(self, kind: str, name: str) -> None:
        self._tell([Event(time.monotonic_ns(), kind, name)])

    def close(self) -> None:
        """The window is gone."""
        self._pygame.display.quit()
