"""Hears Ctrl+Shift+F12, whoever has the focus, through pynput."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hakisa_envs.screen.backends.portable.device import pynput
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.heard import Chord

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


def chord(recent_s: float = 0.0) -> Chord:
    """Ctrl and Shift with another key, as pynput calls them; they count ``recent_s`` seconds after they went up."""
    key = pynput("keyboard").Key
    return Chord({key.ctrl, key.ctrl_l, key.ctrl_r}, {key.shift, key.shift_l, key.shift_r}, recent_s=recent_s)


class KillChord:
    """Listens in a thread of pynput's.

    The modifiers are heard generously: the env may tap Ctrl itself, and its release lets go of a Ctrl that the person
    holds.

    Args:
        heard: Called in that thread when the chord is pressed.
    """

    def __init__(self, heard: Callable[[], None]) -> None:
        keyboard = pynput("keyboard")
        self._chord, self._last = chord(RECENT_S), keyboard.Key.f12
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
