"""What the memory of Pokémon Red (Game Boy) means: pure functions over the console's RAM from 0xC000."""

from __future__ import annotations

from dataclasses import dataclass

RAM = 0xC000
PARTY_COUNT, PARTY, MONSTER_BYTES, MOST_MONSTERS = 0xD163, 0xD16B, 0x2C, 6
HEALTH, LEVEL = 0x01, 0x21  # in a monster
MONEY, BADGES, MAP, Y, X, EVENTS, BATTLE = 0xD347, 0xD356, 0xD35E, 0xD361, 0xD362, 0xD747, 0xD057
EVENT_BYTES = 320


@dataclass(frozen=True)
class RedMonster:
    """One of the party."""

    level: int
    health: int


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
    """

    map: int
    x: int
    y: int
    money: int | None
    badges: int
    events: int
    party: tuple[RedMonster, ...] | None
    in_battle: bool


def read_red(ram: bytes) -> RedReading:
    """The meaning of the 8 KiB from 0xC000."""
    count = ram[PARTY_COUNT - RAM]
    party = None
    if count <= MOST_MONSTERS:
        starts = [PARTY - RAM + MONSTER_BYTES * index for index in range(count)]
        party = tuple(
            RedMonster(ram[at + LEVEL], int.from_bytes(ram[at + HEALTH : at + HEALTH + 2], "big")) for at in starts
        )
    return RedReading(
        map=ram[MAP - RAM],
        x=ram[X - RAM],
        y=ram[Y - RAM],
        money=bcd(ram[MONEY - RAM : MONEY - RAM + 3]),
        badges=ram[BADGES - RAM],
        events=int.from_bytes(ram[EVENTS - RAM : EVENTS - RAM + EVENT_BYTES], "little"),
        party=party,
        in_battle=ram[BATTLE - RAM] != 0,
    )


def bcd(data: bytes) -> int | None:
    """A number of two decimal digits a byte, the first first; None if one is no digit."""
    digits = data.hex()
    return int(digits) if digits.isdecimal() else None
