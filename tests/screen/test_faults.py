"""Whatever happens to the trainer, every key and button is up within a second; without the guard it is not."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from Xlib import XK

from .helpers import gone, wait_until

HELD = {"key": XK.XK_Left}

TRAINER = textwrap.dedent(
    """
    import os, sys, threading, time
    from hakisa_envs.screen.input.client import InputClient

    display, window, mode, guard = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "guard"
    client = InputClient(display, ["Left", "button1"], guard=guard)
    client.start()
    client.wait_ready()
    client.set_target(window)
    # A child that inherits every descriptor must not make the trainer look alive.
    if mode == "forked" and os.fork() == 0:
        time.sleep(1000)

    def act(lease):
        client.act([("hold", "Left"), ("move", 5, 5), ("hold", "button1")], lease)

    act(10.0 if mode != "stop" and mode != "deadlock" else 0.25)
    print(client.pid, flush=True)
    sys.stdin.readline()
    if mode == "exception":
        raise RuntimeError("in step")
    if mode == "deadlock":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    if mode == "close":
        client.close()
    while True:
        if mode == "stop":
            act(0.25)
        time.sleep(0.02)
    """
)


@pytest.fixture
def window(screen):
    window = screen.window(0, 0, 200, 150, title="game")
    screen.focus(window)
    yield window
    window.destroy()
    screen.display.sync()


class Trainer:
    """A process that holds a key and a button on the display."""

    def __init__(self, display, window, mode, guard="guard"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINER, display, str(window.id), mode, guard],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment, start_new_session=True,
        )  # fmt: skip
        self.server = int(self.process.stdout.readline())

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


FAULTS = {
    "SIGKILL": lambda trainer: trainer.process.send_signal(signal.SIGKILL),
    "forked": lambda trainer: trainer.process.send_signal(signal.SIGKILL),
    "SIGTERM": lambda trainer: trainer.process.send_signal(signal.SIGTERM),
    "stop": lambda trainer: (trainer.go(), trainer.process.send_signal(signal.SIGSTOP)),
    "exception": lambda trainer: trainer.go(),
    "deadlock": lambda trainer: trainer.go(),
    "close": lambda trainer: trainer.go(),
    "server": lambda trainer: os.kill(trainer.server, signal.SIGKILL),
}


@pytest.mark.parametrize("repetition", range(5))
@pytest.mark.parametrize("fault", FAULTS)
def test_everything_is_up_a_second_after(fault, repetition, xserver, screen, window):
    trainer = Trainer(xserver, window, fault)
    try:
        assert screen.held() == {screen.keycode(HELD["key"]), ("button", 1)} or fault in ("deadlock", "stop")
        FAULTS[fault](trainer)
        wait_until(lambda: not screen.held(), 1.0, f"after {fault} something was still down")
    finally:
        trainer.end()
        wait_until(lambda: gone(trainer.server), 2.0, "the input server outlived its trainer")


@pytest.mark.parametrize("fault", ["SIGKILL", "stop", "exception"])
def test_without_the_guard_they_stay_down(fault, xserver, screen, window):
    trainer = Trainer(xserver, window, fault, guard="no guard")
    try:
        FAULTS[fault](trainer)
        with pytest.raises(AssertionError, match="still down"):
            wait_until(lambda: not screen.held(), 1.0, "something was still down")
    finally:
        trainer.end()
        wait_until(lambda: gone(trainer.server), 2.0)
        screen.display.xtest_fake_input(3, screen.keycode(HELD["key"]))
        screen.display.xtest_fake_input(5, 1)
        screen.display.sync()
