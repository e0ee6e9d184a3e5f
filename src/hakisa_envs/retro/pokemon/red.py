"""What the memory of Pokémon Red (Game Boy) means: pure functions over the console's RAM from 0xC000.

Addresses are from public projects that agree (pret/pokered). Kinds that were seen and caught are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hakisa_envs.retro.pokemon.emerald import BADGES as BADGE_FLAGS
from hakisa_envs.retro.pokemon.emerald import BEST_LEVEL, Monster, Place, Reading, Scene

RAM, BANK = 0xC000, 0xD000
PARTY_COUNT, PARTY, MONSTER_BYTES, MOST_MONSTERS = 0xD163, 0xD16B, 0x2C, 6
HEALTH, EXPERIENCE, LEVEL, FULL_HEALTH = 0x01, 0x0E, 0x21, 0x22  # in a monster
MONEY, BADGES, MAP, Y, X, EVENTS, BATTLE = 0xD347, 0xD356, 0xD35E, 0xD361, 0xD362, 0xD747, 0xD057
EVENT_BYTES = 320
IGNORED, WALKING = 0xCD6B, 0xCFC5  # buttons that are not heard; what is left of a step
FIRST_INDOORS = 37  # the maps of towns and routes have lower numbers
EVENT_FLAGS = 0x1000  # where its events stand among the flags of a reading, above all of Emerald's


@dataclass(frozen=True)
class RedReading:
    """A moment's memory. None is no reading.

    Attributes:
        map: The map's number.
        x: Tiles from the left.
        y: Tiles from the top.
        money: From 0 to 999,999.
        badges: Bit ``n`` is badge ``n + 1``.
        events: Bit ``f`` is event ``f``.
        party: In order.
        in_battle: Whether a battle goes on.
        locked: Whether the pad is not heard.
    """

    map: int
    x: int
    y: int
    money: int | None
    badges: int
    events: int
    party: tuple[Monster, ...] | None
    in_battle: bool
    locked: bool

    def as_reading(self) -> Reading:
        """The same, as Emerald says it: group 0 are towns and routes, 1 what is in them; events stand above badges."""
        badges = sum((self.badges >> number & 1) << flag for number, flag in enumerate(BADGE_FLAGS))
        return Reading(
            place=Place(int(self.map >= FIRST_INDOORS), self.map, self.x, self.y),
            money=self.money,
            flags=badges | self.events << EVENT_FLAGS,
            seen=0,
            owned=0,
            party=self.party,
            scene=Scene.BATTLE if self.in_battle else Scene.OVERWORLD,
            locked=self.locked,
        )


def read_red(ram: bytes) -> RedReading:
    """The meaning of the 8 KiB from 0xC000."""
    return RedReading(
        map=ram[MAP - RAM],
        x=ram[X - RAM],
        y=ram[Y - RAM],
        money=bcd(ram[MONEY - RAM : MONEY - RAM + 3]),
        badges=ram[BADGES - RAM],
        events=int.from_bytes(ram[EVENTS - RAM : EVENTS - RAM + EVENT_BYTES], "little"),
        party=_party(ram),
        in_battle=ram[BATTLE - RAM] != 0,
        locked=ram[IGNORED - RAM] != 0,
    )


def read(blocks: Mapping[int, bytes]) -> Reading:
    """The meaning of the console's memory.

    Args:
        blocks: The RAM's bytes by their addresses: 4 KiB each at 0xC000 and 0xD000.
    """
    return read_red(blocks[RAM] + blocks[BANK]).as_reading()


def _party(ram: bytes) -> tuple[Monster, ...] | None:
    """The party; None where there cannot be one of this size or level."""
    count = ram[PARTY_COUNT - RAM]
    if count > MOST_MONSTERS:
        return None
    found = []
    for start in range(PARTY - RAM, PARTY - RAM + count * MONSTER_BYTES, MONSTER_BYTES):
        one = ram[start : start + MONSTER_BYTES]
        health, full_health = (int.from_bytes(one[at : at + 2], "big") for at in (HEALTH, FULL_HEALTH))
        experience = int.from_bytes(one[EXPERIENCE : EXPERIENCE + 3], "big")
        if not 1 <= one[LEVEL] <= BEST_LEVEL:
            return None
        found.append(Monster(one[0], experience, one[LEVEL], health, full_health))
    return tuple(found)


def bcd(data: bytes) -> int | None:
    """A number of two decimal digits a byte, the first first; None if one is no digit."""
    digits = data.hex()
    return int(digits) if digits.isdecimal() else None
