"""Memory images of Emerald, written from its layout by other means than the decoding reads them: bit by bit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

ORDERS = """GAEM GAME GEAM GEMA GMAE GMEA AGEM AGME AEGM AEMG AMGE AMEG
EGAM EGMA EAGM EAMG EMGA EMAG MGAE MGEA MAGE MAEG MEGA MEAG""".split()  # noqa: SIM905


def put(memory: bytearray, at: int, value: int, size: int) -> None:
    """Write a number, its lowest byte first."""
    for byte in range(size):
        memory[at + byte] = value >> 8 * byte & 255


def got(memory: bytes, at: int, size: int) -> int:
    """Read a number, its lowest byte first."""
    return sum(memory[at + byte] << 8 * byte for byte in range(size))


def packed(personality: int, trainer: int, species: int, experience: int, level: int, hp: int, most: int) -> bytes:
    """One of a party: 100 bytes, its 48 secret ones encrypted one by one."""
    parts = {letter: bytearray((personality >> 3) + index & 255 for index in range(12)) for letter in "GAEM"}
    put(parts["G"], 0, species, 2)
    put(parts["G"], 4, experience, 4)
    plain = b"".join(bytes(parts[letter]) for letter in ORDERS[personality % 24])
    data = bytearray(100)
    put(data, 0, personality, 4)
    put(data, 4, trainer, 4)
    put(data, 0x1C, sum(got(plain, at, 2) for at in range(0, 48, 2)) % 65536, 2)
    for at in range(48):
        data[0x20 + at] = plain[at] ^ (personality ^ trainer) >> 8 * (at % 4) & 255
    put(data, 0x54, level, 1)
    put(data, 0x56, hp, 2)
    put(data, 0x58, most, 2)
    return bytes(data)


@dataclass
class Image:
    """A console's RAMs, blank or random."""

    ewram: bytearray = field(default_factory=lambda: bytearray(0x40000))
    iwram: bytearray = field(default_factory=lambda: bytearray(0x8000))
    save_1: int = 0x02025A00
    save_2: int = 0x02024A54
    key: int = 0

    @staticmethod
    def random(generator: np.random.Generator) -> Image:
        """Noise in which the pointers are as they must be."""
        image = Image(bytearray(generator.bytes(0x40000)), bytearray(generator.bytes(0x8000)))
        return image.point(0x02025A00 + 4 * int(generator.integers(32)), 0x02024A54 + 4 * int(generator.integers(32)))

    def point(self, save_1: int, save_2: int) -> Image:
        """Say where the save blocks lie, without moving them."""
        self.save_1, self.save_2 = save_1, save_2
        put(self.iwram, 0x5D8C, save_1, 4)
        put(self.iwram, 0x5D90, save_2, 4)
        return self

    def money(self, money: int, key: int) -> Image:
        """Write the money with its key."""
        put(self.ewram, self.save_2 - 0x02000000 + 0xAC, key, 4)
        put(self.ewram, self.save_1 - 0x02000000 + 0x490, money ^ key, 4)
        return self

    def stand(self, x: int, y: int, group: int = 0, number: int = 0) -> Image:
        """Put the player somewhere."""
        at = self.save_1 - 0x02000000
        for offset, value, size in ((0, x, 2), (2, y, 2), (4, group, 1), (5, number, 1)):
            put(self.ewram, at + offset, value, size)
        return self

    def flag(self, number: int, on: bool = True) -> Image:
        """Set a flag, or clear it."""
        at = self.save_1 - 0x02000000 + 0x1270 + number // 8
        self.ewram[at] = self.ewram[at] & ~(1 << number % 8) | on << number % 8
        return self

    def party(self, *monsters: bytes) -> Image:
        """Write the party."""
        self.ewram[0x244E9] = len(monsters)
        for index, monster in enumerate(monsters):
            self.ewram[0x244EC + 100 * index : 0x244EC + 100 * index + 100] = monster
        return self

    def blocks(self) -> dict[int, bytes]:
        """As the emulator hands them out."""
        return {0x02000000: bytes(self.ewram), 0x03000000: bytes(self.iwram)}
