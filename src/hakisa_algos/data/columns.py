"""How observations lie in the ring: whole, or, where the env stacks frames, each frame once.

An 84 x 84 stack of four is 28 kB; its newest frame is 7 kB, and the other three are already in the rows before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.encoding import is_picture

PADDINGS = ("zero", "reset")


@dataclass(frozen=True)
class FrameStack:
    """What an env declares in ``metadata["frame_stack"]`` as ``(axis, size, padding)``.

    Attributes:
        axis: the stacked axis of one observation, oldest frame first.
        size: frames in a stack.
        padding: what stands before the first frame of an episode: ``"zero"`` or ``"reset"`` (copies of it).
    """

    axis: int
    size: int
    padding: Literal["zero", "reset"]

    @classmethod
    def of(cls, declared: Any, space: spaces.Space[Any], stored: spaces.Space[Any]) -> FrameStack | None:
        """What an env declares, or None where that is None or stacks cannot be stored once.

        A ConfigError if it does not fit the observation space, which the buffer has in the layout ``stored``.
        """
        if declared is None or not isinstance(space, spaces.Box) or not isinstance(stored, spaces.Box):
            return None
        try:
            axis, size, padding = declared
            fits = size > 0 and space.shape[axis] % size == 0 and padding in PADDINGS
        except (TypeError, ValueError, IndexError, ZeroDivisionError):
            fits = False
        if not fits:
            raise ConfigError(
                f'metadata["frame_stack"] = {declared!r} does not fit observations of shape {space.shape}: it is '
                f"(axis, number of frames, padding), with padding one of {PADDINGS}; mend or remove it"
            )
        if len(stored.shape) > len(space.shape) or (padding == "zero" and is_picture(space) and space.low.any()):
            return None  # no axis is left for frames; or zeros are stored as something else
        # In the stored layout a stack must lie along the first axis; elsewhere it is stored whole.
        first = axis % len(space.shape) == 0
        moved = stored.shape != space.shape and axis % len(space.shape) == len(space.shape) - 1
        return cls(axis, int(size), padding) if (first and stored.shape[1:] == space.shape[1:]) or moved else None


class Column:
    """Stores observations as they are, or of each stack the newest frame, and rebuilds the stack when it is read.

    The first stacks of every episode are rebuilt at once and compared with what the env gave, so that an env whose
    declaration is wrong is found out before anything is learned from it.

    The ring has ``rows``; those needed before the first readable one are the caller's affair. ``space`` is that of one
    stored observation, frames along the first axis; without a ``stack`` whole observations are stored.
    """

    def __init__(self, rows: int, num_envs: int, space: spaces.Box, stack: FrameStack | None) -> None:
        self.stack = stack
        self.history = stack.size - 1 if stack else 0
        self._shape = space.shape
        self._positions, self._num_envs = rows * num_envs, num_envs
        shape = (space.shape[0] // stack.size, *space.shape[1:]) if stack else space.shape
        # NumPy's, because it asks the kernel for huge pages, which keeps a large ring as fast to read as a small one.
        dtype = np.float32 if space.dtype == np.float64 else space.dtype  # encoded as float32
        self._array = np.zeros((rows, num_envs, *shape), dtype)
        self.data = torch.from_numpy(self._array)
        self._flat = self.data.view(self._positions, *([-1] if stack else shape))
        self._back = torch.arange(self.history, -1, -1)

    def write(self, row: int, observation: np.ndarray, age: np.ndarray) -> None:
        """Stores the batch ``[num_envs, ...]``; ``age`` is steps since the episode began.

        Raises:
            ConfigError: the older frames of a young stack are not those of the rows before.
        """
        if self.stack is None:
            self._array[row] = observation
            return
        self._array[row] = observation[:, -self._array.shape[2] :]
        young = age < self.stack.size
        if not young.any():
            return
        envs = np.flatnonzero(young)
        index = torch.from_numpy(row * self._num_envs + envs)
        rebuilt = self.read(index, torch.from_numpy(age[envs])).numpy()
        if not np.array_equal(rebuilt, observation[envs]):
            raise ConfigError(
                f'the env declares metadata["frame_stack"] = ({self.stack.axis}, {self.stack.size}, '
                f'"{self.stack.padding}"), but its observations are not stacks of the frames before them; '
                "mend or remove the declaration"
            )

    def read(self, index: Tensor, age: Tensor) -> Tensor:
        """Observations at flat ring positions ``row * num_envs + env``, ``[batch, ...]``."""
        if self.stack is None:
            return self._flat.index_select(0, index)
        back = self._back.expand(len(index), -1)
        missing = back > age.unsqueeze(1)
        any_missing = bool(missing.any())
        if any_missing:
            back = torch.minimum(back, age.unsqueeze(1))
        source = (index.unsqueeze(1) - back * self._num_envs) % self._positions
        frames = self._flat.index_select(0, source.view(-1)).view(len(index), self.stack.size, -1)
        if any_missing and self.stack.padding == "zero":
            frames.view(-1, frames.shape[-1]).index_fill_(0, missing.view(-1).nonzero().squeeze(1), 0)
        return frames.view(len(index), *self._shape)
