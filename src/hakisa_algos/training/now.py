"""What all envs of a run show now, as one picture in its folder, which a person can leave open."""

from __future__ import annotations

import math
import os
import struct
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.contract import REAL_TIME, declared
from hakisa_algos.data.files import TEMPORARY
from hakisa_algos.policy.observations import MASK, keyed

# Of the run's time at most that share goes into taking frames where envs must draw them.
_SHARE = 0.01
_GAP = 2  # pixels between frames
_HEIGHT = 900  # pixels of the whole, about
_LARGEST_ZOOM = 4

Frames = Sequence[NDArray[np.uint8]]  # of each env, RGB [height, width, 3]


class NowPicture:
    """Replaces a PNG now and then.

    Frames are the newest of observations that are pictures, which costs nothing; else what the envs draw, if their
    render mode is ``"rgb_array"``. The file is written by a thread, beside and renamed: it is whole at every moment.

    Args:
        path: the file.
        seconds: between two pictures at least.
        envs: what is shown.
        stack: of its observations, as the buffer knows it.
    """

    def __init__(
        self, path: Path, seconds: float, envs: VectorEnv[Any, Any, Any], stack: FrameStack | None = None
    ) -> None:
        self.path = path
        self._seconds, self._envs, self._stack = seconds, envs, stack
        self._draws = envs.render_mode == "rgb_array" and not declared(envs, REAL_TIME)
        self._due = 0.0
        self._writer: threading.Thread | None = None

    def update(self, observation: Any) -> None:
        """Take a picture, if it is time. No env may be stepped meanwhile.

        Args:
            observation: the newest, encoded, each array ``[num_envs, ...]``; None where nobody knows it.
        """
        began = time.monotonic()
        if began < self._due or (self._writer is not None and self._writer.is_alive()):
            return
        frames = newest_frames(observation, self._stack)
        if frames is None and self._draws:
            drawn = self._envs.render()
            frames = None if drawn is None else [np.asarray(frame) for frame in drawn if frame is not None]
        self._due = time.monotonic() + max(self._seconds, (time.monotonic() - began) / _SHARE)
        if frames:
            self._writer = threading.Thread(target=_write, args=(self.path, frames), name="now.png", daemon=True)
            self._writer.start()

    def close(self) -> None:
        """Wait for the last one."""
        if self._writer is not None:
            self._writer.join()


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


def tiled(frames: Frames) -> NDArray[np.uint8]:
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


def png(picture: NDArray[np.uint8]) -> bytes:
    """uint8 RGB ``[height, width, 3]`` as a PNG file (https://www.w3.org/TR/png-3)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = picture.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # before each line its filter: none
    lines[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _write(path: Path, frames: Frames) -> None:
    temporary = path.with_name(TEMPORARY + path.name)
    try:
        temporary.write_bytes(png(tiled(frames)))
        os.replace(temporary, path)
    except OSError:  # a full disk is told of by what matters
        temporary.unlink(missing_ok=True)
