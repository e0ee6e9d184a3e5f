"""The trainer's side of the input server."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakisa_envs.screen.errors import InputError, ProcessError
from hakisa_envs.screen.processes import Keeper

# `python -m hakisa_envs.screen.input.server`, but without running hakisa_envs/__init__.py: importing Gymnasium would
# make up three quarters of the 0.4 s that a server takes to start, and keys may be down when one is replaced.
BOOT = """
import runpy, sys, types
package = types.ModuleType("hakisa_envs")
package.__path__ = [sys.argv.pop(1)]
sys.modules["hakisa_envs"] = package
runpy.run_module("hakisa_envs.screen.input.server", run_name="__main__")
"""
PACKAGE = Path(__file__).parents[2]

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


class InputClient:
    """Starts an input server and asks it to press. Used by one thread at a time.

    Args:
        display: Name of the display; None for a dry run, in which nothing is pressed anywhere.
        names: Keys and buttons that may be pressed.
        timeout: Seconds to wait for an answer.
        mends: The display was started by the env, so that its next `reset` starts another where this one is gone.
        keeper: A process beside the server's two, which continues what a guardian that has died leaves stopped.
        guard: False leaves keys down after a death. For the test which shows that the guard is needed.

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
    ) -> None:
        self.display = display
        self.names = sorted(set(names))
        self.timeout = timeout
        self.restarts = 0
        self.killed = False
        self.pid = 0
        self._keeper = keeper
        self._guard = guard
        self._fix = (
            "The next reset() starts another."
            if mends
            else f"If display {display} is gone, start it again or name another; else call reset()."
        )
        # Set by whoever hears the kill chord, and kept when a server is replaced.
        self._chord: int | None = None
        self._target = (0, 0)
        self._count = 0
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and return at once; `wait_ready` waits for it."""
        if self._chord is None:
            self._chord = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(self.timeout)
        trainer = os.pidfd_open(os.getpid())
        config = json.dumps({"display": self.display, "names": self.names, "guard": self._guard, "chord": self._chord})
        try:
            self._process = subprocess.Popen(
                # -P, and no empty path: not from the folder that the trainer happens to run in.
                [sys.executable, "-P", "-c", BOOT, str(PACKAGE), str(trainer), str(theirs.fileno()), config],
                pass_fds=[trainer, theirs.fileno(), self._chord],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
            )
        finally:
            os.close(trainer)
            theirs.close()
        self._socket = ours
        if self._keeper is not None:
            with contextlib.suppress(ProcessError):  # it was killed: two guard each other then
                self._keeper.wake_in_the_end(self._process.pid)

    def wait_ready(self, timeout: float = 10.0) -> None:
        """Wait until the server can press.

        Raises:
            InputError: If it cannot: a key that is not on the layout, a display that is not there.
        """
        assert self._socket is not None
        self._socket.settimeout(timeout)
        try:
            data = self._socket.recv(1 << 16)
        except OSError as error:
            raise InputError(f"The input server did not start within {timeout:g} s ({error!r}).") from error
        finally:
            self._socket.settimeout(self.timeout)
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
        return self._request({"op": "repeat", "on": on})

    def report(self) -> Report:
        """Ask how things stand; renews no lease."""
        return self._request({"op": "report"})

    def close(self, wait: float = 2.0) -> None:
        """Let go of everything and end the server, waiting ``wait`` seconds for its end; may be called twice."""
        self._end(wait)
        if self._chord is not None:
            self.killed = bool(select.select([self._chord], [], [], 0)[0])
            os.close(self._chord)
            self._chord = None

    def _end(self, wait: float) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGCONT)  # one that was stopped lets go only once it goes on
            try:
                self._process.wait(timeout=wait)
            except subprocess.TimeoutExpired:
                # It waits for an X server that is stopped, or for a slow machine. Killed, it would leave its keys down
                # when that goes on; alone, it lets go of them then, or ends with the server.
                threading.Thread(target=self._process.wait, name="hakisa-input-end", daemon=True).start()
            self._process = None

    def _request(self, request: dict[str, Any]) -> Report:
        if self._socket is None:
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
        assert self._socket is not None
        self._count += 1
        try:
            self._socket.send(json.dumps({"id": self._count, **request}).encode())
            while data := self._socket.recv(1 << 18):
                reply: dict[str, Any] = json.loads(data)
                # An answer that came too late for its own question is skipped.
                if reply.get("id") == self._count or "error" in reply:
                    return reply
            return None
        except TimeoutError as error:
            raise InputError(
                f"The input server did not answer {request['op']!r} within {self.timeout:g} s: is the X server "
                "stopped? Call reset()."
            ) from error

    def _restart(self) -> None:
        """Start another server, whose first act is to release what the dead one left down."""
        self._end(self.timeout)
        self.restarts += 1
        self.start()
        self.wait_ready(max(2.0, self.timeout))
        window, picture = self._target
        if window:
            self._exchange({"op": "target", "window": window, "picture": picture})
