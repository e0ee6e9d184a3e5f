"""A scripted player of Pong, which reads the console's memory, and whose keys the recorder's window hears."""

from __future__ import annotations

import os
import random
from collections import deque
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from _teaching import figures

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos.stages.record_env import KeyMap, record_env

ENV = "Hakisa/Pong-v0"
RATE = 15.0  # steps per second of a console with 60 frames
KEYS = (None, "right", "left")  # of a paddle's knob: up and down
BALL_X, BALL_Y, PADDLE_Y = 49, 54, 51  # in the console's memory
MINE, LOW, HIGH = 188, 44, 207  # where the ball is at the player's paddle, and between which it bounces
MIDDLE = 125
AIM = 4.0  # how far from the paddle's middle the ball is taken, at most: so it flies at angles
OFFSET = -8.0  # of a paddle that takes the ball in its middle
LONGEST = 7  # steps for which a key is held


def moved(held: int, steps: int) -> int:
    """How far the paddle is, so many steps after a key went down that is held for some of them: it slides."""
    speeds = [11, 19, *[23] * (held - 2)][:held] + ([9, 2] if held == 1 else [12, 3, 1])
    return sum(speeds[:steps]) if held else 0


class Planner:
    """Foresees where and when the ball arrives, and pushes the paddle once so that it is there then."""

    def __init__(self, delay: int, random_share: float, seed: int) -> None:
        self.delay, self.share, self.rng = delay, random_share, random.Random(seed)
        self.last: tuple[int, int] | None = None
        self.aim, self.push, self.busy, self.key = 0.0, 0, 0, 0

    def act(self, ram: np.ndarray) -> int:
        """An entry of ``KEYS``; called at every step."""
        target, steps = self.foresee(int(ram[BALL_X]), int(ram[BALL_Y]))
        self.busy = max(0, self.busy - 1)
        if self.push:
            self.push -= 1
            return self.key
        if self.busy:
            return 0
        away = target - int(ram[PADDLE_Y])
        left = max(0, steps - self.delay)
        held, wait = min(
            ((held, wait) for held in range(LONGEST + 1) for wait in range(left + 1)),
            key=lambda plan: (round(abs(moved(plan[0], left - plan[1]) - abs(away)) / 4), plan[1]),
        )
        if not held or wait:
            return 0
        self.push, self.busy = held - 1, held + 4 + self.delay
        self.key = 2 if away > 0 else 1
        if self.rng.random() < self.share:
            self.key = self.rng.randrange(3)
        return self.key

    def foresee(self, x: int, y: int) -> tuple[float, int]:
        """Where the paddle should be, and in how many steps; in the middle while no ball comes."""
        last, self.last = self.last, (x, y) if y else None
        if last is None or not y or x <= last[0] or x > MINE:
            self.aim = self.rng.uniform(-AIM, AIM)
            return MIDDLE, 20
        steps = (MINE - x) / (x - last[0])
        flown = (y + (y - last[1]) * steps - LOW) % (2 * (HIGH - LOW))
        return LOW + min(flown, 2 * (HIGH - LOW) - flown) + OFFSET + self.aim, round(steps)


class Player:
    """Called at every step of the recorder: looks, and holds the key that it meant to hold some steps ago."""

    def __init__(self, env: gym.Env[Any, Any], delay: int, random_share: float, seed: int) -> None:
        game: Any = env.unwrapped
        self.memory, self.at_random, self.rng = game.ale.getRAM, random_share >= 1, random.Random(seed)
        self.planner = Planner(delay, random_share, seed)
        self.meant: deque[int] = deque([0] * delay)
        self.down: str | None = None

    def __call__(self) -> bool:
        """One step."""
        self.meant.append(self.planner.act(self.memory()))
        key = KEYS[self.meant.popleft()]
        self.hold(self.rng.choice(KEYS) if self.at_random else key)
        return False

    def hold(self, wanted: str | None) -> None:
        """One key or none; SDL hands it to the recorder's window like any other."""
        import pygame

        if wanted == self.down:
            return
        for key, kind in ((self.down, pygame.KEYUP), (wanted, pygame.KEYDOWN)):
            if key is not None:
                pygame.event.post(pygame.event.Event(kind, key=pygame.key.key_code(key)))
        self.down = wanted


def teach(
    folder: Path, delay: int, random_share: float, seed: int, minutes: float | None, games: int | None
) -> dict[str, Any]:
    """One recording, for a time or for so many games."""
    os.environ["SDL_VIDEODRIVER"] = "dummy"  # a window that nobody needs to see
    env = gym.make(ENV, render_mode="rgb_array", disable_env_checker=True)
    try:
        record_env(
            env,
            folder,
            facts={"name": "pong", "env": ENV, "env_options": {}},
            keys=KeyMap.of(env),
            rate=RATE,
            seed=seed,
            seconds=None if minutes is None else 60 * minutes,
            episodes=games,
            say=lambda text: None,
            stop=Player(env, delay, random_share, seed),
        )
    finally:
        env.close()
    return figures(folder, minutes is None, 1.0)
