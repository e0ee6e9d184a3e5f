"""Draws all that the game shows and writes it as a C header: python3 draw_tiles.py > tiles.h

Nothing but whole and rational arithmetic, so every machine draws the same bytes.
"""

from font import GLYPHS
from poses import POSES, joints

CLEAR, OUTLINE, SKIN, SKIN_SHADE, CLOTH, CLOTH_SHADE, GLOVE, HAIR, BELT, WHITE = range(10)
LEFT, RIGHT, TOP = -40, 64, 96  # what a pose may cover, in whole tiles

# Colours as "RGB" with digits 0 to 7, for each number.
TEXT = "000 000 000 000 000 000 000 000 000 000 670 000 650 400 771 777"
SKY = "000 146 256 367 477 253 132 643 532 321 545 434 655 300 760 777"
BODY = "000 000 754 532 {cloth} {shade} {belt} 210 {belt} 777 067 000 000 000 377 777"
SUITS = {  # cloth, its shade, belt and gloves
    "human": "777 456 700",
    "passive": "555 333 070",
    "turtle": "040 020 660",
    "rusher": "700 400 000",
    "zoner": "406 203 770",
    "mixed": "014 002 730",
}

Picture = list[list[int]]  # rows of colour numbers
Tile = tuple[tuple[int, ...], ...]
Place = tuple[float, float]


def blank(width: int, height: int) -> Picture:
    return [[0] * width for _ in range(height)]


