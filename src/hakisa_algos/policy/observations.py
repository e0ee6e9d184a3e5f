"""From a Gymnasium observation space to what networks and buffers hold: pictures channels first, stacks flat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.errors import ConfigError

# One tensor for a Box space, one per key for a Dict space; batch first.
Observation = Tensor | dict[str, Tensor]
# The same as NumPy arrays, as an env returns it.
RawObservation = Any
# Where an observation carries its action mask; no key of a Dict space.
MASK = "/action_mask"


def map_observation(function: Callable[[Any], Any], observation: Any) -> Any:
    """``function`` of an observation, or of each entry of a Dict observation."""
    if isinstance(observation, dict):
        return {key: function(value) for key, value in observation.items()}
    return function(observation)


def keyed(observation: Any) -> dict[str, Any]:
    """An observation as a dict, in which one that is none lies under the key ``""``."""
    return observation if isinstance(observation, dict) else {"": observation}


def unkeyed(entries: dict[str, Any]) -> Any:
    """What :func:`keyed` was given."""
    return entries[""] if list(entries) == [""] else entries


def split_mask(observation: Any) -> tuple[Any, Any]:
    """An encoded observation as a network takes it, and its action mask ``[batch, entries]``, None without one."""
    if not isinstance(observation, dict) or MASK not in observation:
        return observation, None
    return unkeyed({key: entry for key, entry in observation.items() if key != MASK}), observation[MASK]


def pick(batch: Any, row: int) -> Any:
    """One observation of a batch; a view."""
    return map_observation(lambda x: x[row], batch)


def join_observations(first: Observation, second: Observation) -> Observation:
    """One batch of two."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: torch.cat([first[key], second[key]]) for key in first}
    assert isinstance(first, Tensor)
    assert isinstance(second, Tensor)
    return torch.cat([first, second])


def to_tensors(encoded: Any, device: torch.device) -> Observation:
    """Encoded arrays as tensors on ``device``; on the CPU they share memory where they can."""
    result: Observation = map_observation(lambda x: torch.from_numpy(np.ascontiguousarray(x)).to(device), encoded)
    return result


def to_device(observation: Observation, device: torch.device) -> Observation:
    """Tensors on ``device``."""
    moved: Observation = map_observation(lambda x: x.to(device, non_blocking=True), observation)
    return moved


def same_observation(a: Any, b: Any) -> bool:
    """Whether two encoded observations are equal to the last bit."""
    if isinstance(a, dict):
        return all(np.array_equal(a[key], b[key]) for key in a)
    return np.array_equal(a, b)


def is_picture(space: spaces.Space[Any]) -> bool:
    """Whether ``space`` holds pictures: uint8 in three dimensions, or four with a stack of frames in front."""
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (3, 4)


class ObservationLayout:
    """Checks an observation space once and turns raw batches into the layout that is stored and learned from.

    Pictures ``[H, W, C]`` become ``[C, H, W]``; stacks of them, ``[K, H, W, C]`` or ``[K, C, H, W]``, become
    ``[K * C, H, W]``; everything else keeps its shape. The smaller one of the outer dimensions of a picture counts
    as the channels, as in SB3.

    Args:
        space: Box, or Dict of Box.
        mask_size: entries of the action mask that every observation carries; 0 if they carry none.

    Attributes:
        space: the space after the change, which networks are built for.

    Raises:
        ConfigError: another kind of space, or a key that is taken.
    """

    def __init__(self, space: spaces.Space[Any], mask_size: int = 0) -> None:
        self.raw_space = space
        self.mask_size = mask_size
        if isinstance(space, spaces.Dict):
            if taken := {"", MASK} & set(space.keys()):
                raise ConfigError(f"the observation key {taken.pop()!r} has a meaning of its own here; rename it")
            self.space: spaces.Space[Any] = spaces.Dict({k: _changed_space(s, k) for k, s in space.items()})
            self._axes = {k: _axes(s) for k, s in space.items() if isinstance(s, spaces.Box)}
        else:
            self.space = _changed_space(space, "observation")
            self._axes = {"": _axes(space)} if isinstance(space, spaces.Box) else {}

    @property
    def stored(self) -> spaces.Space[Any]:
        """The space of what is stored: with masks a Dict, in which a Box lies under the key ``""``."""
        if not self.mask_size:
            return self.space
        entries = dict(self.space.items()) if isinstance(self.space, spaces.Dict) else {"": self.space}
        return spaces.Dict({**entries, MASK: spaces.Box(0, 1, (self.mask_size,), np.bool_)})

    def encode(self, raw: RawObservation, mask: np.ndarray | None = None) -> Any:
        """A batch of raw observations as arrays of :attr:`space`; views where no copy is needed.

        Args:
            raw: as envs return them.
            mask: their action masks, bool ``[batch, entries]``, which the encoded observations then carry.
        """
        if isinstance(self.space, spaces.Dict):
            encoded: Any = {k: _encode(raw[k], self._axes[k], s.shape) for k, s in self.space.items()}
        else:
            encoded = _encode(raw, self._axes[""], self.space.shape)
        return encoded if mask is None else keyed(encoded) | {MASK: mask}

    def is_batch(self, raw: RawObservation) -> bool:
        """Whether ``raw`` has a batch axis in front.

        Raises:
            ValueError: it fits the space neither with nor without one.
        """
        single = self.raw_space
        value = raw
        if isinstance(single, spaces.Dict):
            if not isinstance(raw, Mapping) or set(raw) != set(single.keys()):
                found = sorted(raw) if isinstance(raw, Mapping) else type(raw).__name__
                raise ValueError(f"observation {found} does not fit: it needs the keys {sorted(single.keys())}")
            key = next(iter(single.keys()))
            single, value = single[key], raw[key]
        shape = np.shape(value)
        if shape == single.shape:
            return False
        if shape[1:] == single.shape:
            return True
        raise ValueError(f"observation of shape {shape} does not fit: it needs {single.shape}, or (n, {single.shape})")


def _axes(space: spaces.Box) -> tuple[int, ...] | None:
    """The transposition of a batch, or None where none is needed."""
    if not is_picture(space):
        return None
    channels_last = space.shape[-1] < space.shape[-3]
    if len(space.shape) == 4:
        return (0, 1, 4, 2, 3) if channels_last else (0, 1, 2, 3, 4)
    return (0, 3, 1, 2) if channels_last else None


def _changed_space(space: spaces.Space[Any], name: str) -> spaces.Box:
    if not isinstance(space, spaces.Box):
        raise ConfigError(
            f"{name} space {space} is not supported: hakisa's trainers see Box, or Dict of Box. Wrap the env "
            "with gymnasium.wrappers.FlattenObservation, or with a TransformObservation to a Box."
        )
    axes = _axes(space)
    if axes is None:
        return space
    low, high = (_encode(x[None], axes, None)[0] for x in (space.low, space.high))
    if len(space.shape) == 4:
        low, high = (x.reshape(-1, *x.shape[2:]) for x in (low, high))
    return spaces.Box(low, high, dtype=np.uint8)


def _encode(raw: Any, axes: tuple[int, ...] | None, shape: tuple[int, ...] | None) -> np.ndarray:
    array = np.asarray(raw)
    if array.dtype == np.float64:
        array = array.astype(np.float32)  # what networks read and the buffer stores
    if axes is not None:
        array = array.transpose(axes)
    if shape is not None and len(axes or ()) == 5:
        array = array.reshape(len(array), *shape)
    return array
