"""What all envs of a run show now, as one picture in its folder, which a person can leave open."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.contract import REAL_TIME, declared
from hakisa_algos.policy.observations import MASK, keyed
from hakisa_algos.training.pictures import Picture, PictureFile

NOW = "now.png"  # in the run's folder
_GAP = 2  # pixels between frames
_HEIGHT = 900  # pixels of the whole, about
_LARGEST_ZOOM = 4

Frames = Sequence[NDArray[np.uint8]]  # of each env, RGB [height, width, 3]


class NowPicture:
    """Replaces a picture now and then.

    Frames are the newest of observations that are pictures, which costs nothing; else what the envs draw, if their
    render mode is ``"rgb_array"``.

    Args:
        path: the file.
        seconds: between two pictures at least.
        envs: what is shown.
        stack: of its observations, as the buffer knows it.
    """

    def __init__(
        self, path: Path, seconds: float, envs: VectorEnv[Any, Any, Any], stack: FrameStack | None = None
    ) -> None:
        self._file = PictureFile(path, seconds)
        self._envs, self._stack = envs, stack
        self._draws = envs.render_mode == "rgb_array" and not declared(envs, REAL_TIME)

    def update(self, observation: Any) -> None:
        """Take a picture, if it is time. No env may be stepped meanwhile.

        Args:
            observation: the newest, encoded, each array ``[num_envs, ...]``; None where nobody knows it.
        """
        self._file.update(lambda: self._frames(observation))

    def _frames(self, observation: Any) -> Callable[[], Picture] | None:
        frames = newest_frames(observation, self._stack)
        if frames is None and self._draws:
            drawn = self._envs.render()
            frames = None if drawn is None else [np.asarray(frame) for frame in drawn if frame is not None]
        return functools.partial(tiled, frames) if frames else None

    def close(self) -> None:
        """Wait for the last one."""
        self._file.close()


def newest_frames(observation: Any, stack: FrameStack | None) -> Frames | None:
    """Copies of the newest frames in encoded observations; None where these are no pictures.

    The first entry of a Dict that is one counts.
    """
    entries = {} if observation is None else keyed(observation)
    for key, batch in entries.items():
        if key != MASK and batch.dtype == np.uint8 and batch.ndim == 4:
            channels = batch.shape[1] // stack.size if stack else batch.shape[1]
            shown = 1 if channels % 3 else 3
            last = np.moveaxis(batch[:, -shown:], 1, -1)
            return list(np.broadcast_to(last, (*last.shape[:3], 3)).copy())
    return None


def tiled(frames: Frames) -> Picture:
    """Frames side by side, enlarged or thinned out by a whole number: uint8 RGB ``[height, width, 3]``."""
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    zoom = min(_LARGEST_ZOOM, _HEIGHT // (rows * height))
    thin = 1 if zoom else math.ceil(rows * height / _HEIGHT)
    size = [max(zoom, 1) * math.ceil(side / thin) + _GAP for side in (height, width)]
    whole = np.zeros((rows * size[0] - _GAP, columns * size[1] - _GAP, 3), np.uint8)
    for index, frame in enumerate(frames):
        part = frame[::thin, ::thin].repeat(max(zoom, 1), 0).repeat(max(zoom, 1), 1)
        top, left = index // columns * size[0], index % columns * size[1]
        whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    return whole
