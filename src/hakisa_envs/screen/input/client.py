"""The trainer's side of the input server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hakisa_envs.screen.backends.protocols import START_S
from hakisa_envs.screen.errors import InputError

if TYPE_CHECKING:
    from hakisa_envs.screen.processes import Keeper

Command = Sequence[Any]
"""A verb and its arguments: ``("tap", key[, ms])``, ``("hold", key)``, ``("release", key)``, ``("move", x, y)``,
``("move_by", dx, dy)``, ``("wheel", notches)``. Buttons are the keys ``"button1"`` to ``"button3"``."""


@dataclass(frozen=True)
class Report:
    """What the server says after a request.

    Attributes:
        t_ns: When it took the request up (`time.monotonic_ns`).
        held: Names of keys and buttons that are down, those of running taps too.
        focused: A key pressed now would have gone to the game.
        pressed: Presses, moves and turns since the last report.
        refused: Those that were not done because something else than the game would have got them.
        dropped: Those that came too late, or were one tap too many.
        released: Why everything was let go since the last report, such as ``"lease expired"``.
        record: In a dry run, what would have been done.
    """

    t_ns: int
    held: tuple[str, ...]
    focused: bool
    killed: bool
    pressed: int
    refused: int
    dropped: int
    released: tuple[str, ...]
    record: tuple[tuple[Any, ...], ...] = ()


class Link(Protocol):
    """Starts a server and carries messages to it and back.

    Attributes:
        killed: Somebody has pressed the kill chord, of which this server or one before it knew.
    """

    def start(self, config: dict[str, Any]) -> None:
        """Start a server and return at once."""

    def send(self, message: bytes, timeout: float) -> None:
        """Send it; a ConnectionError if the server has ended, a TimeoutError if it does not read."""

    def receive(self, timeout: float) -> bytes:
        """The next message, empty if the server has ended; a TimeoutError after ``timeout`` seconds."""

    def end(self, wait: float) -> None:
        """Close the connection, by which the server ends, and wait for that; without one: nothing."""

    def close(self) -> None:
        """Close what outlives a server."""

    @property
    def is_open(self) -> bool:
        """True from `start` until `end`."""

    @property
    def killed(self) -> bool: ...


class InputClient:
    """Starts an input server and asks it to press. Used by one thread at a time.

    Args:
        display: Name of the display; None for a dry run, in which nothing is pressed anywhere.
        names: Keys and buttons that may be pressed.
        timeout: Seconds to wait for an answer.
        mends: The display was started by the env, so that its next `reset` starts another where this one is gone.
        keeper: A process beside the server's two, which continues what a guardian that has died leaves stopped.
        guard: False leaves keys down after a death. For the test which shows that the guard is needed.
        link: What starts servers and talks to them. Default: that of X11.
        keyboard: In a dry run, the display whose keys `set_repeat` is about; None: it is about none.

    Attributes:
        restarts: How often a server that had died was replaced.
        killed: Once it is closed: somebody had pressed the kill chord, whether a report said so or not.
    """

    def __init__(
        self,
        display: str | None,
        names: Iterable[str],
        *,
        timeout: float = 1.0,
        keeper: Keeper | None = None,
        guard: bool = True,
        mends: bool = False,
        link: Link | None = None,
        keyboard: str | None = None,
    ) -> None:
        self.display = display
        self.names = sorted(set(names))
        self.timeout = timeout
        self.restarts = 0
        self.killed = False
        self.pid = 0
        if link is None:
            from hakisa_envs.screen.input.link import SocketLink  # it rests on Linux

            link = SocketLink(keeper)
        self._link = link
        self._guard = guard
        self._fix = (
            "The next reset() starts another."
            if mends
            else f"If display {display} is gone, start it again or name another; else call reset()."
        )
        self._keyboard = keyboard
        self._target = (0, 0)
        self._repeats = True
        self._count = 0

    def start(self) -> None:
        """Start the server and return at once; `wait_ready` waits for it."""
        told = {"display": self.display, "names": self.names, "guard": self._guard, "keyboard": self._keyboard}
        self._link.start(told)

    def wait_ready(self, timeout: float = START_S) -> None:
        """Wait until the server can press.

        Raises:
            InputError: If it cannot: a key that is not on the layout, a display that is not there.
        """
        try:
            data = self._link.receive(timeout)
        except OSError as error:
            raise InputError(f"The input server did not start within {timeout:g} s ({error!r}).") from error
        reply: dict[str, Any] = json.loads(data) if data else {"error": "The input server ended at once."}
        if "error" in reply:
            raise InputError(reply["error"], reply.get("key", ""))
        self.pid = reply["ready"]

    def set_target(self, window: int, picture: int = 0) -> Report:
        """Press in this window only, given by its X id; 0 for none. Releases everything.

        The game may be drawn in another one, ``picture``, to which places of the pointer are relative then.
        """
        self._target = (window, picture)
        return self._request({"op": "target", "window": window, "picture": picture})

    def act(self, commands: Iterable[Command], lease: float) -> Report:
        """Do commands, and keep what is held down for ``lease`` seconds from now; later they are not done at all."""
        expires = time.monotonic_ns() + round(lease * 1e9)
        return self._request({"op": "act", "commands": [list(command) for command in commands], "expires": expires})

    def release_all(self) -> Report:
        """Let go of everything, now."""
        return self._request({"op": "release"})

    def set_repeat(self, on: bool) -> Report:
        """Whether held keys repeat, whoever holds them; at the server's end, however it comes, they do again."""
        self._repeats = on
        return self._request({"op": "repeat", "on": on})

    def report(self) -> Report:
        """Ask how things stand; renews no lease."""
        return self._request({"op": "report"})

    def close(self, wait: float = 2.0) -> None:
        """Let go of everything and end the server, waiting ``wait`` seconds for its end; may be called twice."""
        self._link.end(wait)
        self.killed |= self._link.killed
        self._link.close()

    def _request(self, request: dict[str, Any]) -> Report:
        if not self._link.is_open:
            raise InputError("The input server is not running; call reset().")
        try:
            reply = self._exchange(request)
        except (ConnectionError, BrokenPipeError):
            reply = None
        if reply is None:
            try:
                self._restart()
            except InputError as error:
                raise InputError(f"The input server ended and cannot be replaced: {error} {self._fix}") from error
            reply = self._exchange(request)
        if reply is None:
            raise InputError(f"The input server ended twice in a row. {self._fix}")
        if "error" in reply:
            raise InputError(f"The input server gave up: {reply['error']} {self._fix}")
        reply.pop("id")
        for name in ("held", "released"):
            reply[name] = tuple(reply[name])
        reply["record"] = tuple(tuple(act) for act in reply.get("record", ()))
        return Report(**reply)

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Send and wait; None if the server has ended."""
        self._count += 1
        try:
            self._link.send(json.dumps({"id": self._count, **request}).encode(), self.timeout)
            while data := self._link.receive(self.timeout):
                reply: dict[str, Any] = json.loads(data)
                # An answer that came too late for its own question is skipped.
                if reply.get("id") == self._count or "error" in reply:
                    return reply
            return None
        except TimeoutError as error:
            raise InputError(
                f"The input server did not answer {request['op']!r} within {self.timeout:g} s: is the window "
                "system stopped? Call reset()."
            ) from error

    def _restart(self) -> None:
        """Start another server, whose first act is to release what the dead one left down."""
        self._link.end(self.timeout)
        self.restarts += 1
        self.start()
        self.wait_ready(max(START_S, self.timeout))
        window, picture = self._target
        if window:
            self._exchange({"op": "target", "window": window, "picture": picture})
        if not self._repeats:
            self._exchange({"op": "repeat", "on": False})
