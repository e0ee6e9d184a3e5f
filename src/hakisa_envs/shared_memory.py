"""Observations of all columns in memory that the trainer and its processes share."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space
from numpy.typing import NDArray

ALIGNMENT = 64
Rows = dict[str, NDArray[Any]]


def boxes(space: Space[Any]) -> dict[str, Box[Any]]:
    """The arrays that an observation consists of, by key; the one array of a `Box` has the key ``""``.

    Raises:
        ValueError: If the space is neither a `Box` nor a `Dict` of `Box`.
    """
    parts: dict[str, Any] = dict(space.spaces) if isinstance(space, Dict) else {"": space}
    for key, part in parts.items():
        if not isinstance(part, Box):
            where = f"observation[{key!r}]" if isinstance(space, Dict) else "The observation space"
            raise ValueError(
                f"{where} is {part}, but must be a Box: observations are arrays, or Dicts of arrays, in shared memory. "
                "Flatten it with gymnasium.wrappers.FlattenObservation or TransformObservation."
            )
    return parts


class SharedObservations:
    """A block of memory with a row per column for every array of an observation.

    Args:
        space: Of one observation.
        num_envs: Number of columns.
        fd: A descriptor of the block, which the process that made it has sent; None makes a new one.

    Attributes:
        fd: A descriptor of the block.
        rows: The arrays ``[num_envs, ...]`` by key, see `boxes`.
    """

    def __init__(self, space: Space[Any], num_envs: int, fd: int | None = None) -> None:
        parts, starts, size = boxes(space), [], 0
        for part in parts.values():
            starts.append(size)
            bytes_used = num_envs * int(np.prod(part.shape)) * np.dtype(part.dtype).itemsize
            size += -(-bytes_used // ALIGNMENT) * ALIGNMENT
        self.fd = _new_block(max(size, ALIGNMENT)) if fd is None else fd
        # It has no name in any folder, so it is gone with the last process that has it, however that one ends.
        block = mmap.mmap(self.fd, max(size, ALIGNMENT))
        self.rows: Rows = {
            key: np.ndarray((num_envs, *part.shape), part.dtype, block, start)
            for (key, part), start in zip(parts.items(), starts, strict=True)
        }

    def write(self, column: int, observation: Any) -> None:
        """Put an observation into a column's row."""
        for key, rows in self.rows.items():
            rows[column] = observation[key] if key or isinstance(observation, dict) else observation

    def close(self) -> None:
        """Let go of the descriptor; what has been mapped stays."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _new_block(size: int) -> int:
    if hasattr(os, "memfd_create"):  # no folder for shared memory to be too small: Docker gives it 64 MB
        fd = os.memfd_create("hakisa-observations")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd
