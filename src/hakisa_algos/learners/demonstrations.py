"""What somebody else has played, as DQN draws from it and its checkpoints hold it: rows as segments have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.segments import Segment, Series
from hakisa_algos.data.stored import StoredRows


@dataclass(frozen=True, eq=False)
class HeldSegment(Segment):
    """One that is no file: its arrays are in memory."""

    arrays: dict[str, np.ndarray]

    def look(self) -> None:
        """Nothing can be missing."""

    def open(self) -> dict[str, np.ndarray]:
        """Its arrays."""
        return self.arrays


def held(state: list[list[Mapping[str, Any]]]) -> StoredRows:
    """The rows that :func:`state_of` gave."""
    name = Path("demonstrations")  # in messages
    return StoredRows([Series(tuple(HeldSegment(name, 0, "", **each) for each in series)) for series in state])


def state_of(rows: RolloutBuffer | StoredRows) -> list[list[Mapping[str, Any]]]:
    """All rows that can be read, as plain values, series by series; those of a buffer are copied."""
    if isinstance(rows, RolloutBuffer):
        first = max(0, rows.oldest - rows.history)
        arrays = {name: tensor.numpy() for name, tensor in rows.copy(first, rows.rows - first, rows._final).items()}
        return [[{"first": first, "rows": rows.rows - first, "layout": rows.layout, "arrays": arrays}]]
    names = "first", "rows", "layout"
    return [
        [{name: getattr(segment, name) for name in names} | {"arrays": segment.open()} for segment in one.segments]
        for one in rows.series
    ]
