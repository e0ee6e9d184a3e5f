"""Hits of the ball by the agent's paddle, read from Pong's memory."""

from __future__ import annotations

from numpy import uint8
from numpy.typing import NDArray

# Found by comparing the console's memory with the screen: BALL_X + 49 pixels, and 0 in BALL_Y while
# no ball is in play.
BALL_X, BALL_Y = 49, 54
MIDDLE = 128


class PaddleHits:
    """Counts hits, fed with the memory after every emulator frame.

    The ball changes its horizontal direction only at a paddle. So a hit by the agent, whose paddle is on
    the right, is a ball in play in the right half that moved right and now moves left. A serve does not
    count: the ball was not in play before it. Checked against the ball's place on the screen, frame by
    frame, at every difficulty: they agree.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget the ball; call it when a game begins."""
        self._x = -1
        self._moves_right = False

    def seen(self, ram: NDArray[uint8]) -> int:
        """Take the memory, uint8 ``[128]``, after a frame; return 1 if the paddle has hit the ball in it."""
        if ram[BALL_Y] == 0:
            self.restart()
            return 0
        x, before = int(ram[BALL_X]), self._x
        self._x = x
        if before < 0 or x == before:
            return 0
        hit = self._moves_right and x < before and before > MIDDLE
        self._moves_right = x > before
        return int(hit)
