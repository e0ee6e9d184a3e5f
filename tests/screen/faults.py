"""Everything that may befall a trainer that holds keys down, and how long they then stay down.

Shared by test_faults.py and benchmarks/screen_faults.py.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from Xlib import XK, X

from .helpers import Screen, gone, in_time, press_chord, wait_until

TITLE = "^fault target$"


class LiveTrainer:
    """live_trainer.py in a process of its own.

    Attributes:
        server: Process id of its input server.
    """

    def __init__(self, display, guard=True, backend="x11"):
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("live_trainer.py"), display, TITLE,
             "guard" if guard else "unguarded", backend],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True,
        )  # fmt: skip
        self.server = 0

    def tell(self, word):
        self.process.stdin.write(f"{word}\n")

    def answer(self, timeout=30.0):
        ready = select.select([self.process.stdout], [], [], timeout)[0]
        line = self.process.stdout.readline() if ready else ""
        assert line, f"the trainer said nothing within {timeout:g} s, or has ended"
        return line.strip()

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # a fork of it too
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


@dataclass(frozen=True)
class Fault:
    """Something that befalls a trainer which holds keys.

    Attributes:
        strike: Does it to the trainer of a `Stage`; the time counts from here.
        prepare: Comes before.
        mend: Undoes what was done to the display or the process.
        fatal: The trainer does not live through it.
    """

    strike: Callable[["Stage"], None]
    prepare: Callable[["Stage"], None] = lambda stage: None
    mend: Callable[["Stage"], None] = lambda stage: None
    fatal: bool = False


class Stage:
    """A display with a window on it, a trainer that plays in that window, and a person who looks on.

    Args:
        display: Name of a display that outlives the trainer.
        guard: False: the input server lets go of nothing by itself, to show that it has to.
        backend: By which the trainer plays.
    """

    def __init__(self, display, guard=True, backend="x11"):
        self.display, self.guard, self.backend = display, guard, backend
        self.screen = Screen(display)
        self.window = self.screen.window(0, 0, 200, 150, title=TITLE.strip("^$"))
        self.other = self.screen.window(300, 0, 50, 50, title="other")
        self.trainer = None
        self.held_all = {self.screen.keycode(XK.XK_Left), self.screen.keycode(XK.XK_Right), ("button", 1)}

    def held(self):
        """What the trainer pressed and is down."""
        return self.screen.held() & self.held_all

    def ready(self):
        """See to it that a trainer holds everything down."""
        if self.trainer is None:
            self.trainer = LiveTrainer(self.display, self.guard, self.backend)
        try:
            for _ in range(5):
                self.trainer.server = int(self.trainer.answer())
                if self.held() == self.held_all:
                    return
                self.trainer.tell("go")  # its keys went up since it said so: it did not get its turn for too long
            raise AssertionError("the trainer does not hold what it should")
        except BaseException:
            self.dismiss()  # the next test is not to meet it
            raise

    def measure(self, fault, timeout=1.0):
        """Seconds from the fault until everything is up; infinite if something is down after ``timeout``.

        That is seconds of an idle machine: a busy one gets more.
        """
        self.ready()
        fault.prepare(self)
        start = time.monotonic()
        fault.strike(self)
        while (down := self.held()) and in_time(start, timeout):
            time.sleep(0.0005)
        took = float("inf") if down else time.monotonic() - start
        fault.mend(self)
        if fault.fatal or down:
            self.dismiss()
        else:
            self.trainer.tell("go")
        return took

    def dismiss(self):
        """End the trainer, wait for the end of its input server, and let go of what is still down."""
        trainer, self.trainer = self.trainer, None
        if trainer is None:
            return
        trainer.end()
        wait_until(lambda: gone(trainer.server), 2.0, "the input server outlived its trainer")
        for contact in self.held():
            kind, code = (X.ButtonRelease, contact[1]) if isinstance(contact, tuple) else (X.KeyRelease, contact)
            self.screen.display.xtest_fake_input(kind, code)
        self.screen.display.sync()

    def close(self):
        self.dismiss()
        self.screen.close()


def _send(number):
    return lambda stage: stage.trainer.process.send_signal(number)


def _tell(word):
    return lambda stage: stage.trainer.tell(word)


def _tell_and_await(word):
    def prepare(stage):
        stage.trainer.tell(word)
        assert stage.trainer.answer() == word

    return prepare


def _script(stage):
    """Begin a reset whose script holds a key for a minute."""
    stage.trainer.tell("script")
    script = {stage.screen.keycode(XK.XK_Right)}
    # Twice, for a look takes two requests, and the keys of the episode may go up between them.
    wait_until(lambda: stage.held() == script == stage.held(), message="the script holds no key")


def _killed(stage):
    press_chord(stage.screen, [X.KeyRelease])
    assert stage.trainer.answer() == "Killed"  # which is what its step raised


def _stop_server(stage):
    os.kill(stage.trainer.server, signal.SIGSTOP)


def _stop_server_kill_trainer(stage):
    _stop_server(stage)
    stage.trainer.process.kill()


def _continue_server(stage):
    with contextlib.suppress(ProcessLookupError):  # its guardian has killed it
        os.kill(stage.trainer.server, signal.SIGCONT)


FAULTS = {
    "trainer SIGKILL": Fault(_send(signal.SIGKILL), fatal=True),
    "trainer SIGKILL, a fork of it lives": Fault(_send(signal.SIGKILL), prepare=_tell_and_await("fork"), fatal=True),
    "trainer SIGTERM": Fault(_send(signal.SIGTERM), fatal=True),
    "trainer SIGSTOP": Fault(_send(signal.SIGSTOP), mend=_send(signal.SIGCONT)),
    "input server SIGKILL": Fault(lambda stage: os.kill(stage.trainer.server, signal.SIGKILL)),
    "input server SIGSTOP": Fault(_stop_server),
    "input server SIGSTOP, trainer SIGKILL": Fault(_stop_server_kill_trainer, mend=_continue_server, fatal=True),
    "exception in step": Fault(_tell("exception")),
    "deadlock in step": Fault(lambda stage: None, prepare=_tell_and_await("deadlock")),  # says so, then waits for ever
    "close": Fault(_tell("close")),
    "reset": Fault(_tell("reset")),
    "SIGSTOP in a reset script": Fault(_send(signal.SIGSTOP), prepare=_script, mend=_send(signal.SIGCONT)),
    "exception in a reset script": Fault(_send(signal.SIGINT), prepare=_script),
    "nobody steps": Fault(lambda stage: None, prepare=_tell_and_await("idle")),  # the lease expires
    "focus loss": Fault(
        lambda stage: stage.screen.focus(stage.other), mend=lambda stage: stage.screen.focus(stage.window)
    ),
    "kill chord": Fault(lambda stage: press_chord(stage.screen, [X.KeyPress]), mend=_killed),
}
