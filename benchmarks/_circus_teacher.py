"""A scripted player of Circus Linux!, which moves the pointer through an X client of its own."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from _teaching import SecondClient, record_live

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.image import to_rgb

GAME = "circuslinux"
POINTS = 10.0  # of the game, per unit of reward
LONGEST = 120 * 15  # steps of a life that is cut
COLUMNS, WIDTH = 32, 20  # places of the pointer, and how wide each is
BACKGROUND, RED = (50, 50, 80), (255, 0, 0)
AIR, SEESAW = slice(132, 432), slice(436, 478)  # below the balloons; the seesaw and who stands on it
FLOOR = slice(32, 608)  # between the bouncers
ARM = 30  # from the middle of the seesaw to where a clown should land
LEAD = 3  # steps that the player looks ahead, as it is late


class Catcher:
    """Puts the end of the seesaw that is up under the clown that flies; knows what it sees, and no rules."""

    def __init__(self) -> None:
        self.column, self.side = COLUMNS // 2, 1
        self.last: float | None = None

    def act(self, picture: np.ndarray) -> int:
        """The column for the pointer, by an RGB picture of the whole window."""
        rows, seen = np.nonzero((picture[AIR] != BACKGROUND).any(2))
        if len(seen) < 50:  # among the balloons, or it lands
            self.last = None
            return self.column
        x = float(np.median(seen))
        speed = 0.0 if self.last is None or abs(x - self.last) > 60 else x - self.last
        self.last = x
        standing = np.nonzero((picture[SEESAW, FLOOR] == RED).all(2))[1]
        if rows.max() < 250 and len(standing):  # alone there, as nobody is about to land
            seesaw = np.nonzero((picture[SEESAW, FLOOR] != BACKGROUND).any(2))[1]
            self.side = 1 if standing.mean() > (seesaw.min() + seesaw.max()) / 2 else -1
        self.column = min(max(int(x + LEAD * speed + ARM * self.side) // WIDTH, 0), COLUMNS - 1)
        return self.column


class Player:
    """Called at every step of the recorder: looks, and does what it meant to do some steps ago."""

    def __init__(self, env: ScreenGameEnv, delay: int, random_share: float, seed: int) -> None:
        self.env, self.share, self.rng = env, random_share, random.Random(seed)
        self.catcher, self.client = Catcher(), SecondClient(env)
        self.meant: deque[int] = deque([COLUMNS // 2] * delay)
        self.column = -1

    def __call__(self) -> bool:
        """One step."""
        view = self.env.view
        if view is None or self.env.session is None:
            return False
        if self.client.connect():
            self.column = -1
        self.meant.append(self.catcher.act(to_rgb(view.frame.pixels)))
        column = self.meant.popleft()
        if self.rng.random() < self.share:
            column = self.rng.randrange(COLUMNS)
        if column != self.column:
            self.move(view.window.region.left + WIDTH * column + WIDTH // 2, view.window.region.top + 300)
            self.column = column
        return False

    def move(self, x: int, y: int) -> None:
        """The pointer, on the display."""
        from Xlib import X
        from Xlib.ext import xtest

        xtest.fake_input(self.client.display, X.MotionNotify, x=x, y=y)
        self.client.display.sync()


def teach(
    folder: Path, delay: int, random_share: float, seed: int, minutes: float | None, lives: int | None
) -> dict[str, Any]:
    """One recording, for a time or for so many lives."""
    env = ScreenGameEnv(GAME, timeout=5.0)
    return record_live(env, folder, {"game": GAME}, Player(env, delay, random_share, seed), minutes, lives, POINTS)
