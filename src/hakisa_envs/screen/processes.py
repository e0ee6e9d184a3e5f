"""The programs that an env launches, seen from the trainer: games, X servers, window managers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hakisa_envs.screen.backends.protocols import START_S
from hakisa_envs.screen.errors import ProcessError
from hakisa_envs.screen.keeper import FOLDER, MESSAGE_BYTES, descendants, processes


class Program:
    """A program that runs under a `Keeper`, together with everything that it starts itself."""

    def __init__(self, keeper: Keeper, pid: int, name: str) -> None:
        self.pid = pid
        self.name = name
        self._keeper = keeper

    def exit_code(self) -> int | None:
        """None while it runs, or what it started does; then its exit status, negative if a signal ended it."""
        code: int | None = self._keeper.request({"op": "alive", "pid": self.pid})["code"]
        return code

    def pause(self) -> None:
        """Stop it with SIGSTOP, and all that it started."""
        self._keeper.request({"op": "signal", "pid": self.pid, "number": int(signal.SIGSTOP)})

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._keeper.request({"op": "signal", "pid": self.pid, "number": int(signal.SIGCONT)})

    def stop(self) -> None:
        """End it and all that it started: SIGTERM, after half a second SIGKILL. Returns when they are gone."""
        self._keeper.request({"op": "stop", "pid": self.pid})


class Keeper:
    """A process that owns what the env launches; all of it is gone within 2 s of this process's death.

    Args:
        timeout: Seconds to wait for each answer.

    Raises:
        ProcessError: On a platform without pidfds, that is anything but Linux 5.3 or newer.
    """

    def __init__(self, timeout: float = START_S) -> None:
        if not hasattr(os, "pidfd_open"):
            raise ProcessError(
                "backend='x11' needs Linux 5.3 or newer (a pidfd guards what is launched), and this is "
                f"{sys.platform}: use backend='portable'."
            )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(timeout)
        pidfd = os.pidfd_open(os.getpid())
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(Path(__file__).with_name("keeper.py")),
                    str(pidfd),
                    str(theirs.fileno()),
                ],
                pass_fds=(pidfd, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl+C in the terminal is the trainer's to handle
            )
        finally:
            os.close(pidfd)
            theirs.close()
        self._socket: socket.socket | None = ours
        self._count = 0
        self._folders: list[Path] = []

    @property
    def pid(self) -> int:
        """Process id of the keeper itself."""
        return self._process.pid

    def launch(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: str | None = None,
        log: Path | None = None,
        fd: int | None = None,
    ) -> Program:
        """Start a program.

        Args:
            argv: Program and arguments; ``{fd}`` in them stands for ``fd``.
            environment: Its whole environment.
            folder: Its working directory; default: the trainer's.
            log: File that its output is appended to; default: it is thrown away.
            fd: A file descriptor that it inherits.

        Raises:
            ProcessError: If it could not be started.
        """
        request = {
            "op": "launch",
            "argv": list(argv),
            "env": dict(environment),
            "cwd": folder,
            "log": None if log is None else str(log),
        }
        reply = self.request(request, [] if fd is None else [fd])
        return Program(self, reply["pid"], argv[0])

    def launched(self, pid: int) -> bool:
        """Whether a process is one that was launched, or was started by one."""
        return pid in descendants({self.pid})

    def is_stopped(self, pid: int) -> bool:
        """Whether a process was stopped, as by SIGSTOP."""
        return processes().get(pid, (0, 0, ""))[2] == "T"

    def make_folder(self) -> Path:
        """A new folder among the temporary files, that is removed after everything has ended."""
        folder = Path(tempfile.mkdtemp(prefix=FOLDER))
        self.remove_in_the_end(folder)
        return folder

    def remove_in_the_end(self, folder: Path) -> None:
        """Let the keeper remove a folder after it has ended everything; if it is killed, `close` or the next does."""
        self._folders.append(folder)
        self.request({"op": "own", "folder": str(folder)})

    def wake_in_the_end(self, pid: int) -> None:
        """Let the keeper continue a process and its session when this one has died, should they be stopped then.

        Only the last one that was named. What it leaves in its session when it ends is continued at once.
        """
        fd = os.pidfd_open(pid)
        try:
            self.request({"op": "wake", "pid": pid}, [fd])
        finally:
            os.close(fd)

    def request(self, request: dict[str, Any], fds: Sequence[int] = ()) -> dict[str, Any]:
        """Ask the keeper process something and wait for its answer.

        Raises:
            ProcessError: If it does not answer in time, is gone, or could not do it.
        """
        if self._socket is None:
            raise ProcessError("The env is closed, and with it everything that it launched; call reset().")
        self._count += 1
        message = json.dumps({"id": self._count, **request}).encode()
        if len(message) > MESSAGE_BYTES:
            raise ProcessError(
                f"{request['op']!r} takes {len(message)} bytes, and the process that owns the launched programs reads "
                f"{MESSAGE_BYTES}: a command or an environment is too long."
            )
        try:
            socket.send_fds(self._socket, [message], list(fds))
            reply: dict[str, Any] = {}
            while reply.get("id") != self._count:  # an answer that came too late for its question is skipped
                data = self._socket.recv(1 << 17)
                if not data:
                    raise ConnectionResetError("its socket is closed")
                reply = json.loads(data)
        except OSError as error:
            raise ProcessError(
                f"The process that owns the launched programs did not answer {request['op']!r} ({error!r}). "
                "Close the env and call reset()."
            ) from error
        if "error" in reply:
            raise ProcessError(f"{request.get('argv', request['op'])} failed: {reply['error']}.")
        return reply

    def close(self) -> None:
        """End everything that was launched and wait for it; may be called twice."""
        if self._socket is None:
            return
        self._socket.close()
        self._socket = None
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
