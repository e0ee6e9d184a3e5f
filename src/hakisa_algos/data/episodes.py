"""Episodes: what is known of one when it has ended, and the counting until then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Episode:
    """A finished episode.

    Attributes:
        env: the column it was played in.
        seat: who played it: the individual of a population, or the column.
        total: undiscounted sum of raw rewards.
        length: steps that count.
        discounted: the same sum, the reward of step t times ``discount ** t``.
        cut: the collector's limit of steps ended it.
        outcome: ``"win"``, ``"loss"`` or ``"draw"``, where the env says so; else None.
        opponent: against whom, where the env says so.
        start: from which start, where the env says so.
        info: chosen entries of its last infos, those that are numbers.
    """

    env: int
    seat: int
    total: float
    length: int
    discounted: float
    cut: bool = False
    outcome: str | None = None
    opponent: str | None = None
    start: str | None = None
    info: Mapping[str, float] = field(default_factory=dict)


class EpisodeCounter:
    """Adds up the rewards and steps of running episodes; how long they last does not depend on any ring."""

    def __init__(self, num_envs: int, discount: float = 1.0) -> None:
        self._discount = discount
        self._total = np.zeros(num_envs)
        self._discounted = np.zeros(num_envs)
        self._length = np.zeros(num_envs, np.int64)

    def count(
        self,
        reward: np.ndarray,
        counted: np.ndarray,
        seat: np.ndarray | None,
        told: Mapping[int, Mapping[str, Any]],
    ) -> list[Episode]:
        """Takes in a row, and returns the episodes that ended with it.

        ``counted`` are the columns whose row belongs to the result, ``seat`` is who acted, None: each column for
        itself; ``told`` has, by column, further fields of each episode that ends, and is somebody's result.
        """
        np.add(self._total, reward, out=self._total, where=counted)
        if self._discount != 1:
            np.add(self._discounted, reward * self._discount**self._length, out=self._discounted, where=counted)
        self._length += counted
        ended: list[Episode] = []
        for env, fields in told.items():
            who = env if seat is None else int(seat[env])
            total = float(self._total[env])
            discounted = total if self._discount == 1 else float(self._discounted[env])
            ended.append(Episode(env, who, total, int(self._length[env]), discounted, **fields))
        return ended

    def begin(self, mask: np.ndarray) -> None:
        """Begins new episodes in the columns of ``mask``; what ran in them and did not end is nobody's result."""
        self._total[mask] = self._discounted[mask] = 0
        self._length[mask] = 0

    def state(self) -> dict[str, np.ndarray]:
        """What a resumed run needs."""
        return {"total": self._total.copy(), "discounted": self._discounted.copy(), "length": self._length.copy()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restores what :meth:`state` gave."""
        self._total[:], self._discounted[:] = state["total"], state["discounted"]
        self._length[:] = state["length"]
