"""The one memory of all algorithms: a time-major ring of rows, one row a step of all envs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.data.columns import Column, FrameStack
from hakisa_algos.data.episodes import Episode
from hakisa_algos.data.segments import Layout, Segment, Series, check_layout, finals, make_layout, tensor_name
from hakisa_algos.data.stored import StoredRows, relabelled
from hakisa_algos.policy.observations import (
    Observation,
    ObservationLayout,
    keyed,
    map_observation,
    pick,
    unkeyed,
)
from hakisa_algos.policy.policy import State

# Of a buffer and positions in it, the rewards there, float32 in the shape of the positions.
Relabel = Callable[[Any, np.ndarray], np.ndarray]


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

    Attributes:
        rows: rows committed since the start.
        finished: episodes since they were last taken, oldest first.
        relabel: what is read as the rewards at positions ``[...]`` of this buffer (see :meth:`take`) instead of those
            that are stored; called with this buffer and the positions. Nobody gets to see the stored ones then, so
            that rewards of two versions of a model are never mixed, as long as it changes between updates only.
        older: rows of the same run that are on the disk and do not fit in here, as they have another number of columns;
            None where there are none. ``relabel`` holds of them, too.
        action_space: of the env, said in what is stored; whoever knows it sets it.
        segments: where on the disk its rows already are, by folder.
        guard: called with the number of a row that is about to be overwritten; waits while somebody still needs it.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        observation: ObservationLayout,
        stack: FrameStack | None = None,
        keep_observations: bool = True,
    ) -> None:
        self.capacity = capacity
        self.num_envs = num_envs
        self.rows = 0
        self.finished: list[Episode] = []
        self.older: StoredRows | None = None
        self.relabel: Relabel | None = None
        space = observation.stored
        entries = dict(space.items()) if isinstance(space, spaces.Dict) else {"": space}
        history = stack.size - 1 if stack else 0
        # One row for the observation at the head, and the frames that the oldest stack still needs.
        self._ring = capacity + history + 1
        self._observations: dict[str, Column] = {}
        if keep_observations:
            boxes = {k: box for k, box in entries.items() if isinstance(box, spaces.Box)}
            # Only a Box has a stack: what lies beside it is its action mask.
            stacks = {"": stack}
            self._observations = {k: Column(self._ring, num_envs, box, stacks.get(k)) for k, box in boxes.items()}
        self._arrays: dict[str, np.ndarray] = {}
        for name, dtype in (("age", np.int32), ("reward", np.float32), ("policy_version", np.int32)):
            self._arrays[name] = np.zeros((self._ring, num_envs), dtype)
        self._final: dict[int, Any] = {}
        # The policy's states: before rows, with final observations. They are for the next update, and never saved.
        self._states: dict[int, State] = {}
        self._final_states: dict[int, State] = {}
        self._restored = 0  # rows before this one did not come with the checkpoint
        self._age = np.zeros(num_envs, np.int32)
        self.observation_space, self.stack = space, stack
        self.action_space: spaces.Space[Any] | None = None
        self.segments: dict[Path, Sequence[Segment]] = {}
        self.guard: Callable[[int], None] | None = None

    @property
    def steps(self) -> int:
        """Env steps taken so far, all columns together."""
        return self.rows * self.num_envs

    @property
    def oldest(self) -> int:
        """Number, since the start, of the oldest row that can be read."""
        return max(self._restored, self.rows - self.capacity)

    @property
    def readable(self) -> int:
        """Rows that can be read."""
        return self.rows - self.oldest

    @property
    def newest_version(self) -> int:
        """Of the policy that acted in the newest row; 0 where there is none."""
        return int(self._arrays["policy_version"][(self.rows - 1) % self._ring, 0]) if self.rows else 0

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        observations = (column.data.numpy() for column in self._observations.values())
        return sum(array.nbytes for array in (*self._arrays.values(), *observations))

    def observe(self, observation: Any, start: np.ndarray) -> None:
        """Puts encoded observations, ``[num_envs, ...]``, at the head; where ``start``, an episode begins with them."""
        guard = self.guard  # another thread takes it away
        if guard is not None:
            guard(self.rows - self._ring)
        row = self.rows % self._ring
        np.add(self._age, 1, out=self._age)
        self._age[start] = 0
        self._arrays["age"][row] = self._age
        entries = keyed(observation)
        for key, column in self._observations.items():
            column.write(row, entries[key], self._age)

    def keep_state(self, state: State) -> None:
        """Stores what the policy carries when it is to act in the row at the head, ``[num_envs, ...]``."""
        _forget(self._states, self.rows - self.capacity)
        self._states[self.rows] = _stored(state)

    def add(
        self, values: Mapping[str, Any], final: Mapping[int, Any], final_state: Mapping[int, State] | None = None
    ) -> None:
        """Commits the row at the head.

        Args:
            values: of each column ``[num_envs, ...]``, or one for all envs: ``action``; ``reward``, raw; the bools
                ``terminated``, ``truncated`` (never both), ``transition`` and ``learned``; ``policy_version``, of the
                policy that acted; and what else is to be stored.
            final: for every truncated env its final observation, encoded, without a batch axis.
            final_state: for each of them the policy's state with it, if it has one.
        """
        row = self.rows % self._ring
        for name, value in values.items():
            if name not in self._arrays:
                self._allocate(name, np.asarray(value))
            self._arrays[name][row] = value
        if final or self._final:
            self._keep_final(final, final_state or {})
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
        age = torch.from_numpy(self.take("age", position))
        read: Observation = unkeyed({key: column.read(index, age) for key, column in self._observations.items()})
        return read

    def final_observation(self, position: int) -> Any:
        """The encoded final observation, without a batch axis, of a truncated row's env; see :meth:`take`."""
        return self._final[position]

    def rewards(self, position: np.ndarray) -> np.ndarray:
        """Float32 rewards at positions of any shape, see :meth:`take`: the stored ones, or what ``relabel`` makes."""
        return self.take("reward", position) if self.relabel is None else relabelled(self, position)

    def episodes(self) -> list[Episode]:
        """The episodes that have ended since the last call."""
        taken, self.finished = self.finished, []
        return taken

    def count_elsewhere(self, rows: int) -> None:
        """Counts rows that were played elsewhere, and cannot be read here."""
        self.rows += rows
        self._restored = self.rows

    def close_episodes(self, final: Any, state: State | None = None) -> None:
        """Marks running episodes as truncated after the last committed row, because their env cannot go on.

        ``final`` are the encoded observations at the head, ``state`` is the policy's with them, if it has one.
        """
        if self.rows > self.oldest:
            row = (self.rows - 1) % self._ring
            arrays = self._arrays
            running = ~(arrays["terminated"][row] | arrays["truncated"][row])
            arrays["truncated"][row] |= running
            for env in np.flatnonzero(running):
                key = (self.rows - 1) * self.num_envs + int(env)
                self._final[key] = map_observation(np.array, pick(final, int(env)))
                self._final_states[key] = _stored({name: entries[int(env)] for name, entries in (state or {}).items()})

    @property
    def history(self) -> int:
        """Rows before a row whose frames its stack needs."""
        return max((c.history for c in self._observations.values()), default=0)

    @property
    def layout(self) -> Layout:
        """What is stored, as segments say it."""
        observation = self.observation_space if self._observations else None
        return make_layout(observation, self.action_space, self.stack, self.num_envs, self._arrays)

    def copy(self, first: int, count: int, final: Mapping[int, Any]) -> dict[str, Tensor]:
        """Copies of rows ``[first, first + count)``, with those of ``final`` that are theirs, as a segment has them."""
        index = np.arange(first, first + count + 1) % self._ring
        tensors = {
            f"column.{name}": array.take(index if name == "age" else index[:-1], 0)
            for name, array in self._arrays.items()
        }
        tensors |= {tensor_name("observation", k): c.data.numpy().take(index, 0) for k, c in self._observations.items()}
        places = [k for k in final if first * self.num_envs <= k < (first + count) * self.num_envs]
        if places:
            entries = [keyed(final[k]) for k in places]
            tensors |= {tensor_name("final", key): np.stack([entry[key] for entry in entries]) for key in entries[0]}
            tensors["final_position"] = np.array(places, np.int64)
        # Pictures that the env has channels last are views of it, and not contiguous.
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in tensors.items()}

    def state(self) -> dict[str, Any]:
        """What a resumed run needs besides the rows: counters, the head, and the frames that stacks still need."""
        index = np.arange(self.rows - min(self.rows, self.history), self.rows + 1) % self._ring
        head = {key or "observation": c.data.numpy().take(index, 0) for key, c in self._observations.items()}
        return {
            "rows": self.rows,
            "oldest": self.oldest,
            "age": self._arrays["age"].take(index, 0),
            "observations": head,
        }

    def restore(self, state: Mapping[str, Any], rows: StoredRows | None = None) -> StoredRows | None:
        """Restores what :meth:`state` gave, and takes up the newest stored rows that there is space for.

        A buffer of another number of columns counts the steps and is empty.

        Returns:
            A view of stored rows that are not of this buffer: of other runs, or of another number of columns; or None.

        Raises:
            CheckpointError: the rows are damaged, or of other spaces.
        """
        age = state["age"]
        if age.shape[1] != self.num_envs:
            self.count_elsewhere(-(-state["rows"] * age.shape[1] // self.num_envs))
            return rows
        self.rows = self._restored = state["rows"]
        index = np.arange(self.rows + 1 - len(age), self.rows + 1) % self._ring
        for array in self._arrays.values():
            array[index] = 0
        self._arrays["age"][index] = age
        self._age[:] = age[-1]
        for key, column in self._observations.items():
            column.data.numpy()[index] = state["observations"][key or "observation"]
        self._final.clear()
        if rows is None or rows.series[-1].end != self.rows or rows.series[-1].num_envs != self.num_envs:
            return rows
        own = rows.series[-1]
        self._take_up(own)
        self._restored = max(state["oldest"], own.first and own.first + self.history)
        self.segments = {own.segments[0].path.parent: own.segments}
        return StoredRows(rows.series[:-1]) if rows.series[:-1] else None

    def _take_up(self, own: Series) -> None:
        check_layout(own.segments[-1].path, own.layout, self.layout)
        lowest = self.rows + 1 - self._ring
        for segment in own.segments:
            if segment.end <= lowest:
                continue
            arrays = segment.open()
            skipped = max(lowest - segment.first, 0)
            index = np.arange(segment.first + skipped, segment.end + 1) % self._ring
            for name in segment.layout["columns"]:
                column = arrays[f"column.{name}"][skipped:]
                if name not in self._arrays:
                    self._allocate(name, column[0])
                self._arrays[name][index[: len(column)]] = column
            for key, stored in self._observations.items():
                stored.data.numpy()[index] = arrays[tensor_name("observation", key)][skipped:]
            self._final |= {k: map_observation(np.array, final) for k, final in finals(arrays).items()}

    def _allocate(self, name: str, like: np.ndarray) -> None:
        self._arrays[name] = np.zeros((self._ring, self.num_envs, *like.shape[1:]), like.dtype)

    def _keep_final(self, final: Mapping[int, Any], final_state: Mapping[int, State]) -> None:
        oldest = (self.rows + 1 - self.capacity) * self.num_envs
        _forget(self._final, oldest)
        _forget(self._final_states, oldest)
        head = self.rows * self.num_envs
        self._final |= {head + env: map_observation(np.array, observation) for env, observation in final.items()}
        self._final_states |= {head + env: _stored(state) for env, state in final_state.items()}


def _stored(state: State) -> State:
    return {name: entries.cpu() for name, entries in state.items()}


def _forget(entries: dict[int, Any], oldest: int) -> None:
    """Lets go of those before ``oldest``; they lie in order."""
    while entries and (first := next(iter(entries))) < oldest:
        del entries[first]


class Rollout:
    """A window of consecutive rows, oldest first; small columns as arrays, observations on demand.

    Positions in the window are flat: ``row * num_envs + env``. It is good until the buffer is next written.
    """

    def __init__(self, buffer: RolloutBuffer, first: int, length: int) -> None:
        self._buffer = buffer
        self._first = first
        self.length = length
        self.num_envs = buffer.num_envs
        self._position = np.arange(first * self.num_envs, (first + length + 1) * self.num_envs)
        self._later: dict[str, Tensor] = {}

    def __len__(self) -> int:
        """Rows times envs, reset rows included."""
        return self.length * self.num_envs

    def has(self, name: str) -> bool:
        """Whether there is a column of this name."""
        return name in self._later or name in self._buffer._arrays

    def column(self, name: str) -> Tensor:
        """A copy of the column ``[length, num_envs, ...]``: action, terminated, ...; see :meth:`RolloutBuffer.add`."""
        if name in self._later:
            return self._later[name]
        position = self._position[: len(self)].reshape(self.length, self.num_envs)
        return torch.from_numpy(
            self._buffer.rewards(position) if name == "reward" else self._buffer.take(name, position)
        )

    def add_column(self, name: str, entries: Tensor) -> None:
        """Adds what was not known when the rows were stored, one entry per flat position, to this window only."""
        self._later[name] = entries.view(self.length, self.num_envs, *entries.shape[1:])

    def observation(self, index: Tensor) -> Observation:
        """Observations at flat positions ``[batch]``."""
        return self._buffer.observation(self._position[index.numpy()])

    def observations(self) -> Observation:
        """Observations at all flat positions."""
        return self._buffer.observation(self._position[: len(self)])

    def next_observation(self) -> Observation:
        """The observations after the last row, ``[num_envs, ...]``; where an episode ended, the next one's first."""
        return self._buffer.observation(self._position[-self.num_envs :])

    def final_observations(self) -> Observation | None:
        """The final observations of the truncated rows, in order of their positions; None if there are none."""
        first = self._first * self.num_envs
        final = [keyed(v) for k, v in sorted(self._buffer._final.items()) if first <= k < first + len(self)]
        if not final:
            return None
        stacked: Observation = unkeyed({key: torch.from_numpy(np.stack([f[key] for f in final])) for key in final[0]})
        return stacked

    def state(self, row: int) -> State:
        """The policy's before ``row``, counted in the window; empty where none was kept."""
        return self._buffer._states.get(self._first + row, {})

    def final_states(self) -> State:
        """The policy's states with :meth:`final_observations`."""
        first, stored = self._first * self.num_envs, self._buffer._final_states
        states = [stored[k] for k in sorted(stored) if first <= k < first + len(self)]
        return {name: torch.stack([state[name] for state in states]) for name in (states[0] if states else ())}
