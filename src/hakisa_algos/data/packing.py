"""Pictures of a game made small without loss: each row as its difference to the one before, then deflated.

Of a picture that stands still next to nothing is left. It is for what is written once and read seldom, such as
recordings; a ring, of which rows are read again and again, stays as it is.
"""

from __future__ import annotations

import itertools
import math
import zlib
from typing import Any

import numpy as np

# Smaller rows are not worth it.
ROW_BYTES = 256
# What one segment may unpack to: what is larger is none of ours.
MOST_BYTES = 1 << 31


def is_packable(array: np.ndarray) -> bool:
    """Whether an array ``[rows, ...]`` is of bytes, and its rows are large enough."""
    return array.dtype == np.uint8 and len(array) > 0 and array[0].nbytes >= ROW_BYTES


def pack(array: np.ndarray) -> np.ndarray:
    """Bytes ``[n]`` of uint8 ``[rows, ...]``."""
    difference = array.copy()
    difference[1:] -= array[:-1]  # modulo 256
    return np.frombuffer(zlib.compress(difference.tobytes(), 3), np.uint8).copy()


def check_shape(shape: Any) -> list[int]:
    """The sizes of packed rows of that shape; a ValueError if rows of ours cannot have it."""
    sizes = [int(n) for n in shape]
    size = math.prod(sizes) if sizes and min(sizes) > 0 else -1
    if not 0 < size <= MOST_BYTES:
        raise ValueError(f"packed rows of the shape {shape!r}")
    return sizes


def unpack(packed: np.ndarray, shape: Any) -> np.ndarray:
    """What :func:`pack` was given.

    Raises:
        ValueError: it is something else, or was not of this shape.
    """
    sizes = check_shape(shape)
    size = math.prod(sizes)
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed.tobytes(), size + 1)
    except zlib.error as error:
        raise ValueError(f"packed rows that cannot be unpacked: {error}") from error
    if len(data) != size or not inflate.eof:
        raise ValueError(f"packed rows that are not of the shape {shape!r}")
    array = np.frombuffer(data, np.uint8).reshape(sizes).copy()
    # Row by row the sum of all differences so far, modulo 256; np.add.accumulate would add entry by entry.
    for before, row in itertools.pairwise(array.reshape(sizes[0], -1)):
        np.add(row, before, out=row)
    return array
