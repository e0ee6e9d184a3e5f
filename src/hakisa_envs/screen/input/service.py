"""What an input server does, whatever asks it and wakes it: requests, leases, the end of everything that is down."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.dry_run import DryRunDevice
from hakisa_envs.screen.input.keys import BUTTONS, LAYOUT_CHANGED, Contact
from hakisa_envs.screen.input.presses import TAP_NS, Counts, Device, Presses

FOCUS_POLL_NS = 25_000_000  # some losses of focus come with no event, so while something is held look again


class InputDevice(Device, Protocol):
    """What presses in one window only.

    Attributes:
        contacts: The keys and buttons that may be pressed, by name.
        lacks: Why the keyboard layout of now cannot be played on; None if it can.
    """

    contacts: dict[str, Contact]
    lacks: InputError | None

    def set_target(self, window: int, picture: int = 0) -> None:
        """From now on press in this window only, and move over ``picture`` if the game is drawn there; 0: in none."""

    def watch(self) -> bool:
        """True if the window has lost the focus, or is gone or hidden, since the last call."""

    def layout_changed(self) -> bool:
        """True if keys have moved since the last call: `contacts` are new."""

    def focused(self) -> bool:
        """True if a key pressed now would go to the window; by then all that was pressed is done."""

    def set_repeat(self, on: bool) -> None:
        """Whether keys repeat while they are held."""

    def release_stale(self) -> None:
        """Release whatever of ours is down though nobody holds it: a server before this one was killed."""

    def close(self) -> None:
        """Close the connection, once everything that was asked is done."""


class InputService:
    """Serves one trainer. All is done by one thread.

    Args:
        device: What presses.
        reply: Sends a message to the trainer.
        guard: False in tests only, which show what the guard is good for: nothing is let go of by itself.

    Attributes:
        killed: The kill chord was heard: nothing is pressed any more.
    """

    def __init__(self, device: InputDevice, reply: Callable[[dict[str, Any]], None], guard: bool = True) -> None:
        self.device = device
        self.reply = reply
        self.guard = guard
        self.presses = Presses(device, device.contacts, time.monotonic_ns)
        self.killed = False
        self.lease = 0
        self.next_look = 0
        self.released: list[str] = []  # why everything was let go, since the last report

    def kill(self) -> None:
        """The kill chord was pressed."""
        self.killed = True
        if self.guard:
            self.release_all("kill chord", time.monotonic_ns())

    def advance(self) -> float | None:
        """Do what is due; return the seconds until something is again, None if nothing will be by itself."""
        now = time.monotonic_ns()
        held = self.presses.held()
        if held and self.guard:
            if now >= self.lease:
                self.release_all("lease expired", now)
            elif now >= self.next_look:
                self.next_look = now + FOCUS_POLL_NS
                if any(name not in BUTTONS for name in held) and not self.device.focused():
                    self.release_all("focus lost", now)
        self.watch(now)  # first: a tap that waits is not for a window that has lost the focus meanwhile
        due = self.presses.advance(now)
        self.watch(now)  # last: what is read above, together with an answer, wakes nobody any more
        times = [] if due is None else [due]
        if self.guard and self.presses.held():
            times += [self.lease, self.next_look]
        return max(0.0, (min(times) - time.monotonic_ns()) / 1e9) if times else None

    def watch(self, now: int) -> None:
        """Let go of everything if the window has lost the focus since the last look, or keys have moved."""
        if self.device.watch() and self.guard:
            self.release_all("focus lost", now)
        if self.device.layout_changed():
            self.presses.release_all(now)
            self.presses.set_contacts(self.device.contacts)
            self.released.append(LAYOUT_CHANGED)

    def release_all(self, why: str, now: int) -> None:
        """Let go of everything; the next report says why if anything was down."""
        if self.presses.release_all(now):
            self.released.append(why)

    def answer(self, request: dict[str, Any]) -> None:
        """Do a request and report."""
        now = time.monotonic_ns()
        operation = request["op"]
        if operation == "act":
            if now > request["expires"]:
                self.presses.counts.dropped += len(request["commands"])
            elif not self.killed:
                self.lease = request["expires"]  # the last word counts: a script's may be longer than a step's
                for command in request["commands"]:
                    self._act(command, now, request["expires"])
        elif operation == "release":
            self.release_all("told to", now)
            self.lease = 0
        elif operation == "repeat":
            self.device.set_repeat(request["on"])
        elif operation == "target":
            self.release_all("new window", now)
            self.device.set_target(request["window"], request["picture"])
        focused = self.device.focused()  # an answer of the window system, by which it has done all that was pressed
        self.presses.settle()
        self.watch(now)
        if self.device.lacks is not None:
            raise self.device.lacks  # only when asked: a layout that is changed key by key is whole again by then
        report = {
            "t_ns": now,
            "held": self.presses.held(),
            "focused": focused,
            "killed": self.killed,
            "released": self.released,
            **asdict(self.presses.counts),
        }
        if isinstance(self.device, DryRunDevice):
            report["record"] = list(self.device.record)
            self.device.record.clear()
        self.released, self.presses.counts = [], Counts()
        self.reply({"id": request["id"], **report})

    def end(self) -> None:
        """Let go of everything, and close the device."""
        if self.guard:
            self.presses.release_all(time.monotonic_ns())
            self.device.set_repeat(True)
            self.device.close()

    def _act(self, command: list[Any], now: int, expires: int) -> None:
        """Do one command: ``[verb, argument, ...]``."""
        verb, *arguments = command
        presses, device = self.presses, self.device
        moves: dict[str, Callable[..., bool]] = {
            "move": device.move,
            "move_by": device.move_by,
            "wheel": device.wheel,
        }
        if verb in moves:
            if moves[verb](*arguments):
                presses.counts.pressed += 1
            else:
                presses.counts.refused += 1
        elif verb == "tap":
            hold = round(arguments[1] * 1e6) if len(arguments) > 1 else TAP_NS
            presses.tap(arguments[0], now, hold, expires)
        elif verb == "hold":
            presses.hold(arguments[0], now)
        elif verb == "release":
            presses.release(arguments[0], now)
        else:
            raise InputError(f"The input server knows no command {verb!r}.")