def distance2(x: float, y: float, start: Place, end: Place) -> float:
    """The square of the distance from a point to a line between two others."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy
    along = 0.0 if length == 0 else min(1.0, max(0.0, ((x - start[0]) * dx + (y - start[1]) * dy) / length))
    nx, ny = x - start[0] - along * dx, y - start[1] - along * dy
    return nx * nx + ny * ny


def limb(picture: Picture, start: Place, end: Place, radius: float, colour: int, shade: int) -> None:
    """A line with round ends, darker below, with an outline of one pixel."""
    for row in range(TOP):
        for column in range(RIGHT - LEFT):
            x, y = column + LEFT + 0.5, TOP - row - 0.5
            if distance2(x, y, start, end) <= radius * radius:
                # Lit from above and in front: what is not near a line moved that way is shade.
                lit = distance2(x - radius * 0.35, y - radius * 0.45, start, end) <= radius * radius * 0.72
                picture[row][column] = colour if lit else shade
            elif distance2(x, y, start, end) <= (radius + 1) * (radius + 1):
                picture[row][column] = OUTLINE


def fighter(pose: str) -> Picture:
    """A pose, from the limbs furthest away to the nearest."""
    at = joints(pose)
    picture = blank(RIGHT - LEFT, TOP)
    hip, neck, head = at["hip"], at["neck"], at["head"]

    def leg(side: str, cloth: int) -> None:
        knee, foot = at[f"{side}_knee"], at[f"{side}_foot"]
        limb(picture, hip, knee, 5.5, cloth, CLOTH_SHADE)
        limb(picture, (foot[0], foot[1] + 1), (foot[0] + 5, foot[1]), 2.4, SKIN, SKIN_SHADE)
        limb(picture, knee, (foot[0], foot[1] + 3), 4.2, cloth, CLOTH_SHADE)

    def arm(side: str, cloth: int) -> None:
        elbow, hand = at[f"{side}_elbow"], at[f"{side}_hand"]
        limb(picture, elbow, hand, 3.0, SKIN, SKIN_SHADE)
        limb(picture, (neck[0], neck[1] - 2), elbow, 4.2, cloth, CLOTH_SHADE)
        limb(picture, hand, hand, 3.8, GLOVE, GLOVE)

    arm("back", CLOTH_SHADE)
    leg("back", CLOTH_SHADE)
    leg("front", CLOTH)
    limb(picture, (neck[0], neck[1] - 4), (hip[0], hip[1] + 2), 8.0, CLOTH, CLOTH_SHADE)
    limb(picture, (hip[0] - 5, hip[1] + 3), (hip[0] + 5, hip[1] + 3), 1.6, BELT, BELT)
    limb(picture, neck, head, 4.0, SKIN_SHADE, SKIN_SHADE)
    limb(picture, head, head, 6.5, SKIN, SKIN_SHADE)
    # Hair above a band, and an eye.
    up = (head[0] - neck[0], head[1] - neck[1])
    for row in range(TOP):
        for column in range(RIGHT - LEFT):
            x, y = column + LEFT + 0.5 - head[0], TOP - row - 0.5 - head[1]
            if picture[row][column] in (SKIN, SKIN_SHADE) and x * x + y * y <= 42.5:
                height = (x * up[0] + y * up[1]) / 7.5
                if height > 2.5 or (height > 0 and x * up[1] - y * up[0] < -20):
                    picture[row][column] = HAIR
                elif 1.2 < height <= 2.5:
                    picture[row][column] = BELT
    eye = (int(head[0] - LEFT + 3), int(TOP - head[1]))
    picture[eye[1]][eye[0]] = OUTLINE
    picture[eye[1]][eye[0] + 1] = WHITE
    arm("front", CLOTH)
    return picture


def tile(picture: Picture, left: int, top: int) -> Tile:
    return tuple(tuple(picture[top + y][left + x] for x in range(8)) for y in range(8))


def words(one: Tile) -> list[int]:
    """A tile as the video chip wants it: four bits a pixel."""
    return [row[i] << 12 | row[i + 1] << 8 | row[i + 2] << 4 | row[i + 3] for row in one for i in (0, 4)]


def is_blank(picture: Picture, left: int, top: int, width: int, height: int) -> bool:
    return not any(any(row[left : left + width]) for row in picture[top : top + height])


def pieces(picture: Picture, first_tile: int) -> tuple[list[str], list[Tile]]:
    """Cut a pose into sprites of at most 4 x 4 tiles that leave out what is empty."""
    rows, tiles = [], []
    columns = [c for c in range(0, RIGHT - LEFT, 8) if not is_blank(picture, c, 0, 8, TOP)]
    for left in range(columns[0], columns[-1] + 8, 32):
        width = min(32, columns[-1] + 8 - left)
        filled = [r for r in range(0, TOP, 8) if not is_blank(picture, left, r, width, 8)]
        for top in range(filled[0], filled[-1] + 8, 32) if filled else ():
            height = min(32, filled[-1] + 8 - top)
            x, w = left, width
            while is_blank(picture, x, top, 8, height):
                x, w = x + 8, w - 8
            while is_blank(picture, x + w - 8, top, 8, height):
                w -= 8
            size = (w // 8 - 1) << 2 | (height // 8 - 1)
            rows.append(f"{{{x + LEFT}, {top - TOP}, {w}, {size}, {first_tile + len(tiles)}}},")
            tiles += [tile(picture, c, r) for c in range(x, x + w, 8) for r in range(top, top + height, 8)]
    return rows, tiles


def glyph(rows: list[int]) -> Tile:
    """A letter in white with a dark shadow to its lower right."""
    picture = blank(8, 8)
    for shift, colour in ((1, 1), (0, 15)):
        for y, bits in enumerate(rows):
            for x in range(5):
                if bits >> (4 - x) & 1:
                    picture[y + shift][x + 1 + shift] = colour
    return tile(picture, 0, 0)


def bar(filled: int) -> Tile:
    """A piece of a health bar, `filled` pixels of it from the left."""
    rows = [[14 if x < filled else 13 for x in range(8)] for _ in range(8)]
    rows[0] = rows[7] = [15] * 8
    rows[1] = rows[6] = [12 if x < filled else 13 for x in range(8)]
    return tile(rows, 0, 0)


def ball(phase: int) -> Picture:
    picture = blank(16, 16)
    for y in range(16):
        for x in range(16):
            d = (x - 7.5) ** 2 + (y - 7.5) ** 2 - (6 if phase and (x + y) % 3 == 0 else 0)
            picture[y][x] = 15 if d < 12 else 14 if d < 30 else 10 if d < 56 else 0
    return picture


def shadow() -> Picture:
    return [
        [1 if ((x - 15.5) / 15.5) ** 2 + ((y - 3.5) / 3.5) ** 2 <= 1 and (x + y) % 2 else 0 for x in range(32)]
        for y in range(8)
    ]


def backdrop() -> Picture:
    """Sky, two rows of hills, a wall and a floor; it repeats every 128 pixels."""
    picture = blank(128, 224)
    for y in range(224):
        for x in range(128):
            far = 96 + abs((x + 20) % 64 - 32) // 2
            near = 118 + abs(x - 64) // 4
            if y >= 190:
                line = y in (190, 206) or (x + (16 if y >= 206 else 0)) % 32 == 0
                colour = 9 if line else 7 if y < 206 else 8
            elif y >= 150:
                brick = y % 10 == 0 or (x + (y // 10 % 2) * 8) % 16 == 0
                colour = 12 if y < 154 else 11 if brick else 10
            elif y >= near:
                colour = 6
            elif y >= far:
                colour = 5
            else:
                colour = 1 + min(3, y // 30)
            picture[y][x] = colour
    return picture


def array(kind: str, name: str, values: list[int]) -> str:
    lines = [", ".join(f"0x{v:04X}" for v in values[i : i + 12]) for i in range(0, len(values), 12)]
    return f"static const {kind} {name}[] = {{\n    " + ",\n    ".join(lines) + ",\n};\n"


def rgb(*colours: str) -> list[int]:
    """Colours in the video chip's order."""
    return [int(c[0]) << 1 | int(c[1]) << 5 | int(c[2]) << 9 for c in colours]


