"""A trainer of a live game that gets into trouble when told to: the process to which `faults.Stage` does its worst.

It plays an armed env on a display that somebody else owns, holds two keys and a button down, and steps on. A word
on its standard input says what happens next; after most of them ``go`` begins another episode.

Usage: live_trainer.py DISPLAY TITLE guard|unguarded [x11|portable]
"""

import functools
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path

from hakisa_envs.screen.backends import x11
from hakisa_envs.screen.conditions import Condition
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import Killed, ReaderError
from hakisa_envs.screen.game import Actions, GameProfile, Observation, Reading, Step, Window
from hakisa_envs.screen.input.client import InputClient

HELD = {"Left", "Right", "button1"}
NOOP = [0, 0, 0]
HOLD_ALL = [[1, 2, 2], [2, 0, 0], [2, 1, 0], [3, 0, 0]]
words: queue.SimpleQueue[str] = queue.SimpleQueue()
trouble = ""


class Trouble:
    """A reader, so what happens in it happens in the middle of a step."""

    def read(self, pixels):
        if trouble == "exception":
            raise RuntimeError("in a step")
        if trouble == "deadlock":
            print(trouble, flush=True)
            wait_for_go()
        return float(trouble == "script")


def wait_for_go():
    while words.get() != "go":
        pass


def play(env):
    """One episode: hold everything, say so, and step until a word comes."""
    global trouble
    trouble = ""
    env.reset()
    info = {"held": ()}
    while set(info["held"]) != HELD:
        for action in HOLD_ALL:
            info = env.step(action)[4]
    print(env._session.input.pid, flush=True)
    while words.empty():
        env.step(NOOP)
    word = words.get()
    if word in ("deadlock", "exception"):
        trouble = word
        env.step(NOOP)
    elif word == "script":  # which holds a key for a minute
        trouble = word
        env.reset()
    elif word in ("close", "reset"):
        getattr(env, word)()
    elif word == "idle":
        print(word, flush=True)
    elif word == "fork" and os.fork() == 0:
        # It inherits every descriptor, and must not make its dead parent look alive.
        time.sleep(1000)
    if word == "fork":
        print(word, flush=True)
        while True:
            env.step(NOOP)
    if word not in ("go", "deadlock"):
        wait_for_go()


def listen():
    for line in sys.stdin:
        words.put(line.strip())


def main():
    display, title, guard, *backend = sys.argv[1:]
    if guard == "unguarded":
        x11.InputClient = functools.partial(InputClient, guard=False)
    profile = GameProfile(
        name="faults",
        folder=Path(),
        window=Window(title),
        observation=Observation(size=(8, 8), stack=1),
        actions=Actions(
            commands=("noop", "move", "hold", "button_hold"), keys=("Left", "Right"), buttons=("left",), grid=(4, 4)
        ),
        readings=(Reading("trouble", Trouble()),),
        reset=(Step(do="press", key="Right", hold_ms=60_000.0, when=Condition.parse("trouble > 0")),),
    )
    if backend == ["portable"]:
        os.environ["DISPLAY"] = display
        env = ScreenGameEnv(profile, backend="portable", armed=True)
    else:
        env = ScreenGameEnv(profile, display=display, armed=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            play(env)
        except (ReaderError, KeyboardInterrupt):
            wait_for_go()
        except Killed:
            print("Killed", flush=True)
            wait_for_go()
            env.close()  # or the next reset would raise it again


if __name__ == "__main__":
    main()
