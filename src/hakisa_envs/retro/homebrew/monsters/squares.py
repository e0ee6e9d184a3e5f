"""The squares of which maps are made: letter, name, how it is walked on (see world.h), and how it is drawn."""

from collections.abc import Callable

(
    BLACK, FOREST, GREEN, LIGHT, BROWN, TAN, SAND, STONE, GREY, WHITE, RED, BLUE, SKY, YELLOW, PURPLE, DARK
) = range(16)  # fmt: skip
COLOURS = [  # red, green and blue, 0 to 31
    (0, 0, 0), (3, 11, 4), (9, 20, 7), (14, 25, 10), (13, 8, 3), (22, 15, 8), (28, 25, 17), (9, 9, 11),
    (18, 18, 20), (30, 30, 30), (25, 6, 5), (5, 11, 25), (12, 20, 30), (30, 26, 6), (17, 7, 22), (4, 4, 6),
]  # fmt: skip

Draw = Callable[[int, int], int]  # the colour of a pixel, from its place among 16 x 16


def ground(x: int, y: int) -> int:
    return LIGHT if (x * 7 + y * 3) % 23 == 0 else GREEN


def round_thing(fill: int, edge: int, radius: int, under: Draw = ground) -> Draw:
    def draw(x: int, y: int) -> int:
        distance = (2 * x - 15) ** 2 + (2 * y - 15) ** 2
        return fill if distance < (2 * radius - 3) ** 2 else edge if distance < (2 * radius) ** 2 else under(x, y)

    return draw


def wood(x: int, y: int) -> int:
    if y >= 12 and 6 <= x <= 9:
        return BROWN
    return round_thing(FOREST, DARK, 8)(x, y) if (x + 2 * y) % 7 else GREEN


def tall_grass(x: int, y: int) -> int:
    return FOREST if (x + (y // 4) * 2) % 4 == 0 or (y % 4 == 3 and x % 2) else GREEN


def flowers(x: int, y: int) -> int:
    away = (x % 8 - 4) ** 2 + (y % 8 - 4) ** 2
    petal = RED if (x // 8 + y // 8) % 2 else WHITE
    return YELLOW if away == 0 else petal if away <= 2 else ground(x, y)


def water(x: int, y: int) -> int:
    return SKY if (y % 8 in (2, 3) and (x + y) % 8 < 4) else BLUE


def roof(colour: int) -> Draw:
    return lambda x, y: DARK if y % 5 == 4 or (x + (y // 5) * 4) % 8 == 0 else colour


def wall(x: int, y: int) -> int:
    if 4 <= x <= 11 and 3 <= y <= 10:
        return DARK if x in (4, 11) or y in (3, 10) else SKY
    return BROWN if y >= 14 else SAND


def door(x: int, y: int) -> int:
    if x < 2 or x > 13:
        return SAND
    return DARK if y < 2 or x in (2, 13) else YELLOW if (x, y) == (11, 9) else BROWN


def floor(x: int, y: int) -> int:
    return TAN if x == 15 or y == 15 else SAND


def inner_wall(x: int, y: int) -> int:
    return DARK if y == 15 else STONE if y % 8 == 7 or (x + (y // 8) * 8) % 16 == 0 else GREY


def counter(x: int, y: int) -> int:
    return WHITE if y < 4 else BROWN if y == 4 or y == 15 else TAN


def sign(x: int, y: int) -> int:
    if 2 <= x <= 13 and 2 <= y <= 10:
        edge = x in (2, 13) or y in (2, 10)
        return BROWN if edge else DARK if y in (5, 7) and 4 <= x <= 11 else TAN
    return BROWN if 7 <= x <= 8 and y > 10 else ground(x, y)


def tree(x: int, y: int) -> int:
    if y >= 10 and 7 <= x <= 8:
        return BROWN
    return round_thing(LIGHT, FOREST, 6)(x, y + 2)


def mat(x: int, y: int) -> int:
    return RED if 1 <= x <= 14 and 4 <= y <= 14 and (x + y) % 4 else floor(x, y)


def machine(x: int, y: int) -> int:
    if x in (1, 14) or y in (0, 15):
        return DARK
    return WHITE if 3 <= y <= 7 and x % 4 != 1 and 3 <= x <= 12 else YELLOW if y == 12 and 6 <= x <= 9 else PURPLE


def box(x: int, y: int) -> int:
    if 2 <= x <= 13 and 1 <= y <= 9:
        return DARK if x in (2, 13) or y in (1, 9) else SKY
    return GREY if y > 9 else inner_wall(x, y)


def planks(x: int, y: int) -> int:
    return BROWN if y % 5 == 4 or (x == (y // 5 * 6) % 16) else TAN


SQUARES: tuple[tuple[str, str, str, Draw], ...] = (
    (" ", "BLACK", "BLOCKED", lambda x, y: BLACK),
    (".", "GROUND", "FREE", ground),
    ("#", "WOOD", "BLOCKED", wood),
    (",", "TALL_GRASS", "GRASS_SQUARE", tall_grass),
    ("'", "FLOWERS", "FREE", flowers),
    ("~", "WATER", "BLOCKED", water),
    ("R", "ROOF", "BLOCKED", roof(RED)),
    ("G", "GYM_ROOF", "BLOCKED", roof(PURPLE)),
    ("W", "WALL", "BLOCKED", wall),
    ("D", "DOOR", "DOOR", door),
    ("F", "FLOOR", "FREE", floor),
    ("B", "INNER_WALL", "BLOCKED", inner_wall),
    ("C", "COUNTER", "COUNTER", counter),
    ("S", "SIGN", "READ", sign),
    ("T", "TREE", "TREE", tree),
    ("E", "MAT", "EXIT", mat),
    ("O", "ROCK", "BLOCKED", round_thing(GREY, STONE, 7, floor)),
    ("M", "MACHINE", "MACHINE", machine),
    ("P", "BOX", "BOX_SQUARE", box),
    ("K", "PLANKS", "FREE", planks),
)
