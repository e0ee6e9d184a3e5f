"""Where the ball of LBreakout2 is beside the paddle: a reader, for a reward that says more than the score."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hakisa_envs.screen.colours import in_range
from hakisa_envs.screen.image import Pixels
from hakisa_envs.screen.region import Region

FIELD = Region(40, 325, 560, 135)
BALL = 8, 13  # least and most pixels that a ball is wide and high; what else falls is larger, and sparks are smaller


@dataclass(frozen=True)
class BallOffset:
    """How many pixels the paddle is off the lowest ball, right or left; no reading where it cannot see both.

    Attributes:
        region: Between the bricks and the paddle's lower edge, from wall to wall.
        paddle: How many rows of it, the lowest, show the paddle.
    """

    region: Region = FIELD
    paddle: int = 18

    def read(self, pixels: Pixels) -> float | None:
        """The distance between their middles."""
        place = self.region.of(pixels)
        paddle = np.flatnonzero(in_range(place[-self.paddle :], (190, 170, 110), (255, 255, 230)).any(axis=0))
        bright = in_range(place[: -self.paddle], (0, 0, 0), (40, 40, 40)) == 0
        _, _, stats, centres = cv2.connectedComponentsWithStats(bright.astype(np.uint8))
        sizes = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
        balls = centres[((sizes >= BALL[0]) & (sizes <= BALL[1])).all(axis=1)]
        if len(balls) == 0 or len(paddle) < 10:
            return None
        return float(abs(balls[balls[:, 1].argmax(), 0] - paddle.mean()))
