"""How one entry of an observation is stored and shown to networks: by its space, and by nothing else.

Bytes always fill 0..255, from the lowest value of the space to its highest: networks divide by 255, and a picture of
zeros and ones must not be a whisper.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from hakisa_algos.errors import ConfigError

# Both sides of what is taken for a picture although it is no uint8 with channels: the least that "nature" takes.
_SIDE = 36
# A wider range than of 16 bits stands for none: nobody means a picture that is as dark as 0..1 in -1e10..1e10.
_WIDEST = 2.0**16
# What torch computes with, and segments hold; all else is stored as float32, which is what networks read.
_STORED = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32")


class Encoder(Protocol):
    """Turns a raw batch ``[n, ...]`` into what is stored; a ConfigError says that it is not of the space."""

    space: spaces.Box[Any]

    def __call__(self, raw: Any) -> np.ndarray: ...


def is_picture(space: spaces.Space[Any]) -> bool:
    """Whether ``space`` holds pictures.

    These are uint8 in three dimensions, or four with a stack of frames in front; and, of 36 x 36 or more, other numbers
    with finite bounds, the same for all, and pictures without an axis for channels.
    """
    if not isinstance(space, spaces.Box):
        return False
    if space.dtype == np.uint8 and len(space.shape) in (3, 4):
        return True
    return has_sides(space) and (space.dtype == np.uint8 or _is_bounded(space))


def has_sides(space: spaces.Space[Any]) -> bool:
    """Whether ``space`` has the shape of a picture of 36 x 36 or more; with other bounds it may be none."""
    if not isinstance(space, spaces.Box) or len(space.shape) not in (2, 3, 4):
        return False
    last = len(space.shape) > 2 and space.shape[-1] < space.shape[-3]
    return min(space.shape[-3:-1] if last else space.shape[-2:]) >= _SIDE


def encoder(space: spaces.Space[Any], name: str) -> Encoder:
    """For one entry of an observation space.

    Raises:
        ConfigError: the space is no Box, Discrete, MultiDiscrete or MultiBinary, or has no entries.
    """
    if isinstance(space, spaces.MultiBinary):
        space = spaces.Box(0, 1, space.shape, np.uint8)
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return _OneHot(space, name)
    if not isinstance(space, spaces.Box):
        raise ConfigError(
            f"{name} space {space} is not supported: hakisa's trainers see Box, Discrete, MultiDiscrete, MultiBinary, "
            "or a Dict of these. Wrap the env with gymnasium.wrappers.FlattenObservation, or with a "
            "TransformObservation to a Box; for the command line register the wrapped env in a module of yours, and "
            "name it by --env module:Id"
        )
    if 0 in space.shape:
        raise ConfigError(f"{name} space {space} has no entries: nothing is to be seen there; give it some")
    return _Boxed(space, name)


class _Boxed:
    """Of a Box; the space after it has the bounds 0..255 for bytes, 0..1 for other pictures with bounds."""

    def __init__(self, space: spaces.Box, name: str) -> None:
        self._raw, self._name = space, name
        self._axes = _axes(space)
        low, high = space.low, space.high
        picture = self._picture = is_picture(space)
        with np.errstate(over="ignore"):
            levels = high.astype(np.float64) - low.astype(np.float64)
        whole = space.dtype is not None and space.dtype.kind in "biu"
        dtype = np.dtype(space.dtype if str(space.dtype) in _STORED else np.float32)
        full = None
        if space.dtype == np.uint8 or (picture and whole and levels.max() <= 255):
            dtype, full = np.dtype(np.uint8), 255
        elif picture:
            dtype, full = np.dtype(np.float32), 1
        self._dtype = dtype
        self._factor = self._low = None
        if full is not None:
            whole_range = not low.min() and high.min() == high.max() == full
            if not whole_range or (full == 255 and space.dtype != np.uint8):  # of other types values are looked at
                factor = np.divide(full, levels, out=np.zeros_like(levels), where=levels > 0)
                self._factor, self._low = _once(factor.astype(np.float32)), _once(low.astype(np.float64))
            low, high = np.zeros_like(levels), np.full_like(levels, full)
        low, high = (self._laid_out(bound[None])[0] for bound in (low, high))
        # Rows of doubles are described as such, as they always were.
        changed = self._axes or self._factor is not None or space.dtype not in (dtype, np.float64)
        self.space = spaces.Box(low.astype(dtype), high.astype(dtype), dtype=dtype.type) if changed else space

    def __call__(self, raw: Any) -> np.ndarray:
        array = np.asarray(raw)
        if array.shape[1:] != self._raw.shape:
            raise ConfigError(
                f"{self._name} has the shape {array.shape[1:]}, but its space says {self._raw.shape}; mend the one or "
                "the other"
            )
        if array.dtype != self._raw.dtype:
            array = self._cast(array)
        if self._picture and array.dtype.kind == "f":
            self._check_range(array)
        if self._factor is not None:
            array = self._scaled(array)
        elif array.dtype != self._dtype:
            array = array.astype(self._dtype)
        return self._laid_out(array)

    def _cast(self, array: np.ndarray) -> np.ndarray:
        """Numbers of another type than the space has, which networks would otherwise take for what they are not."""
        if array.dtype.kind not in "biuf":
            raise ConfigError(f"{self._name} is of type {array.dtype}, but its space says {self._raw.dtype}; mend it")
        with np.errstate(invalid="ignore"):  # a NaN that is to be a whole number is found here
            cast = array.astype(self._raw.dtype)
        if cast.dtype.kind in "biu" and not np.array_equal(cast, array):
            raise ConfigError(
                f"{self._name} holds {array.dtype} numbers that {self._raw.dtype}, the type of its space, does not "
                "have; mend the one or the other"
            )
        return cast

    def _scaled(self, array: np.ndarray) -> np.ndarray:
        if self._dtype != np.uint8:
            return np.asarray((array - self._low) * self._factor, np.float32)
        if (array < self._raw.low).any() or (array > self._raw.high).any():
            raise self._outside(array)
        return np.asarray(np.rint((array - self._low) * self._factor), np.uint8)

    def _check_range(self, array: np.ndarray) -> None:
        """Noise may leave the bounds a little; a picture of 0..255 in bounds of 0..1 would shout."""
        low, high = self._raw.low.min(), self._raw.high.max()
        if array.size and (array.min() < low - (high - low) or array.max() > high + (high - low)):
            raise self._outside(array)

    def _outside(self, array: np.ndarray) -> ConfigError:
        return ConfigError(
            f"{self._name} holds values from {array.min()} to {array.max()}, but its space says "
            f"{self._raw.low.min()} to {self._raw.high.max()}, by which it is scaled; mend the bounds of the space"
        )

    def _laid_out(self, array: np.ndarray) -> np.ndarray:
        """``[n, H, W, C]`` and its kind as ``[n, C, H, W]``."""
        if self._axes is None:
            return array
        if array.ndim == 3:
            return array[:, None]
        array = array.transpose(self._axes)
        return array.reshape(len(array), -1, *array.shape[3:]) if array.ndim == 5 else array


class _OneHot:
    """Of a choice, or of several: ones among zeros."""

    def __init__(self, space: spaces.Discrete | spaces.MultiDiscrete, name: str) -> None:
        self._raw, self._name = space, name
        sizes = np.atleast_1d(space.n if isinstance(space, spaces.Discrete) else space.nvec).reshape(-1)
        self._start = np.atleast_1d(space.start).reshape(-1)
        self._sizes, self._first = sizes, np.cumsum(sizes) - sizes
        self.space: spaces.Box[Any] = spaces.Box(0, 255, (int(sizes.sum()),), np.uint8)

    def __call__(self, raw: Any) -> np.ndarray:
        array = np.asarray(raw)
        if array.shape[1:] != self._raw.shape or array.dtype.kind not in "biuf":
            raise ConfigError(f"{self._name} is {array.dtype} of shape {array.shape[1:]}; its space says {self._raw}")
        choice = array.reshape(len(array), -1) - self._start
        if not ((choice >= 0) & (choice < self._sizes)).all():
            raise ConfigError(f"{self._name} holds {array.tolist()}, of which not all are in its space, {self._raw}")
        encoded = np.zeros((len(array), *self.space.shape), np.uint8)
        np.put_along_axis(encoded, (choice + self._first).astype(np.int64), 255, 1)
        return encoded


def _axes(space: spaces.Box) -> tuple[int, ...] | None:
    """The transposition of a batch, or None where none is needed; none of its own of a picture without channels."""
    if not is_picture(space):
        return None
    if len(space.shape) == 2:
        return (0, 1, 2)
    channels_last = space.shape[-1] < space.shape[-3]
    if len(space.shape) == 4:
        return (0, 1, 4, 2, 3) if channels_last else (0, 1, 2, 3, 4)
    return (0, 3, 1, 2) if channels_last else None


def _is_bounded(space: spaces.Box) -> bool:
    low, high = space.low, space.high
    first, last = float(low.flat[0]), float(high.flat[0])
    same = bool((low == low.flat[0]).all() and (high == high.flat[0]).all())
    return same and 0 < last - first < _WIDEST


def _once(bounds: np.ndarray) -> np.ndarray:
    """One number instead of the same one everywhere, which is faster to compute with."""
    first: np.ndarray = bounds.flat[0]
    return first if (bounds == first).all() else bounds
