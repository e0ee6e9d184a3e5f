"""Writes the maps as a C header: python3 lay_maps.py > maps.h"""

from maps import MAPS, PORTALS, SIGNS, START, find, rows
from squares import SQUARES

LETTERS = [letter for letter, *_ in SQUARES]


def main() -> None:
    print('/* Written by lay_maps.py. */\n#ifndef MAPS_H\n#define MAPS_H\n\n#include "world.h"\n')
    print("enum { " + ", ".join(f"SQUARE_{name}" for _, name, *_ in SQUARES) + " };")
    kinds = ", ".join(kind for _, _, kind, _ in SQUARES)
    print(f"static const u8 square_kinds[] __attribute__((unused)) = {{{kinds}}};\n")
    for name in MAPS:
        print(f"static const u8 squares_{name}[] = {{")
        for row in rows(name):
            print("    " + ", ".join(str(LETTERS.index(letter)) for letter in row) + ",")
        print("};")
    print("static const Map maps[MAPS] __attribute__((unused)) = {")
    for name in MAPS:
        print(f"    [{name}] = {{squares_{name}, {len(rows(name)[0])}, {len(rows(name))}}},")
    print("};\n")
    print(f"enum {{ PORTALS = {len(PORTALS)}, SIGNS = {len(SIGNS)}, START_X = {START[0]}, START_Y = {START[1]} }};")
    print("static const Portal portals[] __attribute__((unused)) = {")
    for (name, x, y), to in PORTALS.items():
        print(f"    {{{name}, {x}, {y}, {'PORTAL_OUT, 0, 0' if to is None else f'{to[0]}, {to[1]}, {to[2]}'}}},")
    print("};\n\ntypedef struct {\n    u8 map, x, y;\n    const char *words;\n} Sign;")
    print("static const Sign signs[] __attribute__((unused)) = {")
    for (name, x, y), words in zip(find("S"), SIGNS, strict=True):
        print(f'    {{{name}, {x}, {y}, "{words}"}},')
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
