"""A player for LBreakout2 that sees what moves and puts the paddle under it: what a trained agent is compared with."""

import numpy as np

NOTHING, LEFT, RIGHT = [0, 0, 0], [1, 0, 0], [1, 1, 0]  # keys held for a step
TOP, BOTTOM, SIDES = 325, 438, slice(40, 600)  # between the bricks and the paddle


class BallTracker:
    """Takes RGB pictures of the whole window, one per step, and returns actions of the profile ``lbreakout2``."""

    def __init__(self):
        self.last = None
        self.ball = None
        self.lost = 0

    def act(self, picture):
        paddle = self._paddle(picture)
        band = picture[TOP:BOTTOM, SIDES].astype(np.int16)
        moved = None if self.last is None else np.abs(band - self.last).max(axis=2) > 60
        self.last = band
        if paddle is None or moved is None:
            return NOTHING
        rows, columns = np.nonzero(moved)
        self.lost = 0 if len(rows) else self.lost + 1
        if len(rows) == 0:
            # A ball that rests on the paddle, in the next level say, flies when an arrow key goes down.
            return [LEFT, RIGHT, NOTHING][self.lost % 3] if self.lost > 20 else self._towards(paddle, 320)
        # The lowest thing that moves and is as small as a ball, where it is now and not where it was.
        low = rows > rows.max() - 10
        now, before = columns[low].mean() + 40, self.ball
        self.ball = now
        return self._towards(paddle, now if before is None or abs(now - before) > 60 else now + (now - before))

    def _towards(self, paddle, x):
        return NOTHING if abs(x - paddle) < 14 else RIGHT if x > paddle else LEFT

    def _paddle(self, picture):
        red, green, blue = np.moveaxis(picture[442:460, SIDES], 2, 0)
        columns = np.nonzero((red > 190) & (green > 170) & (blue > 110) & (blue < 230))[1]
        return None if len(columns) < 10 else columns.mean() + 40
