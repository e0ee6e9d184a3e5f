"""The one memory of all algorithms: a time-major ring of rows, one row a step of all envs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.data.columns import Column, FrameStack, make_column
from hakisa_algos.policy.observations import Observation, ObservationLayout, map_observation, pick
from hakisa_algos.policy.policy import State


@dataclass(frozen=True)
class Episode:
    """A finished episode.

    Attributes:
        env: the column it was played in.
        seat: who played it: the individual of a population, or the column.
        total: undiscounted sum of raw rewards.
        length: transitions.
        discounted: the same sum, the reward of transition t times ``discount ** t`` of the buffer.
    """

    env: int
    seat: int
    total: float
    length: int
    discounted: float


class RolloutBuffer:
    """Stores what a collector sees and rebuilds what a learner asks for; it computes nothing.

    A row is written in two steps: :meth:`observe` puts the observation into the row at the head, which nobody
    reads yet, and :meth:`add` commits it with what followed. The observation after the last committed row is
    thereby always there. There is one writer; readers see committed rows only.

    Args:
        capacity: rows that stay readable.
        num_envs: columns.
        observation: the layout of observations.
        stack: the env's declaration of stacked frames, which are then stored once.
        keep_observations: False stores none (a genetic algorithm learns from returns alone).
        discount: of the discounted returns of episodes.

    Attributes:
        rows: rows committed since the start.
        finished: episodes since they were last taken, oldest first.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        observation: ObservationLayout,
        stack: FrameStack | None = None,
        keep_observations: bool = True,
        discount: float = 1.0,
    ) -> None:
        self.capacity = capacity
        self.num_envs = num_envs
        self.discount = discount
        self.rows = 0
        self.finished: deque[Episode] = deque()
        self.initial_state: State = {}
        space = observation.space
        keyed = dict(space.items()) if isinstance(space, spaces.Dict) else {"": space}
        history = stack.size - 1 if stack else 0
        # One row for the observation at the head, and the frames that the oldest stack still needs.
        self._ring = capacity + history + 1
        self._observations: dict[str, Column] = {}
        if keep_observations:
            boxes = {k: box for k, box in keyed.items() if isinstance(box, spaces.Box)}
            self._observations = {k: make_column(self._ring, num_envs, box, stack) for k, box in boxes.items()}
        self._columns: dict[str, Tensor] = {}
        self._arrays: dict[str, np.ndarray] = {}
        for name, dtype in (("age", np.int32), ("reward", np.float32), ("policy_version", np.int32)):
            self._allocate(name, np.zeros(num_envs, dtype))
        self._final: dict[int, Any] = {}
        self._restored = 0  # rows before this one did not come with the checkpoint
        self._age = np.zeros(num_envs, np.int32)
        self._total = np.zeros(num_envs)
        self._discounted = np.zeros(num_envs)
        self._length = np.zeros(num_envs, np.int64)

    @property
    def steps(self) -> int:
        """Env steps taken so far, all columns together."""
        return self.rows * self.num_envs

    @property
    def oldest(self) -> int:
        """Number, since the start, of the oldest row that can be read."""
        return max(self._restored, self.rows - self.capacity)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        columns = [*self._columns.values(), *(c.data for c in self._observations.values())]
        return sum(c.numel() * c.element_size() for c in columns)

    def observe(self, observation: Any, start: np.ndarray) -> None:
        """Puts the encoded observations at the head.

        Args:
            observation: ``[num_envs, ...]``, or a dict of such.
            start: bool ``[num_envs]``: where an episode begins with it.
        """
        row = self.rows % self._ring
        np.add(self._age, 1, out=self._age)
        self._age[start] = 0
        self._arrays["age"][row] = self._age
        for key, column in self._observations.items():
            column.write(row, observation[key] if key else observation, self._age)

    def add(
        self,
        action: np.ndarray,
        reward: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        valid: np.ndarray,
        version: int,
        extras: Mapping[str, Tensor],
        final: Mapping[int, Any],
    ) -> None:
        """Commits the row at the head.

        Args:
            action: ``[num_envs, *action shape]``.
            reward: raw, ``[num_envs]``.
            terminated: bool ``[num_envs]``.
            truncated: bool ``[num_envs]``; never also terminated.
            valid: bool ``[num_envs]``: the row is a transition.
            version: of the policy that acted.
            extras: further columns, each ``[num_envs, ...]``.
            final: for every truncated env its final observation, encoded, without a batch axis.
        """
        row = self.rows % self._ring
        values: dict[str, Any] = {
            "action": action,
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "valid": valid,
            "policy_version": version,
        }
        values.update({name: value.cpu().numpy() for name, value in extras.items()})
        for name, value in values.items():
            if name not in self._columns:
                self._allocate(name, value)
            self._arrays[name][row] = value
        if final or self._final:
            self._keep_final(final)
        self._count(reward, terminated | truncated, valid, values.get("seat"))
        self.rows += 1

    def rollout(self, length: int) -> Rollout:
        """The newest ``length`` rows, oldest first.

        Raises:
            ValueError: so many rows are not stored.
        """
        if not 0 < length <= min(self.rows, self.capacity):
            raise ValueError(
                f"rollout of {length} rows: {min(self.rows, self.capacity)} are stored; collect more, or give the "
                "buffer more capacity"
            )
        return Rollout(self, self.rows - length, length)

    def take(self, name: str, position: np.ndarray) -> np.ndarray:
        """Entries of a column at ``position``, which is ``row * num_envs + env``, rows counted since the start.

        Positions may have any shape; those of rows that are not stored give something meaningless.
        """
        column = self._arrays[name]
        entries: np.ndarray = column.reshape(-1, *column.shape[2:])[position % (self._ring * self.num_envs)]
        return entries

    def observation(self, position: np.ndarray) -> Observation:
        """Observations at positions ``[batch]``, those at the head included; see :meth:`take`."""
        index = torch.from_numpy(position % (self._ring * self.num_envs))
        age = self._columns["age"].view(-1)[index]
        return _read(self._observations, index, age)

    def final_observation(self, position: int) -> Any:
        """The encoded final observation, without a batch axis, of a truncated row's env; see :meth:`take`."""
        return self._final[position]

    def episodes(self) -> list[Episode]:
        """The episodes that have ended since the last call; their totals do not depend on the ring."""
        taken = list(self.finished)
        self.finished.clear()
        return taken

    def count_elsewhere(self, rows: int, episodes: Iterable[Episode]) -> None:
        """Counts what other buffers of as many columns have seen: rows, which cannot be read here, and episodes."""
        self.rows += rows
        self._restored = self.rows
        self.finished.extend(episodes)

    def close_episodes(self, final: Any) -> None:
        """Marks running episodes as truncated after the last committed row, because their env cannot go on.

        Args:
            final: encoded observations at the head, ``[num_envs, ...]``.
        """
        if self.rows:
            row = (self.rows - 1) % self._ring
            arrays = self._arrays
            running = ~(arrays["terminated"][row] | arrays["truncated"][row])
            arrays["truncated"][row] |= running
            for env in np.flatnonzero(running):
                key = (self.rows - 1) * self.num_envs + int(env)
                self._final[key] = map_observation(np.array, pick(final, int(env)))
        self._total[:] = self._discounted[:] = 0
        self._length[:] = 0

    def state(self, rows: int) -> dict[str, Any]:
        """What a resumed run needs: the counters, the newest ``rows`` rows, and the frames that stacks still need."""
        history = max((c.history for c in self._observations.values()), default=0)
        kept = min(self.rows, rows + history)
        index = torch.arange(self.rows - kept, self.rows + 1) % self._ring
        first = (self.rows - kept) * self.num_envs
        return {
            "rows": self.rows,
            "kept": kept,
            "readable": min(self.rows - self.oldest, rows),
            "columns": {name: column[index].clone() for name, column in self._columns.items()},
            "observations": {k or "observation": c.data[index].clone() for k, c in self._observations.items()},
            "final": {str(k): v for k, v in self._final.items() if k >= first},
            "age": self._age.copy(),
            "total": self._total.copy(),
            "discounted": self._discounted.copy(),
            "length": self._length.copy(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` gave."""
        self.rows = state["rows"]
        self._restored = self.rows - state["readable"]
        index = torch.arange(self.rows - state["kept"], self.rows + 1) % self._ring
        for name, column in state["columns"].items():
            if name not in self._columns:
                self._allocate(name, column[0].numpy())
            self._columns[name][index] = column
        for key, stored in self._observations.items():
            stored.data[index] = state["observations"][key or "observation"]
        self._final = {int(k): v for k, v in state["final"].items()}
        self._age[:], self._total[:], self._length[:] = state["age"], state["total"], state["length"]
        self._discounted[:] = state["discounted"]

    def _allocate(self, name: str, like: np.ndarray) -> None:
        column = torch.zeros((self._ring, *like.shape), dtype=torch.from_numpy(np.zeros((), like.dtype)).dtype)
        self._columns[name] = column
        self._arrays[name] = column.numpy()

    def _keep_final(self, final: Mapping[int, Any]) -> None:
        oldest = (self.rows + 1 - self.capacity) * self.num_envs
        while self._final and (first := next(iter(self._final))) < oldest:
            del self._final[first]
        for env, observation in final.items():
            self._final[self.rows * self.num_envs + env] = map_observation(np.array, observation)

    def _count(self, reward: np.ndarray, done: np.ndarray, valid: np.ndarray, seat: Any) -> None:
        np.add(self._total, reward, out=self._total, where=valid)
        if self.discount != 1:
            np.add(self._discounted, reward * self.discount**self._length, out=self._discounted, where=valid)
        self._length += valid
        if not np.count_nonzero(done):  # nearly always
            return
        for env in np.flatnonzero(done):
            # An episode that a broken row ended is nobody's result.
            if valid[env]:
                who = int(env if seat is None else seat[env])
                total = float(self._total[env])
                discounted = total if self.discount == 1 else float(self._discounted[env])
                self.finished.append(Episode(int(env), who, total, int(self._length[env]), discounted))
            self._total[env] = self._discounted[env] = 0
            self._length[env] = 0


class Rollout:
    """A window of consecutive rows, oldest first; small columns as arrays, observations on demand.

    Positions in the window are flat: ``row * num_envs + env``.

    Args:
        buffer: to read from; the window is good until the buffer is next written.
        first: number of the first row since the start.
        length: rows.

    Attributes:
        initial_state: the policy's state before the first row.
    """

    def __init__(self, buffer: RolloutBuffer, first: int, length: int) -> None:
        self._buffer = buffer
        self._first = first
        self.length = length
        self.num_envs = buffer.num_envs
        self.initial_state = buffer.initial_state
        self._rows = torch.arange(first, first + length + 1) % buffer._ring
        self._position = (self._rows.unsqueeze(1) * self.num_envs + torch.arange(self.num_envs)).view(-1)
        self._age = buffer._columns["age"].view(-1)
        self._later: dict[str, Tensor] = {}

    def __len__(self) -> int:
        """Rows times envs, reset rows included."""
        return self.length * self.num_envs

    def column(self, name: str) -> Tensor:
        """A copy of the column ``[length, num_envs, ...]``: action, reward, terminated, truncated, valid, ..."""
        if name in self._later:
            return self._later[name]
        return self._buffer._columns[name].index_select(0, self._rows[:-1])

    def add_column(self, name: str, entries: Tensor) -> None:
        """Adds what was not known when the rows were stored, one entry per flat position, to this window only."""
        self._later[name] = entries.view(self.length, self.num_envs, *entries.shape[1:])

    def observation(self, index: Tensor) -> Observation:
        """Observations at flat positions ``[batch]``."""
        return self._read(self._position[index])

    def observations(self) -> Observation:
        """Observations at all flat positions."""
        return self._read(self._position[: len(self)])

    def next_observation(self) -> Observation:
        """The observations after the last row, ``[num_envs, ...]``; where an episode ended, the next one's first."""
        return self._read(self._position[-self.num_envs :])

    def final_observations(self) -> Observation | None:
        """The final observations of the truncated rows, in order of their positions; None if there are none."""
        first = self._first * self.num_envs
        final = [v for k, v in sorted(self._buffer._final.items()) if first <= k < first + len(self)]
        if not final:
            return None
        if isinstance(final[0], dict):
            return {key: torch.from_numpy(np.stack([f[key] for f in final])) for key in final[0]}
        return torch.from_numpy(np.stack(final))

    def _read(self, position: Tensor) -> Observation:
        return _read(self._buffer._observations, position, self._age[position])


def _read(columns: Mapping[str, Column], index: Tensor, age: Tensor) -> Observation:
    if "" in columns:
        return columns[""].read(index, age)
    return {key: column.read(index, age) for key, column in columns.items()}
