"""Plays Monsters by its maps: walks the shortest ways, talks, and fights by pressing A."""

import heapq
from collections.abc import Iterator

import numpy as np
from maps import MAPS, rows
from squares import SQUARES

from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.pokemon.actions import BUTTONS, DIRECTIONS, PAD, pads
from hakisa_envs.retro.pokemon.emerald import Reading, Scene, read
from hakisa_envs.retro.pokemon.game import PRESS_FRAMES, WATCHED, in_control, never

KINDS = {letter: kind for letter, _, kind, _ in SQUARES}
WALKED = ("FREE", "GRASS_SQUARE", "DOOR", "EXIT")
STEPS = {"UP": (0, -1), "DOWN": (0, 1), "LEFT": (-1, 0), "RIGHT": (1, 0)}
GRASS_COST = 4  # tiles that are gone round for one of grass
LONGEST_WAIT, LONGEST_TALK = 240, 400
POTIONS = 5  # that come with the first monster
LOW = 0.5  # share of health


class Walker:
    """Plays decisions that last until control returns, and counts them.

    Attributes:
        decisions: How many.
        tiles: Those that were walked.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.decisions = self.tiles = 0
        self._potions = POTIONS

    def reading(self) -> Reading:
        """What the memory says."""
        return self.emulator.inspect(read)

    def where(self) -> tuple[str, int, int]:
        """Map, x and y."""
        place = self.reading().place
        assert place is not None
        return list(MAPS)[place.number], place.x, place.y

    def press(self, direction: str = "", button: str = "") -> None:
        """A decision."""
        held = pads(DIRECTIONS.index(direction), BUTTONS.index(button), PRESS_FRAMES)
        self.emulator.play(held, (), never)
        self.emulator.play(np.zeros((LONGEST_WAIT, len(PAD)), np.uint8), WATCHED, in_control)
        self.decisions += 1

    def settle(self) -> None:
        """Press A until nobody talks and nobody fights; drink a potion where that helps."""
        for _ in range(LONGEST_TALK):
            reading = self.reading()
            if reading.scene is Scene.OVERWORLD and not reading.locked:
                return
            if reading.scene is Scene.BATTLE and self._potions and self._is_low(reading):
                self._drink()
            else:
                self.press(button="A")
        raise AssertionError(f"There is no end of talk in {self.where()}.")

    def go(self, x: int, y: int) -> None:
        """Walk to a place in this map, round what is in the way; a door there leads on."""
        name, blocked = self.where()[0], set[tuple[int, int]]()
        while self.where() != (name, x, y):
            here = self.where()
            direction = next(iter(self._way(here, (x, y), blocked)))
            self.press(direction)
            now = self.where()
            self.settle()
            if now == here:
                blocked.add((here[1] + STEPS[direction][0], here[2] + STEPS[direction][1]))
            else:
                self.tiles += 1
            if self.where()[0] != name:
                if now[0] == name and now[1:] != (x, y):
                    raise AssertionError(f"All fainted on the way to {name} {x} {y}.")
                return

    def use(self, direction: str) -> None:
        """Talk to whom or what is there, and say yes to everything."""
        self.press(direction)
        self.press(button="A")
        self.settle()

    def _is_low(self, reading: Reading) -> bool:
        fighter = next((monster for monster in reading.party or () if monster.health), None)
        return fighter is not None and fighter.health < LOW * fighter.full_health

    def _drink(self) -> None:
        for _ in range(4):  # B ends what is said, and leads back to the first menu and no further
            self.press(button="B")
        if self.reading().scene is Scene.BATTLE:
            self.press("DOWN")
            self.press("DOWN")
            self.press(button="A")
            self._potions -= 1

    def _way(self, start: tuple[str, int, int], end: tuple[int, int], blocked: set[tuple[int, int]]) -> Iterator[str]:
        squares = rows(start[0])
        queue: list[tuple[int, tuple[int, int], tuple[str, ...]]] = [(0, start[1:], ())]
        done = set()
        while queue:
            cost, (x, y), way = heapq.heappop(queue)
            if (x, y) == end:
                return iter(way)
            if (x, y) in done:
                continue
            done.add((x, y))
            for direction, (dx, dy) in STEPS.items():
                to = x + dx, y + dy
                if not (0 <= to[1] < len(squares) and 0 <= to[0] < len(squares[0])) or to in blocked:
                    continue
                kind = KINDS[squares[to[1]][to[0]]]
                if kind in WALKED or kind == "TREE":
                    step = GRASS_COST if kind == "GRASS_SQUARE" else 1
                    heapq.heappush(queue, (cost + step, to, (*way, direction)))
        raise AssertionError(f"There is no way from {start} to {end}.")


def journey(walker: Walker) -> Iterator[str]:
    """Play from the first town to the third badge; says each milestone when it is there."""
    walker.go(8, 8)
    walker.use("UP")
    yield "starter"
    walker.go(8, 0)
    yield "route.1"
    walker.go(7, 0)
    yield "oak"
    walker.go(16, 4)
    yield "gym.1"
    walker.go(10, 4)
    walker.go(7, 2)
    walker.use("UP")
    yield "badge.1"
    walker.go(7, 9)
    walker.go(19, 7)
    walker.go(7, 6)
    walker.use("RIGHT")
    yield "tree"
    walker.go(19, 6)
    yield "port"
    walker.go(11, 3)
    yield "gym.2"
    walker.go(4, 4)
    walker.go(7, 2)
    walker.use("UP")
    yield "badge.2"
    walker.go(7, 9)
    walker.go(10, 9)
    walker.use("DOWN")
    yield "island"
    walker.go(6, 5)
    walker.go(10, 4)
    walker.go(7, 2)
    walker.use("UP")
    yield "badge.3"
