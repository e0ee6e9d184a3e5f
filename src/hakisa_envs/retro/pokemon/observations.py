"""What an agent sees beside the picture: the numbers, and where it has been."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from hakisa_envs.retro.pokemon.emerald import MOST_MONSTERS, Place, Reading, Scene

_OF_A_MONSTER = 3
STATE_SIZE = len(Scene) + 1 + 2 + 16 + 8 + _OF_A_MONSTER * MOST_MONSTERS + 3
MAP_SIDE = 48  # tiles of a map that are kept in view: the usual convolutions need 36


def state_space() -> Box[np.float32]:
    """float32 ``[51]``, each from -1 to 1."""
    return Box(-1.0, 1.0, (STATE_SIZE,), np.float32)


def state_observation(reading: Reading) -> NDArray[np.float32]:
    """The numbers of a reading, each from 0 to 1 but for places left of or above a map.

    One-hot what is shown; whether the player is kept from walking; x and y by 64; the map's group and number, eight
    bits each, the lowest first; the eight badges; of six monsters level, share of health and whether it is there; by
    100 how many kinds were seen and owned; the decimal digits of the money by 6.
    """
    assert reading.place is not None
    assert reading.flags is not None
    group, number, x, y = reading.place
    values = [float(reading.scene is scene) for scene in Scene] + [float(reading.locked), x / 64, y / 64]
    values += [float(part >> bit & 1) for part in (group, number) for bit in range(8)]
    values += [float(reading.flags >> 0x867 + badge & 1) for badge in range(8)]
    for monster in reading.party or ():
        values += [monster.level / 100, monster.health / max(1, monster.full_health), 1.0]
    values += [0.0] * (_OF_A_MONSTER * (MOST_MONSTERS - len(reading.party or ())))
    values += [(reading.seen or 0).bit_count() / 100, (reading.owned or 0).bit_count() / 100]
    values.append(len(str(reading.money or 0)) / 6)
    return np.clip(np.array(values, np.float32), -1.0, 1.0)


class VisitedMap:
    """Where the player was in the episode, seen from where it is: uint8 ``[1, 48, 48]``, 255 where it was.

    The player is at row and column 24, north is up, and other maps are not shown.
    """

    def __init__(self) -> None:
        self.space = Box(0, 255, (1, MAP_SIDE, MAP_SIDE), np.uint8)
        self._been: dict[tuple[int, int], set[tuple[int, int]]] = {}

    def restart(self, place: Place) -> None:
        """Forget all."""
        self._been = {}
        self.add(place)

    def add(self, place: Place) -> None:
        """Be somewhere."""
        self._been.setdefault(place[:2], set()).add((place.x, place.y))

    def observation(self, place: Place) -> NDArray[np.uint8]:
        """The map around a place."""
        seen = np.zeros((1, MAP_SIDE, MAP_SIDE), np.uint8)
        been = np.array(list(self._been.get(place[:2], {(place.x, place.y)})))
        columns, rows = (been - (place.x, place.y) + MAP_SIDE // 2).T
        inside = (columns >= 0) & (columns < MAP_SIDE) & (rows >= 0) & (rows < MAP_SIDE)
        seen[0, rows[inside], columns[inside]] = 255
        return seen

    def get_state(self) -> list[list[int]]:
        """All places, as group, number, x and y."""
        return sorted([*where, *tile] for where, tiles in self._been.items() for tile in tiles)

    def set_state(self, places: list[list[int]]) -> None:
        """Go on from `get_state`."""
        self._been = {}
        for place in places:
            self.add(Place(*map(int, place)))
