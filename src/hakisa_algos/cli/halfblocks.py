"""Pictures as text: two pixels per character, the upper half block's colour over its background."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from hakisa_algos.errors import require

UPPER_HALF = "\N{UPPER HALF BLOCK}"
RESET = "\033[0m"


def half_blocks(picture: NDArray[np.uint8], columns: int, rows: int, *, true_colour: bool) -> list[str]:
    """Lines that draw uint8 RGB ``[height, width, 3]`` as large as fits, without cutting or stretching it.

    Without ``true_colour`` they have the nearest of xterm's 256 colours.
    """
    picture = _fitted(picture, max(columns, 1), 2 * max(rows, 1))
    if len(picture) % 2:
        picture = np.concatenate([picture, np.zeros_like(picture[:1])])
    return [_line(picture[y], picture[y + 1], true_colour) for y in range(0, len(picture), 2)]


def _fitted(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    cv2 = require("cv2", "screen")
    scale = min(width / picture.shape[1], height / picture.shape[0])
    scale = int(scale) if scale >= 1 else scale  # sharp pixels, all of one size
    size = max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale))
    method = cv2.INTER_NEAREST if scale >= 1 else cv2.INTER_AREA
    fitted: NDArray[np.uint8] = cv2.resize(picture, size, interpolation=method)
    return fitted


def _line(upper: NDArray[np.uint8], lower: NDArray[np.uint8], true_colour: bool) -> str:
    parts, last = [], None
    for colours in zip(map(tuple, upper.tolist()), map(tuple, lower.tolist()), strict=True):
        if colours != last:
            parts.append(f"\033[{_code(colours[0], True, true_colour)};{_code(colours[1], False, true_colour)}m")
            last = colours
        parts.append(UPPER_HALF)
    return "".join(parts) + RESET


@functools.lru_cache(maxsize=65_536)  # rich is too slow for every cell of ten pictures a second
def _code(colour: tuple[int, int, int], foreground: bool, true_colour: bool) -> str:
    rich = require("rich.color", "screen")
    system = rich.ColorSystem.TRUECOLOR if true_colour else rich.ColorSystem.EIGHT_BIT
    return ";".join(rich.Color.from_rgb(*colour).downgrade(system).get_ansi_codes(foreground))
