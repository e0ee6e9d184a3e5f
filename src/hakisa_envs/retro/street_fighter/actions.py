"""What an agent may do, as the buttons of each frame."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray

from hakisa_envs.errors import checked_choice

Actions = Literal["combos", "buttons", "macros", "heads"]
Press = Literal["tap", "hold"]

PUNCHES, KICKS = ("X", "Y", "Z"), ("A", "B", "C")  # light, medium, heavy
ATTACKS = PUNCHES + KICKS
DIRECTIONS: tuple[tuple[str, ...], ...] = (
    (),
    ("UP",),
    ("DOWN",),
    ("LEFT",),
    ("RIGHT",),
    ("UP", "LEFT"),
    ("UP", "RIGHT"),
    ("DOWN", "LEFT"),
    ("DOWN", "RIGHT"),
)
BUTTONS = ("UP", "DOWN", "LEFT", "RIGHT", *ATTACKS)
COMBOS = tuple((*direction, *attack) for direction in DIRECTIONS for attack in ((), *((a,) for a in ATTACKS)))

# Motion specials of a fighter that looks to the right: (buttons, frames); "*" is the attack.
_QUARTER_FORWARD = ((("DOWN",), 2), (("DOWN", "RIGHT"), 2), (("RIGHT",), 1), (("RIGHT", "*"), 2), ((), 1))
_QUARTER_BACK = ((("DOWN",), 2), (("DOWN", "LEFT"), 2), (("LEFT",), 1), (("LEFT", "*"), 2), ((), 1))
_FORWARD_DOWN = ((("RIGHT",), 2), (("DOWN",), 2), (("DOWN", "RIGHT"), 2), (("DOWN", "RIGHT", "*"), 2), ((), 1))
MACROS: dict[str, tuple[tuple[tuple[str, ...], int], ...]] = {
    f"{name} {attack}": tuple((tuple(attack if b == "*" else b for b in held), frames) for held, frames in motion)
    for name, motion, attacks in (
        ("fireball", _QUARTER_FORWARD, PUNCHES),
        ("whirlwind", _QUARTER_BACK, KICKS),
        ("rising punch", _FORWARD_DOWN, PUNCHES),
    )
    for attack in attacks
}
_MIRROR = {"LEFT": "RIGHT", "RIGHT": "LEFT"}


@dataclass(frozen=True)
class ActionSet:
    """From actions to pads.

    Args:
        kind: ``"combos"``: Discrete, a direction with an attack or without. ``"macros"``: those, and then the motion
            specials. ``"heads"``: MultiDiscrete [direction, attack]. ``"buttons"``: MultiBinary, one for each of
            `BUTTONS`; every chord reaches the game as it is.
        frame_skip: Frames that an action other than a motion special lasts for.
        press: ``"tap"`` lets go of attack buttons on an action's last frame, so that the same action again attacks
            again; ``"hold"`` does not.
        pad: Names of the pad's buttons, in the emulator's order.

    Raises:
        ValueError: If an attack cannot be tapped, because an action is one frame.
    """

    kind: Actions
    frame_skip: int
    press: Press
    pad: Sequence[str | None]

    def __post_init__(self) -> None:
        checked_choice("actions", self.kind, ("combos", "buttons", "macros", "heads"))
        checked_choice("press", self.press, ("tap", "hold"))
        if self.press == "tap" and self.frame_skip == 1:
            raise ValueError('press="tap" needs two frames, one to press and one to let go: frame_skip=1 needs "hold".')

    @cached_property
    def space(self) -> Space[Any]:
        """Of one action."""
        if self.kind == "buttons":
            return MultiBinary(len(BUTTONS))
        if self.kind == "heads":
            return MultiDiscrete([len(DIRECTIONS), 1 + len(ATTACKS)])
        return Discrete(len(COMBOS) + (len(MACROS) if self.kind == "macros" else 0))

    def meanings(self) -> list[str]:
        """Names of Discrete actions, or of the buttons of MultiBinary ones, in order.

        Raises:
            ValueError: If they are MultiDiscrete.
        """
        if self.kind == "buttons":
            return list(BUTTONS)
        if self.kind == "heads":
            raise ValueError(f"actions={self.kind!r} have parts, and no names of their own.")
        return [" ".join(combo) or "nothing" for combo in COMBOS] + (list(MACROS) if self.kind == "macros" else [])

    def pads(self, action: Any, facing: int) -> NDArray[np.uint8]:
        """The pad of each frame: uint8 ``[frames, buttons of the pad]``.

        Args:
            action: Of `space`.
            facing: 1 or -1; a motion special goes towards the opponent.

        Raises:
            ValueError: If it is none of `space`.
        """
        if self.kind == "buttons":
            chosen = np.asarray(action).ravel()
            if len(chosen) != len(BUTTONS) or not np.isin(chosen, (0, 1)).all():
                raise ValueError(f"action {action!r} is not allowed: it must be {len(BUTTONS)} zeros and ones.")
            return self._held(tuple(itertools.compress(BUTTONS, chosen)))
        if self.kind == "heads":
            direction, attack = np.asarray(action).ravel().tolist()
            if not (0 <= direction < len(DIRECTIONS) and 0 <= attack <= len(ATTACKS)):
                raise ValueError(f"action {action!r} is not allowed: it must be of {self.space}.")
            return self._held(DIRECTIONS[direction] + ((ATTACKS[attack - 1],) if attack else ()))
        number = int(action)
        if not 0 <= number < int(self.space.n):  # type: ignore[attr-defined]
            raise ValueError(f"action {action!r} is not allowed: it must be of {self.space}.")
        if number < len(COMBOS):
            return self._held(COMBOS[number])
        motion = list(MACROS.values())[number - len(COMBOS)]
        if facing < 0:
            motion = tuple((tuple(_MIRROR.get(button, button) for button in held), frames) for held, frames in motion)
        return np.concatenate([np.tile(self._mask(held), (frames, 1)) for held, frames in motion])

    def _held(self, buttons: Sequence[str]) -> NDArray[np.uint8]:
        pads = np.tile(self._mask(buttons), (self.frame_skip, 1))
        if self.press == "tap":
            pads[-1] = self._mask([button for button in buttons if button not in ATTACKS])
        return pads

    def _mask(self, buttons: Sequence[str]) -> NDArray[np.uint8]:
        return np.array([name in buttons for name in self.pad], np.uint8)
