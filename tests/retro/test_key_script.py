"""Words of a key script, frame by frame."""

import numpy as np
import pytest

from hakisa_envs.retro.key_script import PRESS_FRAMES, pads_of

BUTTONS = ("B", "START", "DOWN", "RIGHT")


def mask(names):
    names = list(names)
    for name in names:
        if name not in BUTTONS:
            raise ValueError(f"no button {name!r}")
    return np.array([button in names for button in BUTTONS], np.uint8)


def held(words):
    return ["+".join(np.array(BUTTONS)[pad.astype(bool)]) for pad in pads_of(words, mask)]


def test_a_key_is_pressed_and_let_go_or_held_for_so_many_frames():
    assert held(["start"]) == ["START"] * PRESS_FRAMES + [""] * PRESS_FRAMES
    assert held(["2", "DOWN:1", "DOWN+RIGHT:2", "RIGHT+B:1", "0"]) == [
        "", "", "DOWN", "DOWN+RIGHT", "DOWN+RIGHT", "B+RIGHT",
    ]  # fmt: skip
    assert held([]) == []


@pytest.mark.parametrize("word", ["", "START:", ":3", "-3", "1.5", "DOWN RIGHT", "START:x", "+", "JUMP"])
def test_what_is_no_key_is_refused(word):
    with pytest.raises(ValueError, match=r"no (key|button)"):
        pads_of([word], mask)
