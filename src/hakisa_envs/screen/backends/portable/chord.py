"""Hears Ctrl+Shift+F12, whoever has the focus, through pynput."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hakisa_envs.screen.backends.portable.device import pynput
from hakisa_envs.screen.errors import InputError

RECENT_S = 0.5


def start_listener(kind: Any, **callbacks: Callable[..., None]) -> Any:
    """Start a listener of pynput's and wait until it hears.

    Later it ends without a word, where pynput's own raises in its thread: `is_alive` tells. On X11 one that was stopped
    ends with the next event, or with the server.

    Args:
        kind: ``pynput.keyboard.Listener`` or ``pynput.mouse.Listener``.
        callbacks: As pynput names them. One that raises ends the listener.

    Raises:
        InputError: If it cannot listen: an X server without the extension RECORD, say.
    """

    class Listener(kind):  # type: ignore[misc]
        error: Exception | None = None

        def run(self) -> None:
            try:
                super().run()
            except Exception as error:
                self.error = error
            finally:
                self._mark_ready()  # pynput's wait() would never return where its thread ended before it could listen

    listener = Listener(**callbacks)
    listener.start()
    listener.wait()
    if listener.error is not None:
        raise InputError(f"Nobody can listen to keyboard and mouse on this desktop ({listener.error!r}).")
    return listener


class Chord:
    """Ctrl and Shift with another key, as they are heard.

    Args:
        recent_s: A modifier counts so long after it went up.
    """

    def __init__(self, recent_s: float = 0.0) -> None:
        self._recent_s = recent_s
        key = pynput("keyboard").Key
        self._modifiers = ({key.ctrl, key.ctrl_l, key.ctrl_r}, {key.shift, key.shift_l, key.shift_r})
        self._down: set[Any] = set()
        self._last_up = [0.0, 0.0]

    def hear(self, pressed: bool, key: Any) -> bool:
        """Take note of a key; True if it went down while the modifiers count."""
        if pressed:
            repeated = key in self._down
            self._down.add(key)
            return not repeated and self._modifiers_count()
        self._down.discard(key)
        now = time.monotonic()
        self._last_up = [
            now if key in keys else last for last, keys in zip(self._last_up, self._modifiers, strict=True)
        ]
        return False

    def _modifiers_count(self) -> bool:
        now = time.monotonic()
        return all(
            keys & self._down or (last and now - last < self._recent_s)
            for last, keys in zip(self._last_up, self._modifiers, strict=True)
        )


class KillChord:
    """Listens in a thread of pynput's.

    The modifiers are heard generously: the env may tap Ctrl itself, and its release lets go of a Ctrl that the person
    holds.

    Args:
        heard: Called in that thread when the chord is pressed.
    """

    def __init__(self, heard: Callable[[], None]) -> None:
        keyboard = pynput("keyboard")
        self._chord, self._last = Chord(RECENT_S), keyboard.Key.f12
        self._heard = heard
        # A listener whose callback raises stops, so these do next to nothing.
        self._listener = start_listener(keyboard.Listener, on_press=self._on_press, on_release=self._on_release)

    @property
    def is_alive(self) -> bool:
        """Whether it still listens."""
        return bool(self._listener.is_alive())

    def close(self) -> None:
        """Stop listening."""
        self._listener.stop()

    def _on_press(self, key: Any, injected: bool = False) -> None:
        if self._chord.hear(True, key) and key == self._last:
            self._heard()

    def _on_release(self, key: Any, injected: bool = False) -> None:
        self._chord.hear(False, key)
