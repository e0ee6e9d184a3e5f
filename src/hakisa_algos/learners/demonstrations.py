"""What somebody else has played, as DQN draws from it and its checkpoints hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.stored import relabelled
from hakisa_algos.policy.observations import MASK, Observation, keyed, map_observation, unkeyed

_COLUMNS = ("action", "reward", "terminated", "truncated", "transition", "learned")


class Demonstrations:
    """Read-only rows in memory, with what reads a :class:`hakisa_algos.data.rollout.RolloutBuffer`, counted from 0.

    Stacks of frames are whole here, so it is for what people play, not for millions of rows.

    Args:
        state: what :meth:`state` gave.
        relabel: see :class:`hakisa_algos.data.rollout.RolloutBuffer`.

    Attributes:
        masked: whether observations carry action masks.
    """

    oldest = 0

    def __init__(self, state: Mapping[str, Any], relabel: Any = None) -> None:
        self._state = state
        self.relabel = relabel
        self.num_envs: int = state["num_envs"]
        self.masked = MASK in state["observation"]
        self.steps = len(state["columns"]["reward"])
        self.rows = self.capacity = self.steps // self.num_envs
        self._final = {int(at): i for i, at in enumerate(np.flatnonzero(_cut(state["columns"])))}

    @classmethod
    def of(cls, buffer: Any) -> Demonstrations:
        """A copy of all rows that can be read in ``buffer``, or in anything that is read like it."""
        position = np.arange(buffer.oldest * buffer.num_envs, buffer.steps)
        columns = {name: buffer.take(name, position) for name in _COLUMNS}
        # Stored rows hold what comes after the last one themselves, in a row that is no transition.
        after = buffer.num_envs if isinstance(buffer, RolloutBuffer) else 0
        head = np.arange(buffer.steps, buffer.steps + after)
        observation = map_observation(lambda x: x.numpy(), buffer.observation(np.concatenate([position, head])))
        entries = keyed(observation)
        ends = [keyed(buffer.final_observation(int(at))) for at in position[_cut(columns)]]
        final = {key: np.stack([end[key] for end in ends]) if ends else rows[:0] for key, rows in entries.items()}
        state = {"num_envs": buffer.num_envs, "columns": columns, "observation": entries, "final": final}
        return cls(state, buffer.relabel)

    def take(self, name: str, position: np.ndarray) -> np.ndarray:
        """See :meth:`hakisa_algos.data.rollout.RolloutBuffer.take`."""
        entries: np.ndarray = self._state["columns"][name][position % self.steps]
        return entries

    def rewards(self, position: np.ndarray) -> np.ndarray:
        """See :meth:`hakisa_algos.data.rollout.RolloutBuffer.rewards`."""
        return self.take("reward", position) if self.relabel is None else relabelled(self, position)

    def observation(self, position: np.ndarray) -> Observation:
        """See :meth:`hakisa_algos.data.rollout.RolloutBuffer.observation`."""
        entries = self._state["observation"].items()
        read: Observation = unkeyed({key: torch.from_numpy(rows[position]) for key, rows in entries})
        return read

    def final_observation(self, position: int) -> Any:
        """See :meth:`hakisa_algos.data.rollout.RolloutBuffer.final_observation`."""
        return unkeyed({key: entries[self._final[position]] for key, entries in self._state["final"].items()})

    def state(self) -> Mapping[str, Any]:
        """Plain arrays, not copied."""
        return self._state


def _cut(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where there is a final observation."""
    cut: np.ndarray = columns["truncated"] & columns["transition"]
    return cut
