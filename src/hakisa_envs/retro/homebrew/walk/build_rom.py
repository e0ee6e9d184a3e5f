"""Builds Walk, a Game Boy ROM that keeps a walker's numbers where Pokémon Red keeps them: python build_rom.py

It needs no compiler: the few instructions that it is made of are written here as bytes. A step takes 16 frames and
costs the first monster some health. A sets the event of the column that one is in and brings 1 of money, B at the upper
edge brings a badge; for 20 frames the pad is not heard then. On the ninth row one is in battle, and beyond the right
edge lies the next map.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent / "HakisaWalk-GameBoy-v0"
START, SIZE = 0x150, 0x8000
STEP_FRAMES, WORD_FRAMES, SIDE = 16, 20, 16

MONEY, BADGES, MAP, Y, X, EVENTS, BATTLE = 0xD347, 0xD356, 0xD35E, 0xD361, 0xD362, 0xD747, 0xD057
PARTY_COUNT, PARTY = 0xD163, 0xD16B
IGNORED, WALKING = 0xCD6B, 0xCFC5
MAGIC, DRAWN = 0xC100, 0xC102  # a byte that says whose memory this is; where the walker is drawn
FIRST = {
    MAGIC: b"\x57",
    MAP: bytes([38]),
    Y: bytes([6, 3]),
    MONEY: b"\x00\x30\x00",
    PARTY_COUNT: b"\x01",
    PARTY: b"\x01\x00\x13",  # kind, health
    PARTY + 0x0E: b"\x00\x00\x7d",  # experience
    PARTY + 0x21: b"\x05\x00\x14",  # level, full health
    DRAWN: b"\x00\x98",
}
RIGHT, LEFT, UP, DOWN = range(4)  # bits of the pad, low if pressed


class Program:
    """Machine code with labels."""

    def __init__(self) -> None:
        self.code = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def add(self, *values: int) -> None:
        """Instructions as bytes."""
        self.code += bytes(values)

    def word(self, opcode: int, value: int) -> None:
        """An instruction with 16 bits."""
        self.add(opcode, value & 0xFF, value >> 8)

    def load(self, address: int) -> None:
        """A from memory."""
        self.word(0xFA, address)

    def store(self, address: int) -> None:
        """A into memory."""
        self.word(0xEA, address)

    def put(self, address: int, value: int) -> None:
        """A number into memory, through A."""
        self.add(0x3E, value)
        self.store(address)

    def label(self, name: str) -> None:
        """Here."""
        self._labels[name] = START + len(self.code)

    def jump(self, name: str, opcode: int = 0xC3) -> None:
        """Go there; C2 if not zero, CA if zero, D2 if not below, DA if below, CD and come back."""
        self._jumps.append((len(self.code) + 1, name))
        self.word(opcode, 0)

    def linked(self) -> bytes:
        """The code with its addresses."""
        for at, name in self._jumps:
            self.code[at : at + 2] = self._labels[name].to_bytes(2, "little")
        return bytes(self.code)


IF_NOT_ZERO, IF_ZERO, IF_NOT_BELOW, CALL = 0xC2, 0xCA, 0xD2, 0xCD


def fill(program: Program, name: str, start: int, count: int, value: int) -> None:
    """A number into many bytes."""
    program.word(0x21, start)  # ld hl
    program.word(0x01, count)  # ld bc
    program.label(name)
    program.add(0x3E, value, 0x22, 0x0B, 0x78, 0xB1)  # ld a, value; ld [hl+], a; dec bc; ld a, b; or c
    program.jump(name, IF_NOT_ZERO)


def begin(program: Program) -> None:
    program.add(0xF3, 0x31, 0xF0, 0xDF)  # di; ld sp
    program.jump("vblank", CALL)
    program.add(0xAF, 0xE0, 0x40)  # screen off
    fill(program, "clear", 0xC000, 0x1F00, 0)
    fill(program, "tiles", 0x8000, 0x10, 0)
    fill(program, "walker", 0x8010, 0x10, 0xFF)
    fill(program, "screen", 0x9800, 0x400, 0)
    for address, values in FIRST.items():
        for offset, value in enumerate(values):
            program.put(address + offset, value)
    program.add(0x3E, 0xE4, 0xE0, 0x47)  # palette
    program.add(0x3E, 0x91, 0xE0, 0x40)  # screen on


def walk(program: Program, bit: int, address: int, by: int) -> None:
    """If a direction is pressed, go there if one is not at the edge."""
    program.add(0xCB, 0x40 + 8 * bit)  # bit, b
    program.jump(f"not {bit}", IF_NOT_ZERO)
    program.load(address)
    edge = SIDE - 1 if by > 0 else 0
    program.add(0xFE, edge)  # cp
    program.jump(f"edge {bit}", IF_ZERO)
    program.add(0x3C if by > 0 else 0x3D)  # inc a, dec a
    program.store(address)
    program.jump("walked")
    program.label(f"edge {bit}")
    if bit == RIGHT:
        program.load(MAP)
        program.add(0x3C)
        program.store(MAP)
        program.put(X, 0)
        program.jump("walked")
    program.label(f"not {bit}")


def play(program: Program) -> None:
    program.label("frame")
    program.jump("vblank", CALL)
    program.jump("draw", CALL)
    for counter in (IGNORED, WALKING):
        program.load(counter)
        program.add(0xA7)  # and a
        program.jump(f"free {counter}", IF_ZERO)
        program.add(0x3D)
        program.store(counter)
        program.jump("frame")
        program.label(f"free {counter}")
    program.add(0x3E, 0x20, 0xE0, 0x00, 0xF0, 0x00, 0xF0, 0x00, 0x47)  # directions into b
    walk(program, RIGHT, X, 1)
    walk(program, LEFT, X, -1)
    walk(program, UP, Y, -1)
    walk(program, DOWN, Y, 1)
    program.add(0x3E, 0x10, 0xE0, 0x00, 0xF0, 0x00, 0xF0, 0x00, 0x47)  # buttons into b
    program.add(0xCB, 0x40)  # A
    program.jump("not a", IF_NOT_ZERO)
    program.put(IGNORED, WORD_FRAMES)
    program.load(X)
    program.add(0x4F, 0x06, 0x00)  # ld c, a; ld b, 0
    program.word(0x21, EVENTS)
    program.add(0x09, 0xCB, 0xC6)  # add hl, bc; set 0, [hl]
    program.load(MONEY + 2)
    program.add(0xC6, 0x01, 0x27)  # add a, 1; daa
    program.store(MONEY + 2)
    program.load(MONEY + 1)
    program.add(0xCE, 0x00, 0x27)  # adc a, 0; daa
    program.store(MONEY + 1)
    program.jump("frame")
    program.label("not a")
    program.add(0xCB, 0x48)  # B
    program.jump("frame", IF_NOT_ZERO)
    program.put(IGNORED, WORD_FRAMES)
    program.load(Y)
    program.add(0xA7)
    program.jump("frame", IF_NOT_ZERO)
    program.load(BADGES)
    program.add(0x37, 0x17)  # scf; rla
    program.store(BADGES)
    program.jump("frame")
    program.label("walked")
    program.put(WALKING, STEP_FRAMES - 1)
    program.load(PARTY + 2)
    program.add(0xD6, 0x01)  # sub 1
    program.jump("fainted", 0xDA)
    program.store(PARTY + 2)
    program.label("fainted")
    program.load(Y)
    program.add(0xFE, 8)
    program.jump("battle", IF_ZERO)
    program.put(BATTLE, 0)
    program.jump("frame")
    program.label("battle")
    program.put(BATTLE, 1)
    program.jump("frame")


def routines(program: Program) -> None:
    program.label("vblank")  # wait for its beginning
    program.add(0xF0, 0x44, 0xFE, 144)
    program.jump("vblank", IF_ZERO)
    program.label("wait")
    program.add(0xF0, 0x44, 0xFE, 144)
    program.jump("wait", IF_NOT_ZERO)
    program.add(0xC9)
    program.label("draw")  # the walker, where it is and no longer where it was
    program.load(DRAWN)
    program.add(0x6F)  # ld l, a
    program.load(DRAWN + 1)
    program.add(0x67, 0xAF, 0x77)  # ld h, a; xor a; ld [hl], a
    program.load(Y)
    program.add(0x6F, 0x26, 0x00, 0x29, 0x29, 0x29, 0x29, 0x29)  # hl = 32 y
    program.load(X)
    program.add(0x4F, 0x06, 0x98, 0x09)  # bc = 0x9800 + x; add hl, bc
    program.add(0x3E, 0x01, 0x77, 0x7D)  # ld a, 1; ld [hl], a; ld a, l
    program.store(DRAWN)
    program.add(0x7C)  # ld a, h
    program.store(DRAWN + 1)
    program.add(0xC9)


def rom() -> bytes:
    """The whole ROM."""
    program = Program()
    begin(program)
    play(program)
    routines(program)
    code = program.linked()
    whole = bytearray(SIZE)
    whole[0x100:0x104] = bytes([0x00, 0xC3, START & 0xFF, START >> 8])
    whole[0x134:0x138] = b"WALK"
    whole[START : START + len(code)] = code
    return bytes(whole)


def main() -> None:
    content = rom()
    (FOLDER / "rom.gb").write_bytes(content)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    (FOLDER / "rom.sha").write_text(sha1 + "\n", encoding="ascii")
    print(FOLDER / "rom.gb", sha1)


if __name__ == "__main__":
    main()
