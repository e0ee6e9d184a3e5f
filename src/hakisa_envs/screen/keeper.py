"""The process that owns every program an env launches, and ends them when the trainer dies.

A trainer that is killed cannot clean up after itself, so another process must. PR_SET_PDEATHSIG alone would not
do: it is cleared by the exec of a set-gid program (LBreakout2 is one), fires when the *thread* that started
the child ends, and does not reach grandchildren. So a keeper stands between: it watches the trainer through a
pidfd, is the "subreaper" that orphans of its children fall to, and is itself guarded by PDEATHSIG (it has one
thread), so that the X server dies with the keeper, and with the X server every program that shows a window.

Run by path with ``python -I -S``, so it imports the standard library only and is up in 20 ms.

Usage: keeper.py TRAINER_PIDFD SOCKET_FD
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
GRACE_S = 0.5  # between SIGTERM and SIGKILL
MESSAGE_BYTES = 1 << 17
FOLDER, LOCK = "hakisa-", "keeper.lock"  # how folders begin; a file in them that is locked while their keeper lives

Request = dict[str, Any]


def processes() -> dict[int, tuple[int, int, str]]:
    """Every live process: pid -> (parent, session, state letter), from /proc."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                # The name in brackets may hold anything, so count from its closing bracket.
                fields = file.read().rpartition(")")[2].split()
                found[int(entry)] = (int(fields[1]), int(fields[3]), fields[0])
    return found


def descendants(roots: set[int]) -> set[int]:
    """``roots`` that are alive, all below them, and all in a session that one of them leads; no zombies."""
    table = processes()
    members = set(roots)
    members |= {pid for pid, (_, session, _) in table.items() if session in roots}
    while more := {pid for pid, (parent, _, _) in table.items() if parent in members} - members:
        members |= more
    return {pid for pid in members if pid in table and table[pid][2] not in "ZX"}


