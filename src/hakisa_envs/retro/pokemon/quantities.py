"""What rewards can be about: quantities of a reading by name. None is no reading, for which nothing is paid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from hakisa_envs.retro.pokemon.emerald import Reading
from hakisa_envs.retro.pokemon.meters import Key
from hakisa_envs.retro.pokemon.red import EVENT_BYTES, EVENT_FLAGS


def _mask(first: int, last: int) -> int:
    return (1 << last + 1) - (1 << first)


# Flags by their meaning (pret/pokeemerald, include/constants/flags.h). Those from 0x2BC to 0x3E7 hide people and
# things: the game sets and clears them as one comes and goes, so nothing may be paid for them. Those below 0x50 and
# from 0x920 are cleared by time or by a warp.
RED_EVENTS = _mask(EVENT_FLAGS, EVENT_FLAGS + 8 * EVENT_BYTES - 1)
EVENTS, ITEMS = _mask(0x50, 0x2BB) | RED_EVENTS, _mask(0x3E8, 0x4FF)
SCRIPTS = _mask(0x50, 0x4FF) | RED_EVENTS
TRAINERS = _mask(0x500, 0x85F)
POKEDEX, POKENAV, CHAMPION = _mask(0x861, 0x861), _mask(0x862, 0x862), _mask(0x87F, 0x87F)
# Cleared when a map is left: trees that were cut grow again.
TEMPORARY = _mask(0x01, 0x1F)
BADGES, TOWNS = _mask(0x867, 0x86E), _mask(0x86F, 0x87E)

TILES_OF_A_CELL = 6
EXPERIENCE_SCALE = 0.003


def _of_flags(mask: int) -> Callable[[Reading], int | None]:
    return lambda reading: None if reading.flags is None else reading.flags & mask


def _count(bits: Callable[[Reading], int | None]) -> Callable[[Reading], float | None]:
    def count(reading: Reading) -> float | None:
        found = bits(reading)
        return None if found is None else float(found.bit_count())

    return count


def _levels(reading: Reading) -> float | None:
    return None if reading.party is None else float(sum(monster.level for monster in reading.party))


def _best_level(reading: Reading) -> float | None:
    return None if reading.party is None else float(max((monster.level for monster in reading.party), default=0))


def _health(reading: Reading) -> float | None:
    if reading.party is None:
        return None
    full = sum(monster.full_health for monster in reading.party)
    return sum(monster.health for monster in reading.party) / full if full else 0.0


def _experience(reading: Reading) -> float | None:
    if reading.party is None:
        return None
    return math.tanh(EXPERIENCE_SCALE * sum(monster.experience for monster in reading.party))


def _points(reading: Reading) -> float | None:
    return None if reading.party is None else float(sum(monster.experience for monster in reading.party))


def _money(reading: Reading) -> float | None:
    return None if reading.money is None else float(reading.money)


def _tile(reading: Reading) -> Key | None:
    return None if reading.place is None else tuple(reading.place)


def _map(reading: Reading) -> Key | None:
    return None if reading.place is None else tuple(reading.place[:2])


def _cell(reading: Reading) -> Key | None:
    if reading.place is None:
        return None
    group, number, x, y = reading.place
    return group, number, x // TILES_OF_A_CELL, y // TILES_OF_A_CELL


# Sets of bits, which come one by one.
BITS: Mapping[str, Callable[[Reading], int | None]] = {
    "events": _of_flags(EVENTS),
    "items": _of_flags(ITEMS),
    "scripts": _of_flags(SCRIPTS),
    "trainers": _of_flags(TRAINERS),
    "pokedex": _of_flags(POKEDEX),
    "pokenav": _of_flags(POKENAV),
    "champion": _of_flags(CHAMPION),
    "badges": _of_flags(BADGES),
    "towns": _of_flags(TOWNS),
    "seen": lambda reading: reading.seen,
    "owned": lambda reading: reading.owned,
    "temporary": _of_flags(TEMPORARY),
}

NUMBERS: Mapping[str, Callable[[Reading], float | None]] = {
    **{name: _count(bits) for name, bits in BITS.items()},
    "levels": _levels,  # of the party, added up
    "best level": _best_level,
    "health": _health,  # share of the party's full health
    "experience": _experience,  # of the party, from 0 to 1
    "points": _points,  # the same experience as it is
    "money": _money,
}

# Of each of these there are many, and the player is in one.
PLACES: Mapping[str, Callable[[Reading], Key | None]] = {
    "tile": _tile,
    "map": _map,
    "cell": _cell,  # 6 x 6 tiles
}
