"""A picture in a run's folder that is replaced now and then, as a PNG; it is whole at every moment."""

from __future__ import annotations

import base64
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hakisa_algos.data.files import TEMPORARY

# Of the run's time at most that share goes into pictures.
_SHARE = 0.01

Picture = NDArray[np.uint8]  # RGB [height, width, 3]


class PictureFile:
    """Replaces a PNG now and then. A thread writes it, beside and renamed.

    Args:
        path: the file.
        seconds: between two pictures at least.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self._seconds = seconds
        self._due = 0.0
        self._writer: threading.Thread | None = None

    def update(self, draw: Callable[[], Callable[[], Picture] | None]) -> None:
        """Take a picture, if it is time.

        Args:
            draw: takes what the picture needs, and returns what makes it of that in the thread; None: no picture.
        """
        began = time.monotonic()
        if began < self._due or (self._writer is not None and self._writer.is_alive()):
            return
        make = draw()
        self._due = time.monotonic() + max(self._seconds, (time.monotonic() - began) / _SHARE)
        if make is not None:
            name = self.path.name
            self._writer = threading.Thread(target=write_png, args=(self.path, make), name=name, daemon=True)
            self._writer.start()

    def close(self) -> None:
        """Wait for the last one."""
        if self._writer is not None:
            self._writer.join()


def png(picture: Picture) -> bytes:
    """uint8 RGB ``[height, width, 3]`` as a PNG file (https://www.w3.org/TR/png-3)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = picture.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # before each line its filter: none
    lines[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_text(picture: Picture) -> str:
    """The same file as the address of an HTML page's picture, which so needs no file."""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode('ascii')}"


def write_png(path: Path, make: Callable[[], Picture]) -> None:
    """Puts a picture in place of the one that was there."""
    temporary = path.with_name(TEMPORARY + path.name)
    try:
        temporary.write_bytes(png(make()))
        os.replace(temporary, path)
    except OSError:  # a full disk is told of by what matters
        temporary.unlink(missing_ok=True)
