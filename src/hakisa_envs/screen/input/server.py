"""The input server: presses what the trainer asks for, and lets go of everything when the trainer cannot.

It releases everything, by remembered keycode, when the trainer dies (a pidfd tells of that in 0.15 ms), when
the lease that only `step` renews runs out (a hung or stopped trainer), when a person presses the kill chord,
when the game loses the focus, when the keyboard gets another layout, and when told to.

Two processes: one works, the other, its guardian, waits for its end and, if it was killed, releases everything in its
stead. One that is stopped, or does not end with the trainer, is killed: it lets go of nothing any more. A guardian that
is stopped itself is continued by the kernel when the trainer dies, and so is the keeper of launched programs.

Usage: python -m hakisa_envs.screen.input.server TRAINER_PIDFD SOCKET_FD CONFIG_JSON
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from hakisa_envs.screen.input.chord import KillChord
from hakisa_envs.screen.input.devices import XTestDevice
from hakisa_envs.screen.input.dry_run import DryRunDevice
from hakisa_envs.screen.input.keys import unplaced
from hakisa_envs.screen.input.repeat import KeyRepeat
from hakisa_envs.screen.input.service import InputService

PR_SET_PDEATHSIG = 1
DRAIN_S = 1.0  # between two looks of the guardian; and what is left to a worker whose trainer has died


class InputServer:
    """Serves one trainer until that closes its end, dies, or this process is told to end.

    Args:
        trainer: A pidfd of the trainer.
        connection: Where requests come from.
        config: ``display`` (None: dry run), ``names`` of keys and buttons that may be pressed, ``guard``, ``keyboard``
            (in a dry run: the display whose keys may be told not to repeat), and ``chord``, an eventfd that is set once
            the kill chord was heard.
    """

    def __init__(self, trainer: int, connection: socket.socket, config: dict[str, Any]) -> None:
        self.trainer = trainer
        self.connection = connection
        self.device: XTestDevice | DryRunDevice
        self.chord: KillChord | None = None
        if config["display"] is None:
            keyboard = config["keyboard"]
            repeat = KeyRepeat(keyboard, config["names"]).turn if keyboard is not None else None
            self.device = DryRunDevice(unplaced(config["names"]), repeat)
        else:
            self.device = XTestDevice(config["display"], config["names"])
            self.chord = KillChord(config["display"])
            if self.chord.is_down():  # before it is let go of as something that is down though nobody holds it
                os.eventfd_write(config["chord"], 1)
            self.device.release_stale()
        self.service = InputService(self.device, self.reply, config["guard"])
        self.heard: int = config["chord"]
        self.running = True
        # A signal that arrives just before select() must wake it all the same.
        self.wakeup, self.wakeup_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # A server before this one may have heard it.
        self.service.killed = bool(select.select([self.heard], [], [], 0)[0])

    def serve(self) -> None:
        """Answer until the end, then let go of everything."""
        signal.set_wakeup_fd(self.wakeup_end)
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.reply({"ready": os.getpid()})
        try:
            while self.running:
                self.wait()
        finally:
            self.service.end()

    def wait(self) -> None:
        """Do what is due and what has arrived, then sleep until something happens."""
        if self.chord is not None and self.chord.heard():
            os.eventfd_write(self.heard, 1)
            self.service.kill()
        timeout = self.service.advance()
        sources = [self.connection.fileno(), self.trainer, self.wakeup, self.device.fileno()]
        sources.append(self.chord.fileno() if self.chord is not None else None)
        ready = select.select([fd for fd in sources if fd is not None], [], [], timeout)[0]
        if self.trainer in ready or self.wakeup in ready:
            self.running = False
        elif self.connection.fileno() in ready:
            data = self.connection.recv(1 << 16)
            if data:
                self.service.answer(json.loads(data))
            else:
                self.running = False

    def reply(self, message: dict[str, Any]) -> None:
        """Send, unless the trainer has gone or does not read: a stopped trainer must not block this process."""
        with contextlib.suppress(OSError):
            self.connection.send(json.dumps(message).encode(), socket.MSG_DONTWAIT)


def work(trainer: int, connection: socket.socket, config: dict[str, Any], parent: int) -> None:
    """The process that presses."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return
    try:
        InputServer(trainer, connection, config).serve()
    except Exception as error:  # told to the trainer, which raises it: a key that is not there, a display that is gone
        with contextlib.suppress(OSError):
            words = {"error": str(error) or repr(error), "key": getattr(error, "key", "")}
            connection.send(json.dumps(words).encode(), socket.MSG_DONTWAIT)
        raise SystemExit(1) from None


def listen(chord: KillChord | None, config: dict[str, Any]) -> None:
    """Say so if the kill chord was pressed; a display that is gone is no matter here."""
    with contextlib.suppress(Exception):
        if chord is not None and chord.heard():
            os.eventfd_write(config["chord"], 1)


def tell(worker: int, number: int) -> None:
    """Send the worker a signal, which may come too late for it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, number)


def watch_over(
    worker: int, trainer: int, spare: XTestDevice | None, chord: KillChord | None, config: dict[str, Any]
) -> int:
    """Wait for the worker's end, or bring it about; return how it ended."""
    bell, bell_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(bell_end)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # it comes when the worker is stopped, too
    sources, orphaned = [bell, trainer], False
    while True:
        pid, status = os.waitpid(worker, os.WNOHANG | os.WUNTRACED)
        if pid and not os.WIFSTOPPED(status):
            return status
        ready = [] if pid else select.select(sources, [], [], DRAIN_S)[0]
        if config["guard"] and (pid or (orphaned and not ready)):
            tell(worker, signal.SIGKILL)
        if bell in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(bell, 4096)
        if trainer in ready:
            sources, orphaned = [bell], True
        listen(chord, config)  # or the X server would have to keep what it tells
        with contextlib.suppress(Exception):
            if spare is not None:
                spare.layout_changed()


def main() -> None:
    """Split in two: the child works; the parent waits, and cleans up if the child was killed."""
    trainer, config = int(sys.argv[1]), json.loads(sys.argv[3])
    connection = socket.socket(fileno=int(sys.argv[2]))
    # Stopped, it would not notice the trainer's death. It comes too when the thread that started this ends: no matter.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
    guardian = os.getpid()
    worker = os.fork()
    if worker == 0:
        work(trainer, connection, config, guardian)
        return
    connection.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: tell(worker, signal.SIGTERM))
    spare: XTestDevice | None = None
    chord: KillChord | None = None
    if config["guard"] and config["display"] is not None:
        # Opened now: it takes a tenth of a second, far more on a busy machine, and then every millisecond counts.
        with contextlib.suppress(Exception):  # the worker meets the same trouble, and tells the trainer
            chord = KillChord(config["display"])
            spare = XTestDevice(config["display"], config["names"])
    status = watch_over(worker, trainer, spare, chord, config)
    if spare is not None and os.WIFSIGNALED(status):
        spare.layout_changed()
        spare.release_stale()
        spare.close()
    if config["keyboard"] is not None and os.WIFSIGNALED(status):
        with contextlib.suppress(Exception):  # the display has gone
            KeyRepeat(config["keyboard"], config["names"]).turn(True)
    listen(chord, config)  # to what came when the other process could not hear it any more


if __name__ == "__main__":
    main()
    os._exit(0)  # nothing is left to do, and the trainer waits: the interpreter takes 0.1 s to take itself apart
