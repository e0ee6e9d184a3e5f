"""The input server of the portable back end: presses by pynput, and lets go of everything when the trainer cannot.

It releases everything when the trainer dies, of which a handle on that process tells, when the lease that only `step`
renews runs out, when a person presses the kill chord, when the game loses the focus, and when told to.

Two processes: one works, the other, its guardian, waits for its end and, unless that was a clean one, releases
everything in its stead. One that is stopped, or does not end with the trainer, is killed: it lets go of nothing.

Usage: python -m hakisa_envs.screen.backends.portable.server guardian TRAINER_PID CONFIG_JSON
       python -m hakisa_envs.screen.backends.portable.server worker TRAINER_PID GUARDIAN_PID CONFIG_JSON

Requests come on standard input, a line of JSON each; answers go to standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import Any, BinaryIO

from hakisa_envs.screen.backends.portable.chord import KillChord
from hakisa_envs.screen.backends.portable.death import call_at_end
from hakisa_envs.screen.backends.portable.device import PortableDevice
from hakisa_envs.screen.backends.portable.system import this_system
from hakisa_envs.screen.input.boot import server_command
from hakisa_envs.screen.input.dry_run import DryRunDevice
from hakisa_envs.screen.input.keys import unplaced
from hakisa_envs.screen.input.service import InputDevice, InputService

SERVER = "hakisa_envs.screen.backends.portable.server"
DRAIN_S = 1.0  # what is left to a worker whose trainer has died
CLEAN = 17  # a worker's exit status after it let go of everything; one that Windows kills ends with 0 or 1
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # what Windows makes of the latter is the same
LISTENER_LOOK_S = 1.0  # how often it is looked, where nothing else happens, whether the chord is still listened to

# What the loop is told of, beside requests.
END, CHORD = "end", "chord"


class Worker:
    """The process that presses.

    Args:
        trainer: Process id of the trainer.
        guardian: That of the other process; it need not be this one's parent, which in a virtual environment of
            Windows is a starter.
        config: ``display`` (None: dry run), ``names`` of keys and buttons that may be pressed, ``guard``, and
            ``killed``: a server before this one heard the kill chord.
        replies: Where answers go.
    """

    def __init__(self, trainer: int, guardian: int, config: dict[str, Any], replies: BinaryIO) -> None:
        self._told: queue.SimpleQueue[str | bytes] = queue.SimpleQueue()
        self._replies = replies
        self._chord: KillChord | None = None
        device: InputDevice
        if config["display"] is None:
            device = DryRunDevice(unplaced(config["names"]))
        else:
            system = this_system()
            system.prepare()
            device = PortableDevice(system, config["names"])
            device.release_stale()
            self._chord = KillChord(lambda: self._told.put(CHORD))
        self._service = InputService(device, self._reply, config["guard"])
        self._service.killed = config["killed"]
        for process in (trainer, guardian):  # without a guardian nobody would clean up after this one any more
            call_at_end(process, self.end)

    def serve(self, requests: BinaryIO) -> None:
        """Answer until the trainer dies or closes its end, then let go of everything."""
        threading.Thread(target=self._read, args=(requests,), name="hakisa-requests", daemon=True).start()
        self._reply({"ready": os.getpid()})
        try:
            while self._wait():
                pass
        finally:
            self._service.end()

    def end(self) -> None:
        """Bring about the end; for a signal."""
        self._told.put(END)

    def _wait(self) -> bool:
        """Do what is due and what has arrived, then sleep until something happens; False at the end."""
        if self._chord is not None and not self._chord.is_alive:
            raise RuntimeError("Nobody listens for Ctrl+Shift+F12 any more; call reset().")
        timeout = self._service.advance()
        try:
            told = self._told.get(timeout=LISTENER_LOOK_S if timeout is None else min(timeout, LISTENER_LOOK_S))
        except queue.Empty:
            return True
        if told == END:
            return False
        if told == CHORD:
            self._service.kill()
            self._reply({"chord": True})
        else:
            self._service.answer(json.loads(told))
        return True

    def _read(self, requests: BinaryIO) -> None:
        for line in requests:
            self._told.put(line)
        self._told.put(END)

    def _reply(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):  # the trainer has gone
            self._replies.write(json.dumps(message).encode() + b"\n")
            self._replies.flush()


def work(trainer: int, guardian: int, config: dict[str, Any]) -> None:
    """The process that presses."""
    replies = sys.stdout.buffer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        worker = Worker(trainer, guardian, config, replies)
        signal.signal(signal.SIGTERM, lambda number, frame: worker.end())
        worker.serve(sys.stdin.buffer)
    except Exception as error:  # told to the trainer, which raises it: a key that is not there, a display that is gone
        words = {"error": str(error) or repr(error), "key": getattr(error, "key", "")}
        with contextlib.suppress(OSError, ValueError):
            replies.write(json.dumps(words).encode() + b"\n")
            replies.flush()
        os._exit(1)
    os._exit(CLEAN)  # its threads wait for ever


def watch_over(trainer: int, words: str) -> None:
    """The guardian: start the worker, wait for its end, or bring it about; and clean up if that was not a clean one."""
    config = json.loads(words)
    command = server_command(SERVER, "worker", str(trainer), str(os.getpid()), words)
    worker = subprocess.Popen(command, stdin=sys.stdin, stdout=sys.stdout)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it has nothing to do before the worker's end
    spare: PortableDevice | None = None
    if config["display"] is not None and config["guard"]:
        # Opened now: it takes a tenth of a second, and then every millisecond counts.
        with contextlib.suppress(Exception):  # the worker meets the same trouble, and tells the trainer
            this_system().prepare()
            spare = PortableDevice(this_system(), config["names"])

    ended = threading.Event()

    def kill_what_hangs() -> None:
        with contextlib.suppress(OSError):  # it has just ended
            if not ended.wait(DRAIN_S):
                os.kill(worker.pid, KILL)

    if config["guard"]:
        call_at_end(trainer, kill_what_hangs)
    status = wait_for(worker, config["guard"])
    ended.set()
    if spare is not None and status != CLEAN:
        with contextlib.suppress(Exception):  # the desktop has gone, and its keys with it
            spare.release_stale()


def wait_for(worker: subprocess.Popen[bytes], guard: bool) -> int:
    """Wait for a worker's end and return its exit status; one that is stopped is killed, where a system stops any."""
    if not (guard and hasattr(os, "WUNTRACED")):
        return worker.wait()
    while True:
        _, status = os.waitpid(worker.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        os.kill(worker.pid, KILL)


def main() -> None:
    """One of the two."""
    role, trainer, words = sys.argv[1], int(sys.argv[2]), sys.argv[-1]
    if role == "guardian":
        watch_over(trainer, words)
    else:
        work(trainer, int(sys.argv[3]), json.loads(words))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # its threads wait for ever
