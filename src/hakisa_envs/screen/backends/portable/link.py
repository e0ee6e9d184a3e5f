"""The connection to an input server of the portable back end: two pipes."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
from typing import Any, BinaryIO

from hakisa_envs.screen.backends.portable.server import SERVER
from hakisa_envs.screen.input.boot import server_command, server_environment


class PipeLink:
    """Starts `hakisa_envs.screen.backends.portable.server`; see `hakisa_envs.screen.input.client.Link`.

    Attributes:
        killed: Somebody has pressed the kill chord.
    """

    def __init__(self) -> None:
        self.killed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None

    def start(self, config: dict[str, Any]) -> None:
        """Start a server and return at once."""
        words = json.dumps({**config, "killed": self.killed})
        process = self._process = subprocess.Popen(
            server_command(SERVER, "guardian", str(os.getpid()), words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=server_environment(),
            start_new_session=True,  # a Ctrl+C in the terminal is the trainer's to handle
        )
        assert process.stdout is not None
        self._replies = queue.SimpleQueue()
        self._reader = threading.Thread(
            target=self._read, args=(process.stdout, self._replies), name="hakisa-replies", daemon=True
        )
        self._reader.start()

    @property
    def is_open(self) -> bool:
        """True from `start` until `end`."""
        return self._process is not None

    def send(self, message: bytes, timeout: float) -> None:
        """Send a message; a pipe holds more than a step ever asks, so it does not wait."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(message + b"\n")
        self._process.stdin.flush()

    def receive(self, timeout: float) -> bytes:
        """The next message; empty if the server has ended."""
        try:
            return self._replies.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError("no answer") from None

    def end(self, wait: float) -> None:
        """Close the connection, and wait for the server's end."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, and what was written to it is lost
            process.stdin.close()
        try:
            process.wait(timeout=wait)
        except subprocess.TimeoutExpired:
            # Alone it lets go of its keys as soon as the window system goes on. Killed, it would leave them down.
            threading.Thread(target=process.wait, name="hakisa-input-end", daemon=True).start()
            return
        assert self._reader is not None
        self._reader.join(wait)

    def close(self) -> None:
        """Nothing outlives a server."""

    def _read(self, replies: BinaryIO, to: queue.SimpleQueue[bytes]) -> None:
        with replies:
            for line in replies:
                if line.startswith(b'{"chord"'):
                    self.killed = True
                else:
                    to.put(line)
        to.put(b"")