def send_signal(pids: set[int], number: int) -> None:
    """Signal each of ``pids``; one that has just ended is no error."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


class Keeper:
    """Launches, signals and ends programs as asked over a socket; ends all of them when the trainer dies."""

    def __init__(self, trainer: int, connection: socket.socket) -> None:
        self.trainer = trainer
        self.connection = connection
        self.children: dict[int, subprocess.Popen[bytes]] = {}
        self.folders: list[str] = []
        self.peer: tuple[int, int] | None = None  # a process id, which is that of a session too, and a pidfd
        self.stopping = False

    def serve(self) -> None:
        """Answer requests until the trainer dies, closes its end, or this process is told to end."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        operations: dict[str, Callable[[Request, list[int]], Request]] = {
            "launch": self.launch,
            "alive": self.alive,
            "signal": self.signal,
            "stop": self.stop,
            "own": self.own,
            "wake": self.wake,
        }
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            selector.register(self.trainer, selectors.EVENT_READ)
            while not self.stopping:
                ready = {key.fd for key, _ in selector.select(timeout=0.5)}
                if self.trainer in ready:
                    break
                if self.peer is not None and select.select([self.peer[1]], [], [], 0)[0]:
                    self.wake_peer()  # it has ended, and cannot see to what it has left
                if self.connection.fileno() in ready:
                    data, fds, _, _ = socket.recv_fds(self.connection, MESSAGE_BYTES, 8)
                    if not data:
                        break
                    request = json.loads(data)
                    try:
                        reply = operations[request["op"]](request, fds)
                    except (OSError, ValueError) as error:  # a ValueError: what no program can be given
                        reply = {"error": str(error)}
                    for fd in fds:
                        os.close(fd)
                    with contextlib.suppress(OSError):  # the trainer may have gone meanwhile
                        self.connection.send(json.dumps({"id": request["id"], **reply}).encode())
                self.reap()

    def _on_sigterm(self, number: int, frame: Any) -> None:
        self.stopping = True

    def launch(self, request: Request, fds: list[int]) -> Request:
        """Start ``argv`` in a session of its own; ``{fd}`` in it becomes the number of the fd that came along."""
        argv = [word.replace("{fd}", str(fds[0])) if fds else word for word in request["argv"]]
        with open(request["log"], "ab") if request["log"] else open(os.devnull, "wb") as log:
            child = subprocess.Popen(
                argv,
                env=request["env"],
                cwd=request["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=fds,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.children[child.pid] = child
        return {"pid": child.pid}

    def alive(self, request: Request, fds: list[int]) -> Request:
        """Say whether a launched program runs, or what it started does, and its exit status once nothing does."""
        code = self.children[request["pid"]].poll()
        return {"code": None if code is None or self.family(request["pid"]) else code}

    def signal(self, request: Request, fds: list[int]) -> Request:
        """Send a signal to a launched program and all that it started."""
        send_signal(self.family(request["pid"]), request["number"])
        return {}

    def stop(self, request: Request, fds: list[int]) -> Request:
        """End a launched program and all that it started, and wait until they are gone."""
        self.end(lambda: self.family(request["pid"]))
        return {}

    def family(self, pid: int) -> set[int]:
        """A launched program and all that it started: also what lives on when that has ended, as a launcher does.

        An orphan falls to this process and does not tell from whom; so it is of every program that was launched.
        """
        fallen = descendants({os.getpid()}) - {os.getpid()}
        return descendants({pid}) | (fallen - descendants(set(self.children) - {pid}))

    def own(self, request: Request, fds: list[int]) -> Request:
        """Remember a folder that is removed in the end, and remove those beside it whose keeper was killed."""
        folder = request["folder"]
        self.folders.append(folder)
        lock = os.open(f"{folder}/{LOCK}.new", os.O_CREAT | os.O_WRONLY, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(f"{folder}/{LOCK}.new", f"{folder}/{LOCK}")  # under its name it is locked from the first moment
        clear_abandoned(os.path.dirname(folder))
        return {}

    def wake(self, request: Request, fds: list[int]) -> Request:
        """Remember a process that is continued in the end with all that is in its session; once it has ended, at once.

        Stopped, what it leaves would not notice the trainer's death.
        """
        if self.peer is not None:
            os.close(self.peer[1])
        self.peer = request["pid"], os.dup(fds[0])
        return {}

    def wake_peer(self) -> None:
        """Continue it and its session, or only what it has left; once only if it has ended."""
        if self.peer is None:
            return
        pid, pidfd = self.peer
        with contextlib.suppress(OSError):  # it has ended
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        send_signal({other for other, (_, session, _) in processes().items() if session == pid}, signal.SIGCONT)
        if select.select([pidfd], [], [], 0)[0]:
            os.close(pidfd)
            self.peer = None

    def end(self, members: Callable[[], set[int]]) -> None:
        """Ask politely, wait, then kill; a program that was stopped is continued so that it can hear."""
        victims = members() - {os.getpid()}
        send_signal(victims, signal.SIGTERM)
        send_signal(victims, signal.SIGCONT)
        deadline = time.monotonic() + GRACE_S
        while victims and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.005)
            victims = members() - {os.getpid()}
        # One that forks while it is being killed is caught by looking again.
        deadline = time.monotonic() + 2 * GRACE_S
        while victims and time.monotonic() < deadline:
            send_signal(victims, signal.SIGKILL)
            self.reap()
            time.sleep(0.002)
            victims = members() - {os.getpid()}
        self.reap()

    def reap(self) -> None:
        """Collect ended children: ours keep their exit status, orphans that fell to us are let go."""
        everything = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with contextlib.suppress(ChildProcessError):  # there are no children
            while (ended := os.waitid(os.P_ALL, 0, everything)) is not None:
                child = self.children.get(ended.si_pid)
                if child is None:
                    os.waitpid(ended.si_pid, os.WNOHANG)
                elif child.poll() is None:
                    break  # cannot be, but must not spin


def clear_abandoned(parent: str) -> None:
    """Remove the folders of keepers that were killed before they could."""
    with os.scandir(parent) as entries:
        found = [
            entry.path for entry in entries if entry.name.startswith(FOLDER) and entry.is_dir(follow_symlinks=False)
        ]
    for folder in found:
        with contextlib.suppress(OSError):  # somebody else's, without a lock, or locked: its keeper lives
            if os.lstat(folder).st_uid != os.getuid():
                continue
            lock = os.open(f"{folder}/{LOCK}", os.O_WRONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def die_with_parent() -> None:
    """Between fork and exec: be killed when the keeper is (a set-gid program loses this at its exec)."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Serve, then end everything that was launched and everything that fell to this process."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # Stopped, it would not notice the trainer's death. It comes too when the thread that started this ends: no matter.
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
    connection = socket.socket(fileno=int(sys.argv[2]))
    keeper = Keeper(int(sys.argv[1]), connection)
    try:
        keeper.serve()
    finally:
        keeper.wake_peer()
        keeper.end(lambda: descendants({os.getpid()} | set(keeper.children)))
        for folder in keeper.folders:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
