"""What a person was heard to do, whatever hears it: events in order, what is down, and chords with Ctrl and Shift."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Set
from typing import Any

from hakisa_envs.recording.events import PRESS, RELEASE, Event
from hakisa_envs.screen.errors import InputError


class Heard:
    """Filled by the thread that listens, and taken from by another.

    Args:
        what: Words for an error: what nobody does any more once the listener has ended.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._queue: deque[Event] = deque()
        self._down: set[str] = set()
        self._last_ns = 0

    @property
    def held(self) -> list[str]:
        """Names of what is down now."""
        return sorted(self._down.copy())  # another thread changes it

    def take(self, listens: bool, error: Exception | None) -> list[Event]:
        """What came since the last call, in order.

        Args:
            listens: Whether the listener is alive.
            error: Why it ended, if that is known.

        Raises:
            InputError: If it is not alive: what is recorded from now on would be without keys.
        """
        taken = []
        while self._queue:
            taken.append(self._queue.popleft())
        if not listens:
            raise InputError(f"Nobody {self._what} any more ({error!r}): the recording has to stop.")
        return taken

    def say(self, when: int, kind: str, name: str = "", place: tuple[int, int] | None = None, **more: Any) -> None:
        """Add an event, never older than the last: what was put in order stays so, whatever clock tells."""
        self._last_ns = max(self._last_ns, when)
        self._queue.append(Event(self._last_ns, kind, name, place, **more))

    def turn(self, when: int, name: str, down: bool, place: tuple[int, int] | None) -> None:
        """A key or button went down or up; no event where it was so before, as when a keyboard repeats."""
        if down != (name in self._down):
            (self._down.add if down else self._down.discard)(name)
            self.say(when, PRESS if down else RELEASE, name, place)

    def let_go(self, when: int) -> None:
        """Whatever is down goes up."""
        for name in self.held:
            self.turn(when, name, False, None)

    def forget(self) -> None:
        """Nothing is known of what is down any more; a gap says so."""
        self._down.clear()


class Chord:
    """Ctrl and Shift with another key.

    Args:
        modifiers: The keys that are Ctrl, and those that are Shift.
        recent_s: A modifier counts so long after it went up.
    """

    def __init__(self, *modifiers: Set[Hashable], recent_s: float = 0.0) -> None:
        self.modifiers = modifiers
        self._recent_s = recent_s
        self._down: set[Hashable] = set()
        self._last_up = [0.0] * len(modifiers)

    def hear(self, pressed: bool, key: Hashable) -> bool:
        """Take note of a key; True if it went down while the modifiers count."""
        if pressed:
            repeated = key in self._down
            self._down.add(key)
            return not repeated and self._modifiers_count()
        self._down.discard(key)
        now = time.monotonic()
        self._last_up = [now if key in keys else last for last, keys in zip(self._last_up, self.modifiers, strict=True)]
        return False

    def _modifiers_count(self) -> bool:
        now = time.monotonic()
        return all(
            keys & self._down or (last and now - last < self._recent_s)
            for last, keys in zip(self._last_up, self.modifiers, strict=True)
        )
