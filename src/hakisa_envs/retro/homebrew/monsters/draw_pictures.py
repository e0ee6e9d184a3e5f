"""Draws all that the game shows and writes it as a C header:
PYTHONPATH=../fighter python3 draw_pictures.py > pictures.h

Nothing but whole and rational arithmetic, so every machine draws the same bytes.
"""

from collections.abc import Callable

from font import GLYPHS
from squares import COLOURS, SQUARES

Pixel = Callable[[int, int], int]
LETTERS = {**GLYPHS, ",": [0, 0, 0, 0, 4, 4, 8]}

OUTLINE, SKIN, HAIR, CLOTH, SHADE, PALE, EYE = range(1, 8)
PEOPLE = {  # cloth and hair of a palette's person
    "ball": ((28, 5, 5), (30, 30, 30)),
    "player": ((26, 6, 6), (12, 7, 3)),
    "worker": ((29, 29, 29), (16, 16, 17)),
    "trainer": ((6, 12, 26), (25, 20, 6)),
    "leader": ((16, 5, 22), (6, 6, 8)),
    "girl": ((29, 14, 20), (20, 10, 4)),
}
TYPES = {  # cloth and shade of a type's monsters
    "normal": ((23, 20, 14), (15, 12, 8)),
    "grass": ((11, 24, 8), (5, 14, 4)),
    "fire": ((30, 15, 4), (22, 7, 3)),
    "water": ((9, 17, 30), (5, 9, 22)),
    "rock": ((19, 17, 15), (11, 10, 9)),
}
MONSTERS = (  # type, half width and height of the body, of the head, how high the ears, how many feet
    ("grass", 9, 8, 7, 8, 2), ("fire", 7, 9, 7, 10, 2), ("water", 10, 7, 8, 3, 2), ("rock", 11, 9, 0, 0, 4),
    ("normal", 6, 6, 6, 12, 4), ("grass", 11, 6, 5, 5, 4), ("fire", 9, 10, 8, 6, 2), ("water", 12, 8, 6, 9, 0),
    ("rock", 13, 11, 6, 4, 2),
)  # fmt: skip


def tile(pixel: Pixel, left: int, top: int) -> list[int]:
    """Eight by eight pixels as the video chip wants them: four bits each, the left one lowest."""
    return [sum(pixel(left + x + i, top + y) << 4 * i for i in range(4)) for y in range(8) for x in (0, 4)]


def tiles(pixel: Pixel, side: int) -> list[int]:
    """A square picture, tile by tile."""
    return [word for top in range(0, side, 8) for left in range(0, side, 8) for word in tile(pixel, left, top)]


def glyph(rows: list[int]) -> Pixel:
    return lambda x, y: 2 if 1 <= x <= 5 and y < 7 and rows[y] >> (5 - x) & 1 else 1


def frame(side: int, end: int) -> Pixel:
    """A piece of a box: 0 is the middle, 1 the first and 2 the last of a row or column."""

    def pixel(x: int, y: int) -> int:
        from_edge = min(x if side == 1 else 7 - x if side == 2 else 8, y if end == 1 else 7 - y if end == 2 else 8)
        return 3 if from_edge == 1 else 2 if from_edge == 2 else 1

    return pixel


def bar(filled: int) -> Pixel:
    return lambda x, y: 1 if y in (0, 7) else 2 if y in (1, 6) else 4 if x < filled else 5


def person(facing: int, step: int) -> Pixel:
    """Somebody who looks south, north, west or east, standing or in mid-step."""

    def pixel(x: int, y: int) -> int:
        head = (2 * x - 15) ** 2 + (2 * y - 10) ** 2
        if head <= 90:
            eyes = {0: (6, 9), 1: (), 2: (5,), 3: (10,)}[facing]
            if y in (5, 6) and x in eyes:
                return EYE
            face = y >= 4 and facing != 1 and not (facing == 2 and x > 9) and not (facing == 3 and x < 6)
            return OUTLINE if head > 70 else SKIN if face else HAIR
        if 9 <= y <= 12 and 4 <= x <= 11:
            return OUTLINE if x in (4, 11) else CLOTH
        if y >= 13 and (5 <= x <= 7 or 8 <= x <= 10):
            lifted = step and (x <= 7) == (facing % 2 == 0)
            return 0 if lifted and y == 15 else SHADE
        return 0

    return pixel


