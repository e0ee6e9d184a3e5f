"""Plays the Fighter: pads as names of buttons, memory by name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

pytest.importorskip("stable_retro", reason='the extra "retro" is not installed')

from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.game_files import Variable, homebrew

GAME = "HakisaFighter-Genesis-v0"
FULL_HEALTH, NOT_STARTED = 176, 0x9928
STAND, CROUCH, JUMP, BLOCK, BLOCK_LOW, ATTACK, SPECIAL, STUNNED = 512, 514, 516, 518, 520, 522, 524, 526
BEATEN, WINNER, THROWN, TIME_OVER = 528, 530, 532, 1024

# The game's own, which data.json does not name: player 1's, and 0x280 further player 2's.
OWN = {"move": (0xFF808F, "|u1"), "attacks": (0xFF8094, "|u1"), "ball": (0xFF8099, "|u1"), "fine_x": (0xFF8080, ">i2")}
PHASE = Variable(0xFF9009, "|u1")
INTRO, FIGHTING, ROUND_OVER, RESULT, NEXT_OPPONENT, CONTINUE, GAME_OVER = range(1, 8)


@dataclass
class Match:
    """An emulator with the Fighter in it, and how to play it by hand."""

    emulator: Emulator

    def __getitem__(self, name: str) -> int:
        return self.emulator.read(self._variable(name))

    def __setitem__(self, name: str, value: int) -> None:
        self.emulator.write(self._variable(name), value)

    def play(self, frames: int, one: str = "", two: str = "") -> None:
        """Hold these buttons for some frames."""
        self.emulator.hold(self.emulator.mask(one.split()), 0)
        self.emulator.hold(self.emulator.mask(two.split()), 1)
        for _ in range(frames):
            self.emulator.advance()

    def until(self, name: str, value: int, limit: int = 1000, one: str = "", two: str = "") -> int:
        """Play until a number is ``value``: the frames that took."""
        for frame in range(limit):
            if self[name] == value:
                return frame
            self.play(1, one, two)
        raise AssertionError(f"{name} was {self[name]} after {limit} frames, not {value}")

    def begin(self, state: str = "versus") -> Match:
        """The first frame in which fighters obey."""
        self.emulator.load(state)
        self.until("phase", FIGHTING)
        return self

    def approach(self, away: int) -> None:
        """Put player 2 so many pixels before player 1, who looks to the right."""
        self["enemy_fine_x"] = self["fine_x"] + 16 * away
        self.play(1)

    def _variable(self, name: str) -> Variable:
        if name == "phase":
            return PHASE
        if name.removeprefix("enemy_") in OWN:
            address, kind = OWN[name.removeprefix("enemy_")]
            return Variable(address + 0x280 * name.startswith("enemy_"), kind)
        return self.emulator.files.variables[name]


@pytest.fixture(scope="module")
def emulator():
    with Emulator(homebrew(GAME)) as opened:
        yield opened


@pytest.fixture
def match(emulator):
    return Match(emulator).begin()
