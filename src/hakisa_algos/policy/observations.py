"""From a Gymnasium observation space to what networks and buffers hold: pictures channels first, stacks flat.

How one Box or Discrete becomes that is in :mod:`hakisa_algos.policy.encoding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.encoding import encoder
from hakisa_algos.policy.encoding import is_picture as is_picture

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


class ObservationLayout:
    """Checks an observation space once and turns raw batches into the layout that is stored and learned from.

    Pictures ``[H, W, C]`` become ``[C, H, W]``, those without a channel axis ``[1, H, W]``; stacks of them,
    ``[K, H, W, C]`` or ``[K, C, H, W]``, become ``[K * C, H, W]``; choices become one-hot; other shapes stay. The
    smaller one of the outer dimensions of a picture counts as the channels, as in SB3. What is stored as bytes fills
    0..255, whatever the bounds of its space are.

    Args:
        space: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these.
        mask_size: entries of the action mask that every observation carries; 0 if they carry none.

    Attributes:
        space: the space after the change, which networks are built for.

    Raises:
        ConfigError: another kind of space, one without entries, or a key that is taken.
    """

    def __init__(self, space: spaces.Space[Any], mask_size: int = 0) -> None:
        self.raw_space = space
        self.mask_size = mask_size
        if isinstance(space, spaces.Dict):
            if not space.keys():
                raise ConfigError("the observation space is a Dict without entries: there is nothing to see; add one")
            if taken := {"", MASK} & set(space.keys()):
                raise ConfigError(f"the observation key {taken.pop()!r} has a meaning of its own here; rename it")
            self._encoders = {key: encoder(entry, f"observation {key!r}") for key, entry in space.items()}
            self.space: spaces.Space[Any] = spaces.Dict({key: each.space for key, each in self._encoders.items()})
        else:
            self._encoders = {"": encoder(space, "observation")}
            self.space = self._encoders[""].space

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

        Raises:
            ConfigError: they are not of the space; names key, expected and found.
        """
        encoded: Any
        if isinstance(self.space, spaces.Dict):
            if not isinstance(raw, Mapping) or not self._encoders.keys() <= raw.keys():
                found = sorted(map(str, raw)) if isinstance(raw, Mapping) else type(raw).__name__
                raise ConfigError(f"the observation is {found}; its space is a Dict of {sorted(self._encoders)}")
            encoded = {key: each(raw[key]) for key, each in self._encoders.items()}
        else:
            encoded = self._encoders[""](raw)
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
        if shape[1:] == single.shape and shape:
            return True
        raise ValueError(f"observation of shape {shape} does not fit: it needs {single.shape}, or (n, {single.shape})")
