"""What an agent sees of a fight beside the picture: its numbers, which know no left and right."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from hakisa_envs.retro.street_fighter.memory import FULL_HEALTH, GROUND, STAGE_MIDDLE, Frame

STATUSES = (512, 514, 516, 518, 520, 522, 524, 526, 532)  # those of a fighter who fights
_OF_A_FIGHTER = 3 + len(STATUSES)
RAM_SIZE = 2 * _OF_A_FIGHTER + 2


def ram_space() -> Box[np.float32]:
    """float32 ``[26]``, each from -1 to 1."""
    return Box(-1.0, 1.0, (RAM_SIZE,), np.float32)


def ram_observation(frame: Frame) -> NDArray[np.float32]:
    """The numbers of a frame as the agent's fighter sees them, whichever side it is on.

    For the agent and then the opponent: health as a share, how far it is from the middle of the stage (positive:
    in the direction in which the agent looks), height above the ground, and one-hot its status. Then the distance
    between the two, and the time that is left.
    """
    seconds = (frame.timer >> 12) * 10 + (frame.timer >> 8 & 15)
    fighters = (
        (frame.health, frame.x, frame.y, frame.status),
        (frame.enemy_health, frame.enemy_x, frame.enemy_y, frame.enemy_status),
    )
    values = []
    for health, x, y, status in fighters:
        values += [max(health, 0) / FULL_HEALTH, (x - STAGE_MIDDLE) * frame.facing / STAGE_MIDDLE, (GROUND - y) / 128]
        values += [float(status == known) for known in STATUSES]
    values += [abs(frame.enemy_x - frame.x) / STAGE_MIDDLE, seconds / 99]
    return np.clip(np.array(values, np.float32), -1.0, 1.0)
