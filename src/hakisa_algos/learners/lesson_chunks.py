"""Lessons in chunks of rows that follow one another, as a policy with memory takes them; else single rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.lessons import Lessons
from hakisa_algos.policy.observations import Observation
from hakisa_algos.policy.policy import Chunks, State


@dataclass(frozen=True, eq=False)
class Picked:
    """Some rows.

    Attributes:
        seen: rows whose observations are needed.
        counted: those of them that an answer is wanted for.
        chunks: how they hang together; None without memory.
    """

    seen: Tensor
    counted: Tensor
    chunks: Chunks | None


class LessonChunks:
    """Each episode cut into pieces; the last one of an episode is filled up with its last row, which counts nothing.

    Args:
        lessons: what is cut.
        length: rows in a chunk.
        device: where the policy lives.

    Attributes:
        action: ``[rows, *action shape]``.
        weight: ``[rows]``.
    """

    def __init__(self, lessons: Lessons, length: int, device: torch.device) -> None:
        self.length, self._device = length, device
        self.action = torch.from_numpy(lessons.action).to(device)
        self.weight = torch.from_numpy(lessons.weight).to(device)
        counts = lessons.weight > 0
        if length == 1:
            self._learned = torch.from_numpy(np.flatnonzero(counts & ~lessons.held_out))
            self._held_out = torch.from_numpy(np.flatnonzero(lessons.held_out))
            return
        begins = np.flatnonzero(lessons.start)
        ends = np.append(begins[1:], len(lessons))
        pieces = -(-(ends - begins) // length)
        first = np.concatenate([b + length * np.arange(n) for b, n in zip(begins, pieces, strict=True)])
        row = first + np.arange(length)[:, None]
        inside = row < np.repeat(ends, pieces)
        self._row = torch.from_numpy(np.minimum(row, np.repeat(ends, pieces) - 1))  # [length, chunks]
        self._inside = torch.from_numpy(inside)
        self._of_learned = torch.from_numpy(inside & (counts & ~lessons.held_out)[self._row.numpy()])
        self._of_held_out = torch.from_numpy(inside & lessons.held_out[self._row.numpy()])
        self._number = np.concatenate([np.arange(n) for n in pieces])  # of each chunk in its episode
        self._states: State = {}

    def draw(self, rows: int, generator: torch.Generator) -> Picked:
        """About so many rows that are learned from, drawn with replacement."""
        if self.length == 1:
            drawn = self._learned[torch.randint(len(self._learned), (rows,), generator=generator)]
            return Picked(drawn, drawn, None)
        chunks = torch.nonzero(self._of_learned.any(0)).squeeze(1)
        drawn = chunks[torch.randint(len(chunks), (max(1, rows // self.length),), generator=generator)]
        return self._pick(drawn, self._of_learned)

    def held_out(self, rows: int) -> Iterator[Picked]:
        """All rows that are examined by, about so many at a time."""
        if self.length == 1:
            yield from (Picked(part, part, None) for part in torch.split(self._held_out, rows))
            return
        chunks = torch.nonzero(self._of_held_out.any(0)).squeeze(1)
        for part in torch.split(chunks, max(1, rows // self.length)):
            yield self._pick(part, self._of_held_out)

    def every(self, rows: int) -> Iterator[Picked]:
        """All rows there are, about so many at a time, whether anything is learned from them or not."""
        if self.length == 1:
            yield from (Picked(part, part, None) for part in torch.split(torch.arange(len(self.action)), rows))
            return
        for part in torch.split(torch.arange(self._row.shape[1]), max(1, rows // self.length)):
            yield self._pick(part, self._inside)

    def remember(self, policy: Any, observe: Callable[[Tensor], Observation]) -> None:
        """Computes the states before all chunks, as the policy would carry them now.

        Args:
            policy: has a memory.
            observe: gives the observations of rows.
        """
        self._states = policy.initial_state(self._row.shape[1])
        for number in range(int(self._number.max())):
            following = torch.from_numpy(np.flatnonzero(self._number == number + 1))
            before = following - 1  # the chunks of an episode lie one after the other
            after = policy.remember(observe(self._row[:, before].flatten()), self._together(before))
            for name, entries in after.items():
                self._states[name][following.to(self._device)] = entries

    def _pick(self, chosen: Tensor, counts: Tensor) -> Picked:
        row = self._row[:, chosen].flatten()
        wanted = torch.nonzero(counts[:, chosen].flatten()).squeeze(1)
        return Picked(row, row[wanted], self._together(chosen, wanted.to(self._device)))

    def _together(self, chosen: Tensor, wanted: Tensor | None = None) -> Chunks:
        start = torch.zeros(self.length, len(chosen), dtype=torch.bool)
        start[0] = torch.from_numpy(self._number)[chosen] == 0
        there = chosen.to(self._device)
        state = {name: entries[there] for name, entries in self._states.items()}
        return Chunks(state, start.to(self._device), wanted)
