"""The connection to an input server of the portable back end: two pipes."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from concurrent.futures import Future
from typing import Any, BinaryIO

from hakisa_envs.screen.backends.portable.server import SERVER
from hakisa_envs.screen.input.boot import server_command, server_environment

# Windows only. Else a Ctrl+C in the terminal, which is the trainer's to handle, would reach the server as well,
# and so would the end of the terminal.
OWN_CONSOLE = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


class PipeLink:
    """Starts `hakisa_envs.screen.backends.portable.server`; see `hakisa_envs.screen.input.client.Link`.

    Attributes:
        killed: Somebody has pressed the kill chord.
    """

    def __init__(self) -> None:
        self.killed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[tuple[bytes, Future[None]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self, config: dict[str, Any]) -> None:
        """Start a server and return at once."""
        words = json.dumps({**config, "killed": self.killed})
        process = self._process = subprocess.Popen(
            server_command(SERVER, "guardian", str(os.getpid()), words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=server_environment(),
            start_new_session=True,  # the same on other systems
            creationflags=OWN_CONSOLE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._replies, self._requests = queue.SimpleQueue(), queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=target, args=arguments, name=name, daemon=True)
            for name, target, arguments in (
                ("hakisa-replies", self._read, (process.stdout, self._replies)),
                ("hakisa-requests", _write, (process.stdin, self._requests)),
            )
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_open(self) -> bool:
        """True from `start` until `end`."""
        return self._process is not None

    def send(self, message: bytes, timeout: float) -> None:
        """Send a message, in another thread: a pipe to a server that does not read fills up, and blocks who writes."""
        written: Future[None] = Future()
        self._requests.put((message, written))
        written.result(timeout)

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
        self._requests.put(None)
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended; macOS says so by the second
                os.killpg(process.pid, signal.SIGCONT)  # one that was stopped lets go only once it goes on
        try:
            process.wait(timeout=wait)
        except subprocess.TimeoutExpired:
            # Alone it lets go of its keys as soon as the window system goes on. Killed, it would leave them down.
            threading.Thread(target=process.wait, name="hakisa-input-end", daemon=True).start()
            return
        for thread in self._threads:
            thread.join(wait)

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


def _write(to: BinaryIO, requests: queue.SimpleQueue[tuple[bytes, Future[None]] | None]) -> None:
    with contextlib.suppress(OSError), to:  # where the server has ended, what is still to be written is lost
        while (request := requests.get()) is not None:
            message, written = request
            try:
                to.write(message + b"\n")
                to.flush()
            except OSError as error:  # Windows says EINVAL of a broken pipe
                written.set_exception(ConnectionError(f"the input server has ended ({error!r})"))
            else:
                written.set_result(None)
