"""The connection to an input server of X11: a socket, and pidfds by which all know of each other's death."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
from typing import Any

from hakisa_envs.screen.errors import ProcessError
from hakisa_envs.screen.input.boot import server_command, server_environment
from hakisa_envs.screen.processes import Keeper

SERVER = "hakisa_envs.screen.input.server"


class SocketLink:
    """Starts `hakisa_envs.screen.input.server`; see `hakisa_envs.screen.input.client.Link`.

    Args:
        keeper: As in `hakisa_envs.screen.input.client.InputClient`.
    """

    def __init__(self, keeper: Keeper | None) -> None:
        self._keeper = keeper
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        # Set by whoever hears the kill chord, and kept when a server is replaced.
        self._chord: int | None = None

    def start(self, config: dict[str, Any]) -> None:
        """Start a server and return at once."""
        if self._chord is None:
            self._chord = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        trainer = os.pidfd_open(os.getpid())
        words = json.dumps({**config, "chord": self._chord})
        try:
            self._process = subprocess.Popen(
                server_command(SERVER, str(trainer), str(theirs.fileno()), words),
                pass_fds=[trainer, theirs.fileno(), self._chord],
                stdin=subprocess.DEVNULL,
                env=server_environment(),
                start_new_session=True,
            )
        finally:
            os.close(trainer)
            theirs.close()
        self._socket = ours
        if self._keeper is not None:
            with contextlib.suppress(ProcessError):  # it was killed: two guard each other then
                self._keeper.wake_in_the_end(self._process.pid)

    @property
    def is_open(self) -> bool:
        """True from `start` until `end`."""
        return self._socket is not None

    @property
    def killed(self) -> bool:
        """Somebody has pressed the kill chord."""
        return self._chord is not None and bool(select.select([self._chord], [], [], 0)[0])

    def send(self, message: bytes, timeout: float) -> None:
        """Send a message."""
        assert self._socket is not None
        self._socket.settimeout(timeout)
        self._socket.send(message)

    def receive(self, timeout: float) -> bytes:
        """The next message; empty if the server has ended."""
        assert self._socket is not None
        self._socket.settimeout(timeout)
        return self._socket.recv(1 << 18)

    def end(self, wait: float) -> None:
        """Close the connection, and wait for the server's end."""
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

    def close(self) -> None:
        """Forget the kill chord; may be called twice."""
        if self._chord is not None:
            os.close(self._chord)
            self._chord = None