def main() -> None:
    tiles: list[Tile] = [tile(blank(8, 8), 0, 0)]
    print('/* Written by draw_tiles.py. */\n#ifndef TILES_H\n#define TILES_H\n\n#include "ram.h"\n')
    print(f"enum {{ FONT_TILE = {len(tiles)} }}; /* of the space */")
    tiles += [glyph(GLYPHS.get(chr(code), [0] * 7)) for code in range(32, 91)]
    print(f"enum {{ BAR_TILE = {len(tiles)} }}; /* empty; each after it has a pixel more, to 8 */")
    tiles += [bar(filled) for filled in range(9)]
    print(f"enum {{ BALL_TILE = {len(tiles)} }}; /* two phases of 4 tiles */")
    for phase in range(2):
        tiles += [tile(ball(phase), x, y) for x in (0, 8) for y in (0, 8)]
    print(f"enum {{ SHADOW_TILE = {len(tiles)} }};")
    tiles += [tile(shadow(), x, 0) for x in (0, 8, 16, 24)]

    picture, cells = backdrop(), []
    known: dict[Tile, int] = {}
    first = len(tiles)
    for row in range(28):
        for column in range(16):
            one = tile(picture, 8 * column, 8 * row)
            if one not in known:
                known[one] = first + len(known)
                tiles.append(one)
            cells.append(known[one])
    print(f"enum {{ BACKDROP_WIDTH = 16 }};\n{array('u16', 'backdrop', cells)}")

    print("typedef struct {\n    s8 x, y;\n    u8 width, size;\n    u16 tile;\n} Piece;\n")
    rows: list[str] = []
    firsts = [0]
    for pose in POSES:
        more, new = pieces(fighter(pose), len(tiles))
        rows += more
        tiles += new
        firsts.append(len(rows))
    print("/* Where sprites lie, from the feet of a fighter that looks right. */")
    print("static const Piece pieces[] = {\n    " + "\n    ".join(rows) + "\n};")
    print("enum Pose { " + ", ".join(f"POSE_{pose}" for pose in POSES) + " };")
    print(array("u8", "first_piece", firsts))
    print(array("u16", "tiles", [word for one in tiles for word in words(one)]))

    print(array("u16", "text_colours", rgb(*TEXT.split())))
    print(array("u16", "sky_colours", rgb(*SKY.split())))
    print("/* The human, and then the styles of the computer. */\nstatic const u16 suit_colours[][16] = {")
    for suit in SUITS.values():
        cloth, shade, belt = suit.split()
        colours = rgb(*BODY.format(cloth=cloth, shade=shade, belt=belt).split())
        print("    {" + ", ".join(f"0x{c:04X}" for c in colours) + "},")
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