def ball(x: int, y: int) -> int:
    away = (2 * x - 15) ** 2 + (2 * y - 17) ** 2
    if away > 144:
        return 0
    return OUTLINE if away > 110 or y in (8, 9) else CLOTH if y < 8 else HAIR


def monster(width: int, height: int, head: int, ears: int, feet: int) -> Pixel:
    """A body, a head that looks to the left, ears and feet."""
    body_y, head_x, head_y = 29 - height, 13, 27 - 2 * height

    def pixel(x: int, y: int) -> int:
        body = ((x - 17) / width) ** 2 + ((y - body_y) / height) ** 2
        face = (x - head_x) ** 2 + (y - head_y) ** 2 if head else 999
        if (x - head_x + 3) ** 2 + (y - head_y + 1) ** 2 <= 2 and head:
            return EYE
        if not head and (x - 12) ** 2 + (y - body_y + 2) ** 2 <= 2:
            return EYE
        if face <= head * head:
            return OUTLINE if face > (head - 1) ** 2 else PALE if y > head_y + head // 2 else CLOTH
        ear = ears and abs(abs(x - head_x) - head + 2) <= 1 + (y - head_y) // -9
        if ear and head_y - head - ears // 2 <= y < head_y:
            return SHADE
        if body <= 1:
            return OUTLINE if body > 0.82 else SHADE if x > 17 + width // 2 or (x + y) % 6 == 0 else CLOTH
        if y >= 28 and any(abs(x - 17 - offset) <= 1 for offset in (-6, 6, -2, 2)[:feet]):
            return OUTLINE
        return 0

    return pixel


def rgb(colours: list[tuple[int, int, int]]) -> list[int]:
    return [red | green << 5 | blue << 10 for red, green, blue in colours]


def palette(cloth: tuple[int, int, int], hair: tuple[int, int, int]) -> list[int]:
    dark = tuple(part * 2 // 3 for part in cloth)
    known = [(0, 0, 0), (3, 3, 5), (29, 22, 16), hair, cloth, dark, (30, 28, 22), (2, 2, 2)]
    return rgb(known + [(0, 0, 0)] * 8)  # type: ignore[list-item]


def array(name: str, values: list[int]) -> None:
    lines = [", ".join(f"0x{value:04X}" for value in values[at : at + 12]) for at in range(0, len(values), 12)]
    print(f"static const u16 {name}[] = {{\n    " + ",\n    ".join(lines) + ",\n};")


def main() -> None:
    print('/* Written by draw_pictures.py. */\n#ifndef PICTURES_H\n#define PICTURES_H\n\n#include "gba.h"\n')
    letters = [LETTERS.get(chr(code), [0] * 7) for code in range(32, 91)]
    frames = [frame(side, end) for end in range(3) for side in range(3)]
    text = [lambda x, y: 0, *map(glyph, letters), *frames, *map(bar, range(9))]
    print(f"enum {{ FRAME_TILE = {1 + len(letters)}, BAR_TILE = {1 + len(letters) + len(frames)} }};")
    array("text_tiles", [word for pixel in text for word in tile(pixel, 0, 0)])
    array("text_colours", rgb([(0, 0, 0), (30, 30, 29), (4, 4, 7), (10, 13, 22), (6, 24, 8), (18, 18, 18)]))
    array("map_tiles", [word for *_, draw in SQUARES for word in tiles(draw, 16)])
    array("map_colours", rgb(COLOURS))
    print("enum { PERSON_TILE = 0, BALL_TILE = 32, MONSTER_TILE = 36 };")
    sprites = [word for facing in range(4) for step in range(2) for word in tiles(person(facing, step), 16)]
    sprites += tiles(ball, 16)
    for _, *shape in MONSTERS:
        sprites += tiles(monster(*shape), 32)
    array("sprite_tiles", sprites)
    order = [len(PEOPLE) + list(TYPES).index(kind) for kind, *_ in MONSTERS]
    print(f"static const u8 monster_palettes[] = {{{', '.join(map(str, order))}}};")
    print("static const u16 sprite_colours[][16] = {")
    for cloth, other in [*PEOPLE.values(), *TYPES.values()]:
        print("    {" + ", ".join(f"0x{value:04X}" for value in palette(cloth, other)) + "},")
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
