"""What is pressed on a pad, frame by frame, as words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

PRESS_FRAMES = 6  # held, and then let go for as long: menus of consoles take no less


def pads_of(words: Sequence[str], mask: Callable[[Iterable[str]], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The pads of a script: uint8 ``[frames, buttons]``.

    Args:
        words: ``"START"`` presses and lets go, 6 frames each; ``"DOWN+RIGHT:20"`` holds for 20 frames; ``"120"`` holds
            nothing for 120 frames. A second has 60.
        mask: Of names of buttons, such as `Emulator.mask`.

    Raises:
        ValueError: If a word is none of these, or a button none of the pad's.
    """
    nothing = mask(())
    rows = [nothing[None][:0]]
    for word in words:
        match = re.fullmatch(r"(?:([A-Za-z+]+)(?::(\d+))?|(\d+))", word)
        if match is None:
            raise ValueError(f"{word!r} is no key: write START, DOWN+RIGHT:20 (frames), or 120 to wait 120 frames.")
        buttons, frames, wait = match.groups()
        if wait:
            rows.append(np.tile(nothing, (int(wait), 1)))
            continue
        held = mask(buttons.upper().split("+"))
        rows.append(np.tile(held, (int(frames or PRESS_FRAMES), 1)))
        if not frames:
            rows.append(np.tile(nothing, (PRESS_FRAMES, 1)))
    return np.concatenate(rows)
