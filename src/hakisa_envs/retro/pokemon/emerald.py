"""What the memory of Pokémon Emerald (USA) means; Monsters keeps its own in the same places.

Pure functions over the console's two RAMs. Addresses and layouts are from public projects that agree (pret/pokeemerald,
pygba). The save blocks move and their key changes with every warp, so nothing is kept from one reading to the next.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import NamedTuple

EWRAM, EWRAM_END = 0x02000000, 0x02040000
IWRAM = 0x03000000

SAVE_BLOCK_1, SAVE_BLOCK_2 = 0x03005D8C, 0x03005D90  # pointers
MONEY, FLAGS = 0x490, 0x1270  # in save block 1
FLAG_BYTES = 300
OWNED, SEEN, KEY = 0x28, 0x5C, 0xAC  # in save block 2
DEX_BYTES = 52
_SIZE_1, _SIZE_2 = FLAGS + FLAG_BYTES, KEY + 4  # as far as they are read
MOST_MONEY = 999_999

PARTY_COUNT, PARTY = 0x020244E9, 0x020244EC
MONSTER_BYTES, MOST_MONSTERS, BEST_LEVEL = 100, 6, 100
BADGES = tuple(range(0x867, 0x86F))  # flags
# Where growth is among growth, attacks, effort and miscellaneous, by personality % 24: GAEM GAME GEAM GEMA GMAE GMEA
# AGEM AGME AEGM AEMG AMGE AMEG EGAM EGMA EAGM EAMG EMGA EMAG MGAE MGEA MAGE MAEG MEGA MEAG.
_GROWTH = tuple(12 * int(place) for place in "000000112323112323112323")

CALLBACK = 0x030022C4  # what runs each frame
OVERWORLD, BATTLE = 0x08085E5D, 0x08038421  # with the bit that says Thumb
LOCKED = 0x03000F2C  # nonzero: the player cannot walk
IN_STEP = 0x02037593  # 1 while the player is between two tiles


class Scene(Enum):
    """What the game shows."""

    OVERWORLD = "overworld"
    BATTLE = "battle"
    OTHER = "other"  # menus, and what lies between the others


class Place(NamedTuple):
    """Where the player stands: tiles from the upper left of a map, which is a number in a group."""

    group: int
    number: int
    x: int
    y: int


@dataclass(frozen=True)
class Monster:
    """One of the party."""

    species: int
    experience: int
    level: int
    health: int
    full_health: int


@dataclass(frozen=True)
class Reading:
    """A moment's memory. None is no reading: what holds it is being written, or not there.

    Attributes:
        place: Of the player.
        money: From 0 to 999,999.
        flags: Bit ``f`` is flag ``f``.
        seen: Bit ``n`` is number ``n + 1`` in the national dex; likewise ``owned``.
        owned: Caught, evolved or received.
        party: In order.
        scene: What is shown.
        locked: Whether a dialog, a menu or a script keeps the player from walking.
    """

    place: Place | None
    money: int | None
    flags: int | None
    seen: int | None
    owned: int | None
    party: tuple[Monster, ...] | None
    scene: Scene
    locked: bool

    @property
    def is_whole(self) -> bool:
        """Whether there is a reading of everything."""
        return all(getattr(self, field.name) is not None for field in fields(self))

    @property
    def badges(self) -> int:
        """How many there are; 0 where flags are no reading."""
        return sum((self.flags or 0) >> flag & 1 for flag in BADGES)

    def over(self, last: Reading) -> Reading:
        """This reading, and ``last`` where it has none."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return Reading(**{name: getattr(last, name) if value is None else value for name, value in pairs})


def read(blocks: Mapping[int, bytes]) -> Reading:
    """The meaning of the console's memory.

    Args:
        blocks: The RAMs' bytes by their addresses: 256 KiB at 0x02000000 and 32 KiB at 0x03000000.
    """
    ewram, iwram = blocks[EWRAM], blocks[IWRAM]
    save_1, save_2 = _block(ewram, iwram, SAVE_BLOCK_1, _SIZE_1), _block(ewram, iwram, SAVE_BLOCK_2, _SIZE_2)
    place = money = flags = seen = owned = None
    if save_1 is not None:
        x, y, group, number = struct.unpack_from("<hhbb", save_1)
        place = Place(group, number, x, y)
        flags = int.from_bytes(save_1[FLAGS : FLAGS + FLAG_BYTES], "little")
    if save_2 is not None:
        owned = int.from_bytes(save_2[OWNED : OWNED + DEX_BYTES], "little")
        seen = int.from_bytes(save_2[SEEN : SEEN + DEX_BYTES], "little")
    if save_1 is not None and save_2 is not None:
        money = _word(save_1, MONEY) ^ _word(save_2, KEY)
        money = None if money > MOST_MONEY else money
    callback = _word(iwram, CALLBACK - IWRAM)
    scene = Scene.OVERWORLD if callback == OVERWORLD else Scene.BATTLE if callback == BATTLE else Scene.OTHER
    return Reading(place, money, flags, seen, owned, party(ewram), scene, iwram[LOCKED - IWRAM] != 0)


def party(ewram: bytes) -> tuple[Monster, ...] | None:
    """The party, or None while one of it is being written."""
    count = ewram[PARTY_COUNT - EWRAM]
    if count > MOST_MONSTERS:
        return None
    start = PARTY - EWRAM
    found = []
    for at in range(start, start + count * MONSTER_BYTES, MONSTER_BYTES):
        one = monster(ewram[at : at + MONSTER_BYTES])
        if one is None:
            return None
        found.append(one)
    return tuple(found)


def monster(data: bytes) -> Monster | None:
    """One of the party from its 100 bytes, or None if their checksum is another: they are being written."""
    personality, trainer = struct.unpack_from("<II", data)
    (checksum,) = struct.unpack_from("<H", data, 0x1C)
    key = (personality ^ trainer).to_bytes(4, "little") * 12
    plain = (int.from_bytes(data[0x20:0x50], "little") ^ int.from_bytes(key, "little")).to_bytes(48, "little")
    if sum(struct.unpack("<24H", plain)) & 0xFFFF != checksum:
        return None
    species, _, experience = struct.unpack_from("<HHI", plain, _GROWTH[personality % 24])
    level = data[0x54]
    health, full_health = struct.unpack_from("<HH", data, 0x56)
    if species == 0 or not 1 <= level <= BEST_LEVEL:
        return None
    return Monster(species, experience, level, health, full_health)


def _block(ewram: bytes, iwram: bytes, pointer: int, size: int) -> bytes | None:
    """What a pointer points to, if all of it lies in the RAM that save blocks are kept in."""
    start = _word(iwram, pointer - IWRAM)
    if not EWRAM <= start <= EWRAM_END - size:
        return None
    return ewram[start - EWRAM : start - EWRAM + size]


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
