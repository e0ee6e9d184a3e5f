"""What the infos of a row say of what an agent did, beside the transition: where it stood, what it was paid for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from hakisa_algos.data.contract import MILESTONE, PLACE, PROGRESS, REWARD_PART, START

Place = tuple[int, ...]


class Note(NamedTuple):
    """Of one column in one row.

    Attributes:
        place: where it stood after it; the last two of three numbers or more are x and y, those before them a map.
        reward: raw.
        parts: what each part of the reward table paid; empty where the env has none.
        progress: how much that is new the episode has seen; None where the env does not count it.
        milestone: reached with this row; None: none.
        start: where the episode began; None where the env does not say.
    """

    place: Place
    reward: float
    parts: Mapping[str, float]
    progress: float | None
    milestone: str | None
    start: str | None


def read_notes(
    infos: Mapping[str, Any], reward: np.ndarray, played: np.ndarray, over: np.ndarray, first: int
) -> dict[int, Note]:
    """The notes of a row, by columns counted from ``first``; of those that do not say a place there are none.

    Args:
        infos: of the row; what stands in ``final_info`` counts where it is there.
        reward: float ``[n]``.
        played: bool ``[n]``: the row is a step of an episode.
        over: bool ``[n]``.
        first: number of the first column in the whole.
    """
    final = infos.get("final_info", {})
    if PLACE not in infos and PLACE not in final:
        return {}
    found = {}
    for column in np.flatnonzero(played).tolist():
        # Under SAME_STEP the infos of a column that has ended are those of its next episode.
        told = final if over[column] and final else infos
        place = np.atleast_1d(_entry(told, PLACE, column))
        if place.dtype.kind not in "iu":  # not said, or something else that is called so
            continue
        milestone, start = (_entry(told, key, column) for key in (MILESTONE, START))
        parts = {
            key[len(REWARD_PART) :]: _number(_entry(told, key, column)) for key in told if key.startswith(REWARD_PART)
        }
        found[first + column] = Note(
            tuple(place.ravel().tolist()),
            float(reward[column]),
            {part: paid for part, paid in parts.items() if paid is not None},
            _number(_entry(told, PROGRESS, column)),
            None if milestone is None else str(milestone),
            None if start is None else str(start),
        )
    return found


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | np.number) else None


def _entry(told: Mapping[str, Any], key: str, column: int) -> Any:
    if key not in told or (f"_{key}" in told and not told[f"_{key}"][column]):
        return None
    return told[key][column]
