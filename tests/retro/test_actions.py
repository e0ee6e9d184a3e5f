"""From actions to the buttons of each frame."""

import numpy as np
import pytest

from hakisa_envs.retro.street_fighter.actions import ATTACKS, BUTTONS, COMBOS, MACROS, ActionSet
from hakisa_envs.retro.street_fighter.fight import PAD


def held(pads):
    """Names of what is held in each frame."""
    return [" ".join(name for name in (*BUTTONS, "START", "MODE") if pad[PAD.index(name)]) for pad in pads]


def test_a_tap_lets_go_of_attacks_and_not_of_directions_on_the_last_frame():
    actions = ActionSet("combos", 4, "tap", PAD)
    number = COMBOS.index(("DOWN", "RIGHT", "C"))
    assert held(actions.pads(number, 1)) == ["DOWN RIGHT C"] * 3 + ["DOWN RIGHT"]
    assert held(ActionSet("combos", 4, "hold", PAD).pads(number, 1)) == ["DOWN RIGHT C"] * 4


def test_every_combo_is_another_and_is_named():
    actions = ActionSet("combos", 2, "tap", PAD)
    assert actions.space.n == 63 == len({tuple(held(actions.pads(a, 1))) for a in range(63)})
    assert actions.meanings()[0] == "nothing"
    assert len(set(actions.meanings())) == 63


def test_macros_do_not_depend_on_the_frame_skip_and_are_mirrored():
    number = len(COMBOS) + list(MACROS).index("fireball Y")
    right = ["DOWN", "DOWN", "DOWN RIGHT", "DOWN RIGHT", "RIGHT", "RIGHT Y", "RIGHT Y", ""]
    for skip in (2, 4, 10):
        actions = ActionSet("macros", skip, "tap", PAD)
        assert held(actions.pads(number, 1)) == right
        assert held(actions.pads(number, -1)) == [frame.replace("RIGHT", "LEFT") for frame in right]
    assert actions.space.n == 72
    assert actions.meanings()[number] == "fireball Y"


def test_buttons_erase_no_chord():
    actions = ActionSet("buttons", 3, "hold", PAD)
    everything = np.ones(10, np.int8)
    assert held(actions.pads(everything, 1)) == [" ".join(BUTTONS)] * 3


def test_heads_are_a_direction_and_an_attack():
    actions = ActionSet("heads", 2, "tap", PAD)
    assert held(actions.pads([8, 1 + ATTACKS.index("B")], 1)) == ["DOWN RIGHT B", "DOWN RIGHT"]
    assert held(actions.pads([0, 0], 1)) == ["", ""]


@pytest.mark.parametrize(
    ("kind", "action"),
    [("combos", 63), ("combos", -1), ("macros", 72), ("buttons", [2] * 10), ("buttons", [1]), ("heads", [9, 0])],
)
def test_an_action_that_is_none_is_refused(kind, action):
    with pytest.raises(ValueError, match="is not allowed"):
        ActionSet(kind, 4, "tap", PAD).pads(action, 1)


def test_a_tap_needs_two_frames():
    with pytest.raises(ValueError, match="frame_skip=1 needs"):
        ActionSet("combos", 1, "tap", PAD)


def test_actions_of_parts_have_no_names():
    with pytest.raises(ValueError, match="no names"):
        ActionSet("heads", 4, "tap", PAD).meanings()
