"""Rows on the disk, of any number of series, to be read like a buffer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.segments import Layout, Series, check_layout, finals, unpacked_bytes
from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.observations import Observation, unkeyed

# False in the row after the last one of a column, which only holds the observation there.
_NOT_AT_HEAD = ("transition", "learned")
# Linux lets a process have 65,530 mappings, and an hour of play is several thousand files.
_MOST_OPEN = 32_768
_MOST_BYTES = 4 << 30  # of rows that were packed, and of which memory holds what was read
_SMALL_FILE = 1 << 20  # bytes; opened again, and verified again, in less than a millisecond
_SMALL_ENTRY = 1024  # bytes


class StoredRows:
    """A read-only view of stored rows that reads like a :class:`hakisa_algos.data.rollout.RolloutBuffer`.

    It has ONE column, in which every column of every series lies one after the other, each followed by the row after
    its last one, which is no transition: so no window crosses a join, and every row has its next observation. Files are
    mapped into memory. Nothing is read until it is asked for, and a file is verified before anything of it is used;
    small columns are then held whole; of observations those that were packed, up to 4 GiB, and no others.

    Args:
        series: what to read; at least one, of the same spaces and stack.

    Attributes:
        series: as given.
        rows: of all columns of all series, the rows after their last ones included.
        relabel: see :class:`hakisa_algos.data.rollout.RolloutBuffer`.

    Raises:
        CheckpointError: files are missing or cut short, or do not fit together.
    """

    num_envs = 1
    oldest = 0

    def __init__(self, series: Sequence[Series]) -> None:
        for one in series:
            check_layout(one.segments[0].path, one.layout, series[0].layout)
        for segment in (s for one in series for s in one.segments):
            segment.look()
        self.series = tuple(series)
        self.relabel: Any = None
        lengths = np.array([one.end - one.first + 1 for one in series])
        self._lengths = lengths
        self._begins = _sums(lengths * np.array([one.num_envs for one in series]))  # of each series, in positions
        self._tops = _sums(lengths)  # of each series, in rows of all series one below the other
        self._segments = [(n, segment) for n, one in enumerate(series) for segment in one.segments]
        self._segment_tops = np.array([self._tops[n] + s.first - series[n].first for n, s in self._segments])
        self._opened: dict[int, Mapping[str, np.ndarray]] = {}
        self._held_bytes = 0
        self._finals: dict[int, dict[int, Any]] = {}
        self._columns: dict[str, np.ndarray] = {}
        stack = series[0].layout["stack"]
        self._stack: int = stack[1] if stack else 1
        self._zero: bool = stack is not None and stack[2] == "zero"
        self.rows = int(self._begins[-1])

    @property
    def capacity(self) -> int:
        """As many as there are."""
        return self.rows

    @property
    def steps(self) -> int:
        """The same, since there is one column."""
        return self.rows

    @property
    def layout(self) -> Layout:
        """Of the rows, but for their number of columns."""
        return self.series[0].layout

    def take(self, name: str, position: np.ndarray) -> np.ndarray:
        """Entries of a column, at positions of any shape; beyond the last one they are meaningless."""
        if name not in self._columns:
            self._hold(name)
        entries: np.ndarray = self._columns[name][position % self.rows]
        return entries

    def rewards(self, position: np.ndarray) -> np.ndarray:
        """Float32 rewards at positions of any shape: the stored ones, or what :attr:`relabel` makes."""
        return self.take("reward", position) if self.relabel is None else relabelled(self, position)

    def observation(self, position: np.ndarray) -> Observation:
        """Observations at positions ``[batch]``, those after the last rows included."""
        names = sorted(name for name in self._open(0) if name.startswith("observation"))
        read: Observation = unkeyed({name.partition(".")[2]: self._read(name, position) for name in names})
        return read

    def final_observation(self, position: int) -> Any:
        """The encoded final observation, without a batch axis, of a truncated row."""
        top, env, n = (int(a[0]) for a in self._place(np.array([position])))
        one = self.series[n]
        number = int(self._segment_of(np.array([top]))[0])
        if number not in self._finals:
            self._finals[number] = finals(self._open(number))
        return self._finals[number][(top - int(self._tops[n]) + one.first) * one.num_envs + env]

    def _place(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of positions the row, counted over all series, the env and the series."""
        n = np.searchsorted(self._begins, position, "right") - 1
        env, row = np.divmod(position - self._begins[n], self._lengths[n])
        return self._tops[n] + row, env, n

    def _segment_of(self, top: np.ndarray) -> np.ndarray:
        # The last one that begins there or before: of two that hold the row the later one.
        return np.searchsorted(self._segment_tops, top, "right") - 1

    def _open(self, number: int) -> Mapping[str, np.ndarray]:
        if number not in self._opened:
            arrays = self._segments[number][1].open()
            self._held_bytes += unpacked_bytes(arrays)
            while self._opened and (len(self._opened) >= _MOST_OPEN or self._held_bytes > _MOST_BYTES):
                self._held_bytes -= unpacked_bytes(self._opened.pop(next(iter(self._opened))))
            self._opened[number] = arrays
        return self._opened[number]

    def _hold(self, name: str) -> None:
        """Reads a column whole; if it is a small one all small ones, since there may be many files to open."""
        small = [
            other
            for other, (dtype, shape) in self.layout["columns"].items()
            if np.dtype(dtype).itemsize * math.prod(shape) <= _SMALL_ENTRY
            and all(other in one.layout["columns"] for one in self.series)
        ]
        names = small if name in small else [name]
        parts = [self._read_columns(n, names) for n in range(len(self.series))]
        self._columns |= {each: np.concatenate([part[each] for part in parts]) for each in names}
        for each in set(names).intersection(_NOT_AT_HEAD):
            self._close_heads(self._columns[each])

    def _read_columns(self, n: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        one = self.series[n]
        forms = {name: one.layout["columns"][name] for name in names}
        read = {name: np.zeros((one.num_envs, self._lengths[n], *shape), kind) for name, (kind, shape) in forms.items()}
        for number, (of, segment) in enumerate(self._segments):
            if of == n:
                is_kept = number in self._opened or segment.size >= _SMALL_FILE
                arrays = self._open(number) if is_kept else segment.open()
                begin = segment.first - one.first
                for name, column in read.items():
                    array = arrays[f"column.{name}"]
                    column[:, begin : begin + len(array)] = array.swapaxes(0, 1)
        return {name: column.reshape(-1, *column.shape[2:]) for name, column in read.items()}

    def _close_heads(self, flags: np.ndarray) -> None:
        """Nothing goes on from the rows after the last ones, nor from the first ones, if their stacks are not whole."""
        for n, one in enumerate(self.series):
            column = flags[self._begins[n] : self._begins[n + 1]].reshape(one.num_envs, -1)
            column[:, -1] = False
            if one.first:  # frames of its first stacks are in rows that are not there
                row = np.arange(min(self._stack - 1, self._lengths[n]))
                age = self.take("age", self._begins[n] + np.arange(one.num_envs)[:, None] * self._lengths[n] + row)
                column[:, : len(row)] &= age <= row

    def _read(self, name: str, position: np.ndarray) -> Tensor:
        """Whole observations, or stacks, of which each frame lies once."""
        if self._stack == 1 or name != "observation":  # only a Box has a stack
            return torch.from_numpy(self._gather(name, position))
        age = self.take("age", position)[:, None]
        back = np.arange(self._stack - 1, -1, -1)
        source = np.maximum(position[:, None] - np.minimum(back, age), 0)
        frames = self._gather(name, source.reshape(-1))
        if self._zero:
            frames[(back > age).reshape(-1)] = 0
        return torch.from_numpy(frames.reshape(len(position), -1, *frames.shape[2:]))

    def _gather(self, name: str, position: np.ndarray) -> np.ndarray:
        top, env, _ = self._place(position)
        number = self._segment_of(top)
        row = top - self._segment_tops[number]
        like = self._open(int(number[0]))[name]
        gathered = np.empty((len(position), *like.shape[2:]), like.dtype)
        for i in np.unique(number):
            at = np.flatnonzero(number == i)
            gathered[at] = self._open(int(i))[name][row[at], env[at]]
        return gathered


def check_relabel(relabel: Any, algorithm: str, stores_rewards: bool) -> None:
    """Refuses, as a ConfigError, what cannot give rewards, and an algorithm that asks for none."""
    if relabel is None or relabel is False:
        return
    if not callable(relabel):
        raise ConfigError(
            f"relabel={relabel!r} must be a function (source, position) that returns the rewards at those positions, "
            "None to go on as before, or False for the env's own"
        )
    if not stores_rewards:
        raise ConfigError(f"{algorithm} learns from no stored rewards, so relabel= would do nothing: leave it out")


def relabelled(source: Any, position: np.ndarray) -> np.ndarray:
    """What ``source.relabel`` makes of the rewards at positions, float32.

    Raises:
        ConfigError: it is not one finite number for each.
    """
    made = source.relabel(source, position)
    shape = np.shape(made) if isinstance(made, np.ndarray | torch.Tensor | list | tuple) else None
    if shape != position.shape:
        found = repr(made)[:60] if shape is None else f"an array of the shape {shape}"
        raise ConfigError(
            f"relabel returned {found} for positions of the shape {position.shape}; it must return an array of that "
            "shape, with the reward at each position"
        )
    rewards = np.asarray(made, np.float32)
    wrong = np.argwhere(~np.isfinite(rewards))
    if len(wrong):
        first = tuple(wrong[0].tolist())
        raise ConfigError(f"relabel returned the reward {rewards[first]} at position {position[first]}; must be finite")
    return rewards


def _sums(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])
