"""Play a console game in the terminal. A terminal tells presses and no releases, which is enough for menus."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import time
from collections.abc import Iterator

from hakisa_algos.cli.halfblocks import half_blocks
from hakisa_algos.cli.text import dim
from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.movie import FRAMES_A_SECOND

FRAMES = 4  # a picture
HELD_FRAMES = 8  # after a press; auto-repeat keeps a key down
ARROWS = {b"\033[A": "UP", b"\033[B": "DOWN", b"\033[C": "RIGHT", b"\033[D": "LEFT"}
LETTERS = {b"z": "A", b"x": "B", b"c": "C", b"a": "X", b"s": "Y", b"d": "Z", b"\r": "START", b"\n": "START"}
KEYS = ARROWS | {code.replace(b"[", b"O"): button for code, button in ARROWS.items()} | LETTERS
HELP = "arrows; Z X C = A B C, A S D = X Y Z, Enter = START; W writes the state, Q leaves without"


def play_by_hand(emulator: Emulator) -> bool:
    """Play in real time until W (True) or Q (False)."""
    held: dict[str, int] = {}
    with _keys_at_once():
        sys.stdout.write("\033[2J")
        due = time.monotonic()
        while True:
            for key in _pressed():
                if key in (b"w", b"q"):
                    return key == b"w"
                if KEYS.get(key) in emulator.buttons:
                    held[KEYS[key]] = HELD_FRAMES
            emulator.hold(emulator.mask(held))
            for _ in range(FRAMES):
                emulator.advance()
            held = {button: left - FRAMES for button, left in held.items() if left > FRAMES}
            _draw(emulator)
            due = max(due + FRAMES / FRAMES_A_SECOND, time.monotonic() - 1.0)
            time.sleep(max(0.0, due - time.monotonic()))


def _draw(emulator: Emulator) -> None:
    columns, rows = shutil.get_terminal_size()
    true_colour = os.environ.get("COLORTERM") in ("truecolor", "24bit")
    lines = half_blocks(emulator.picture(), columns - 1, rows - 2, true_colour=true_colour)
    sys.stdout.write("\033[H" + "".join(f"{line}\033[K\r\n" for line in lines) + f"{dim(HELP[: columns - 1])}\033[K")
    sys.stdout.flush()


def _pressed() -> Iterator[bytes]:
    """What was typed since the last time, key by key."""
    descriptor, typed = sys.stdin.fileno(), b""
    while select.select([descriptor], [], [], 0)[0] and (more := os.read(descriptor, 64)):
        typed += more
    while typed:
        size = 3 if typed[:3] in KEYS else 1
        yield typed[:size].lower() if size == 1 else typed[:3]
        typed = typed[size:]


@contextlib.contextmanager
def _keys_at_once() -> Iterator[None]:
    """Without waiting for Enter, and without showing what is typed."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        sys.stdout.write("\033[?25l")
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        sys.stdout.write("\033[?25h\n")
        sys.stdout.flush()
