"""An input device that presses nothing, for a dry run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.keys import Contact


class DryRunDevice:
    """Presses nothing and remembers what it would have done.

    Args:
        contacts: What it would press, by name.
        repeat: Turns repeats of a real keyboard off and on, where that is asked for: it presses nothing, and what a
            person does is to be recorded as an agent would do it. None: there is no such keyboard.

    Attributes:
        record: The last 1000 acts, oldest first.
        lacks: None: there is no keyboard that could lack a key.
    """

    def __init__(
        self, contacts: dict[str, Contact] | None = None, repeat: Callable[[bool], None] | None = None
    ) -> None:
        self.contacts = contacts or {}
        self._repeat = repeat
        self._repeats = True
        self.record: deque[tuple[Any, ...]] = deque(maxlen=1000)
        self.lacks: InputError | None = None

    def fileno(self) -> int | None:
        """There is nothing to wait for."""
        return None

    def set_target(self, window: int, picture: int = 0) -> None:
        """Remember the window."""
        self.record.append(("target", window))

    def watch(self) -> bool:
        """The focus is never lost."""
        return False

    def layout_changed(self) -> bool:
        """There is no layout."""
        return False

    def focused(self) -> bool:
        """As if the game always had the focus."""
        return True

    def press(self, contact: Contact) -> bool:
        """Record it."""
        self.record.append(("press", contact.name))
        return True

    def release(self, contact: Contact) -> None:
        """Record it."""
        self.record.append(("release", contact.name))

    def move(self, x: int, y: int) -> bool:
        """Record it."""
        self.record.append(("move", x, y))
        return True

    def move_by(self, dx: int, dy: int) -> bool:
        """Record it."""
        self.record.append(("move_by", dx, dy))
        return True

    def wheel(self, notches: int) -> bool:
        """Record it."""
        self.record.append(("wheel", notches))
        return True

    def set_repeat(self, on: bool) -> None:
        """Record it, and do it."""
        self.record.append(("repeat", on))
        if self._repeat is not None and on != self._repeats:
            self._repeats = on
            self._repeat(on)

    def sync(self) -> None:
        """Nothing is on its way."""

    def release_stale(self) -> None:
        """Nothing can be down."""

    def close(self) -> None:
        """Nothing is open."""
