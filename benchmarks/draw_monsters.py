"""Draws docs/images/monsters.png: the world of Monsters, from the letters and squares that its ROM is built from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hakisa_algos.training.pictures import Picture, png
from hakisa_envs.retro.game_files import HOMEBREW

sys.path += [str(HOMEBREW / "monsters"), str(HOMEBREW / "fighter")]  # its scripts import one another from their folders

from font import GLYPHS
from maps import rows
from squares import COLOURS, SQUARES

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "monsters.png"
SIDE = 8  # pixels of a square, of the 16 that it has in the game
GROUND, INK = (24, 28, 34), (200, 206, 214)
WORLD = (64, 48)  # squares
# Where each map's upper left square is: towns and routes as one walks through them, and what is inside houses.
PLACES = {
    "OAK": (0, 2), "ROUTE_2": (22, 3), "PORT": (44, 3), "ROUTE_1": (2, 18), "FERN": (1, 36), "ISLAND": (46, 18),
    "HEALER": (22, 18), "SHOP": (34, 18), "GYM_1": (22, 32), "GYM_2": (34, 32), "GYM_3": (46, 32),
}  # fmt: skip


def square(letter: str) -> Picture:
    """One of a map, at half of its size: every second pixel of every second row."""
    draw = next(draw for known, _, _, draw in SQUARES if known == letter)
    places = range(0, 16, 16 // SIDE)
    shown = np.array([[COLOURS[draw(x, y)] for x in places] for y in places])
    return (shown * 255 // 31).astype(np.uint8)  # the console's colours have five bits


def inside(name: str) -> list[str]:
    """A map's rows without what is black on all sides, as it is round the inside of houses."""
    lines = [row for row in rows(name) if row.strip()]
    left = min(len(row) - len(row.lstrip()) for row in lines)
    right = max(len(row.rstrip()) for row in lines)
    return [row[left:right] for row in lines]


def write(picture: Picture, words: str, x: int, y: int) -> None:
    """Letters, from a pixel on."""
    for at, letter in enumerate(words):
        for row, bits in enumerate(GLYPHS.get(letter, [0] * 7)):
            for column in range(5):
                if bits >> (4 - column) & 1:
                    picture[y + row, x + 6 * at + column] = INK


def world() -> Picture:
    """All maps with their names: uint8 RGB ``[384, 512, 3]``."""
    width, height = WORLD
    picture = np.full((height * SIDE, width * SIDE, 3), GROUND, np.uint8)
    drawn = {letter: square(letter) for letter, *_ in SQUARES}
    for name, (left, top) in PLACES.items():
        write(picture, name.replace("_", " "), left * SIDE, top * SIDE - 9)
        for y, row in enumerate(inside(name), top):
            for x, letter in enumerate(row, left):
                picture[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE] = drawn[letter]
    return picture


def main() -> None:
    PICTURE.write_bytes(png(world()))
    print(f"Written: {PICTURE} ({PICTURE.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
