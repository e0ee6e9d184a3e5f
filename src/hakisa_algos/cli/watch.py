"""``hakisa watch GAME``: what an agent would see of a live game, in the terminal or as a film. Needs no torch."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hakisa_algos.cli import shot
from hakisa_algos.cli.halfblocks import half_blocks
from hakisa_algos.cli.live import Choose, open_game, parse, parser, player, where
from hakisa_algos.cli.scene import Scene
from hakisa_algos.cli.status import Status
from hakisa_algos.cli.text import bold, colourful
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.video import VideoWriter
from hakisa_envs.screen.env import ScreenGameEnv

REDRAW_S = 0.1  # more often, drawing would take a good part of the steps' time
HIDE_CURSOR, SHOW_CURSOR = "\033[?25l", "\033[?25h"
TO_END_OF_LINE, TO_END_OF_SCREEN = "\033[K", "\033[J"

Picture = NDArray[np.uint8]
# Shows a step: the newest frame that the agent sees, uint8 RGB ``[height, width, 3]``, and what is to be said of it.
Show = Callable[[Picture, Status], None]


def run(arguments: Sequence[str]) -> int:
    """Plays for some seconds and shows each step."""
    options = parser("watch", "Show what an agent would see of a live game: picture, readings, reward, input, timing.")
    options.add_argument("--seconds", type=float, default=10.0, help="how long to play (default 10)")
    options.add_argument("--out", type=Path, metavar="FILE.mp4", help="write a film instead of drawing here")
    shot.options(options)
    chosen = parse(options, arguments)
    _check(chosen)
    env = open_game(chosen, lambda profile: shot.with_keys(profile, chosen.keys or ()), render_mode="rgb_array")
    try:
        if chosen.shot is not None:
            shot.take(env, chosen)
            return 0
        choose = player(chosen.policy, env)
        with _shown(chosen.out, env) as show:
            env.reset()
            print(bold(where(env)), flush=True)
            watch(env, choose, show, max(1, round(chosen.seconds * env.rate)))
    finally:
        env.close()
    if chosen.out:
        print(f"written to {chosen.out}")
    return 0


def watch(env: ScreenGameEnv, choose: Choose, show: Show, steps: int) -> None:
    """Plays ``steps`` steps of an env that was reset, over the ends of episodes, and shows each of them."""
    episode, total, missed = 1, 0.0, 0
    for step in range(1, steps + 1):
        action = choose()
        words = env.describe(action)
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward
        missed += info.get("missed", 0)
        if None in info["readings"].values():
            info["unread"] = {name: why for name, (value, why) in env.explain().items() if value is None and why}
        show(newest_frame(env, observation), Status(step, episode, words, reward, total, missed, info))
        if (terminated or truncated) and step < steps:
            env.reset()
            episode, total = episode + 1, 0.0


def newest_frame(env: ScreenGameEnv, observation: Picture) -> Picture:
    """The last frame of a stack as RGB ``[height, width, 3]``."""
    channels = 1 if env.profile.observation.grey else 3
    frame = np.moveaxis(observation[-channels:], 0, 2)
    return np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))


class Said(Protocol):
    """What is to be said below a picture."""

    def lines(self, width: int) -> list[str]:
        """In several lines of at most ``width`` characters."""


class Drawing:
    """Draws in place, on a terminal that has colours."""

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal
        self._true_colour = os.environ.get("COLORTERM") in ("truecolor", "24bit")
        self._drawn = 0  # lines
        self._next = 0.0

    def show(self, observation: Picture, status: Said) -> None:
        """See :data:`Show`; steps that come too fast are left out."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + REDRAW_S
        columns, rows = shutil.get_terminal_size()
        words = status.lines(columns - 1)
        picture = half_blocks(observation, columns - 1, rows - len(words) - 1, true_colour=self._true_colour)
        lines = [*picture, *words]
        back = f"\033[{self._drawn}A" if self._drawn else ""
        text = "".join(f"{line}{TO_END_OF_LINE}\n" for line in lines)
        self._terminal.write(f"{back}\r{text}{TO_END_OF_SCREEN}")
        self._terminal.flush()
        self._drawn = len(lines)


def draws() -> bool:
    """Whether standard output is a terminal that can be drawn on."""
    return colourful(sys.stdout) and "TERM" in os.environ


@contextmanager
def drawing() -> Iterator[Drawing]:
    """Draws on standard output, without a cursor meanwhile."""
    sys.stdout.write(HIDE_CURSOR)
    try:
        yield Drawing(sys.stdout)
    finally:
        sys.stdout.write(SHOW_CURSOR)
        sys.stdout.flush()


@contextmanager
def _shown(out: Path | None, env: ScreenGameEnv) -> Iterator[Show]:
    if out is not None:
        scene: Scene | None = None

        def film(observation: Picture, status: Status) -> None:
            nonlocal scene
            window = env.render()
            assert window is not None
            scene = scene or Scene(observation, window)
            video.add(scene.draw(observation, window, status.lines(scene.columns)))

        with VideoWriter(out, env.rate) as video:
            yield film
    elif draws():
        with drawing() as picture:
            yield picture.show
    else:
        yield lambda observation, status: print(status.line(), flush=True)


def _check(chosen: argparse.Namespace) -> None:
    if not 0 < chosen.seconds <= 86_400:
        raise ConfigError(f"--seconds {chosen.seconds:g} is not allowed: it must be more than 0, and a day at most")
    if chosen.out is not None and chosen.out.suffix != ".mp4":
        raise ConfigError(f"--out {chosen.out} is not allowed: it must end in .mp4")
    shot.check(chosen)
