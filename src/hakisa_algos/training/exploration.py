"""Where all agents of a run have been, by map and over time. It stays in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hakisa_algos.data.notes import Place
from hakisa_algos.training.pictures import Picture

By = Literal["visits", "first"]
ORDERS: tuple[By, ...] = ("visits", "first")

_ZOOM, _GAP = 4, 8  # pixels of a tile's side, and between maps
_WIDTH = 1000  # pixels that maps are laid out in, side by side
_GROUND, _INK = (24, 28, 34), (200, 206, 214)
# Few to many and early to late: colours that most people tell apart, and that grow brighter.
_SCALE = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float64)
# Five rows of three pixels, each an octal digit.
_GLYPHS = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717", "6": "74757", "7": "71111",
    "8": "75757", "9": "75717", "-": "00700", ".": "00002",
}  # fmt: skip
_LABEL = 12  # pixels of a map's name in height


class ExplorationMap:
    """Counts visits to places of three numbers or more: those before the last two say which map, and they x and y."""

    def __init__(self) -> None:
        self._maps: dict[Place, dict[tuple[int, int], list[int]]] = {}

    def add(self, place: Place, step: int) -> None:
        """Somebody stands at ``place`` after ``step`` env steps of the run."""
        if len(place) < 3:
            return
        *where, x, y = place
        tile = self._maps.setdefault(tuple(where), {}).setdefault((x, y), [0, step])
        tile[0] += 1

    @property
    def maps(self) -> int:
        """How many maps anybody has seen."""
        return len(self._maps)

    @property
    def tiles(self) -> int:
        """How many places."""
        return sum(map(len, self._maps.values()))

    def picture(self) -> Picture:
        """All maps twice: above by how often anybody was there, below by when somebody was first."""
        return _stacked([_laid_out([_labelled(*each) for each in self.pictures(by)]) for by in ORDERS])

    def pictures(self, by: By) -> list[tuple[Place, Picture]]:
        """A picture of each map, in order; tiles are dark where few were or long ago, and bright where many or late."""
        tiles = np.array([entry for where in self._maps.values() for entry in where.values()], np.float64).reshape(
            -1, 2
        )
        values = np.log(tiles[:, 0]) if by == "visits" else tiles[:, 1]
        low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
        found = []
        for where, visited in sorted(self._maps.items()):
            places, entries = np.array(list(visited)), np.array(list(visited.values()), np.float64)
            shown = np.log(entries[:, 0]) if by == "visits" else entries[:, 1]
            colours = _coloured((shown - low) / (high - low) if high > low else np.ones(len(shown)))
            first = places.min(0)
            width, height = places.max(0) - first + 1
            picture = np.full((height, width, 3), _GROUND, np.uint8)
            columns, rows = (places - first).T
            picture[rows, columns] = colours
            found.append((where, picture.repeat(_ZOOM, 0).repeat(_ZOOM, 1)))
        return found

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: of each map its name and the rows x, y, visits and first step."""
        return {
            "maps": [list(where) for where in self._maps],
            "tiles": [
                np.array([[*tile, *entry] for tile, entry in tiles.items()], np.int64) for tiles in self._maps.values()
            ],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state`."""
        self._maps = {
            tuple(where): {(x, y): [visits, first] for x, y, visits, first in np.asarray(tiles).tolist()}
            for where, tiles in zip(state["maps"], state["tiles"], strict=True)
        }


def _coloured(shares: NDArray[np.float64]) -> Picture:
    """Colours of numbers from 0 to 1: uint8 ``[n, 3]``."""
    along = np.linspace(0.0, 1.0, len(_SCALE))
    return np.stack([np.interp(shares, along, channel) for channel in _SCALE.T], 1).astype(np.uint8)


def _labelled(where: Place, picture: Picture) -> Picture:
    """With the map's numbers above it."""
    name = ".".join(map(str, where))
    height, width = picture.shape[:2]
    whole = np.full((height + _LABEL, max(width, 8 * len(name)), 3), _GROUND, np.uint8)
    whole[_LABEL:, :width] = picture
    for index, glyph in enumerate(name):
        rows = np.array([[int(row) >> bit & 1 for bit in (2, 1, 0)] for row in _GLYPHS[glyph]], bool)
        corner = whole[:10, 8 * index : 8 * index + 6]
        corner[rows.repeat(2, 0).repeat(2, 1)] = _INK
    return whole


def _laid_out(pictures: Sequence[Picture]) -> Picture:
    """Side by side, in as many rows as they need."""
    rows: list[list[Picture]] = [[]]
    used = 0
    for picture in pictures:
        if used and used + picture.shape[1] > _WIDTH:
            rows.append([])
            used = 0
        rows[-1].append(picture)
        used += picture.shape[1] + _GAP
    return _stacked([_beside(row) for row in rows if row])


def _beside(row: Sequence[Picture]) -> Picture:
    return np.swapaxes(_stacked([np.swapaxes(picture, 0, 1) for picture in row]), 0, 1)


def _stacked(pictures: Sequence[Picture]) -> Picture:
    """One below the other, with gaps around."""
    width = max((picture.shape[1] for picture in pictures), default=0)
    height = sum(picture.shape[0] + _GAP for picture in pictures)
    whole = np.full((height + _GAP, width + 2 * _GAP, 3), _GROUND, np.uint8)
    top = _GAP
    for picture in pictures:
        whole[top : top + picture.shape[0], _GAP : _GAP + picture.shape[1]] = picture
        top += picture.shape[0] + _GAP
    return whole
