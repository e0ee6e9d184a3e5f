"""Pictures as text: two pixels per character, the upper half block's colour over its background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hakisa_algos.errors import require

UPPER_HALF = "\N{UPPER HALF BLOCK}"
RESET = "\033[0m"

# The 256 colours of xterm: 16 to 231 are a cube of these levels, 232 to 255 greys of 8, 18, ..., 238.
_LEVELS = np.array([0, 95, 135, 175, 215, 255])
_CUBE, _GREYS = 16, 232


def half_blocks(picture: NDArray[np.uint8], columns: int, rows: int, *, true_colour: bool) -> list[str]:
    """Lines that draw uint8 RGB ``[height, width, 3]`` as large as fits, without cutting or stretching it.

    Without ``true_colour`` they have the nearest of xterm's 256 colours.
    """
    picture = _fitted(picture, max(columns, 1), 2 * max(rows, 1))
    if len(picture) % 2:
        picture = np.concatenate([picture, np.zeros_like(picture[:1])])
    colours = picture if true_colour else to_256(picture)[..., None]
    return [_line(colours[y], colours[y + 1]) for y in range(0, len(colours), 2)]


def to_256(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The number of the nearest of xterm's 256 colours, its greys for greys: ``[height, width]``."""
    cube = np.abs(picture[..., None].astype(np.int64) - _LEVELS).argmin(axis=-1)
    coloured = _CUBE + 36 * cube[..., 0] + 6 * cube[..., 1] + cube[..., 2]
    value = picture[..., 0].astype(np.int64)
    grey = _GREYS + np.clip((value - 3) // 10, 0, 23)
    # The ramp has neither black nor white; the cube has.
    grey = np.where(value < 4, _CUBE, np.where(value > 246, _GREYS - 1, grey))
    return np.where((picture == picture[..., :1]).all(axis=-1), grey, coloured)


def _fitted(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    cv2 = require("cv2", "screen")
    scale = min(width / picture.shape[1], height / picture.shape[0])
    scale = int(scale) if scale >= 1 else scale  # sharp pixels, all of one size
    size = max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale))
    method = cv2.INTER_NEAREST if scale >= 1 else cv2.INTER_AREA
    fitted: NDArray[np.uint8] = cv2.resize(picture, size, interpolation=method)
    return fitted


def _line(upper: NDArray[np.integer], lower: NDArray[np.integer]) -> str:
    parts, last = [], None
    for colours in zip(upper.tolist(), lower.tolist(), strict=True):
        if colours != last:
            parts.append(f"\033[38;{_code(colours[0])};48;{_code(colours[1])}m")
            last = colours
        parts.append(UPPER_HALF)
    return "".join(parts) + RESET


def _code(colour: list[int]) -> str:
    return f"5;{colour[0]}" if len(colour) == 1 else "2;" + ";".join(map(str, colour))
