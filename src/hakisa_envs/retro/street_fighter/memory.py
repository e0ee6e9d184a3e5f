"""The numbers in Street Fighter II's memory that say how a fight stands; the Fighter keeps its own in the same places.

stable-retro's shipped data.json has the first six; the others are from public projects that agree (linyiLYi's
street-fighter-ai, FightLadder), and were read from the state that ships.
"""

from __future__ import annotations

from typing import NamedTuple

from hakisa_envs.retro.game_files import Variable

FULL_HEALTH = 176
ROUND_NOT_STARTED = 0x9928  # of the timer: BCD seconds, then frames
CONTINUE_SCREEN = 10  # of the continue timer
GROUND = 192  # of y; in the air it is less
STAGE_MIDDLE = 256  # of x


class Frame(NamedTuple):
    """One frame's numbers. Health 0 is alive and -1 knocked out; the counters of rounds lag behind a knock-out."""

    health: int
    enemy_health: int
    rounds_won: int
    enemy_rounds_won: int
    continue_timer: int
    score: int
    status: int
    enemy_status: int
    x: int
    enemy_x: int
    y: int
    enemy_y: int
    enemy_character: int
    timer: int

    @property
    def facing(self) -> int:
        """Where the opponent is: 1 to the right, -1 to the left."""
        return 1 if self.enemy_x >= self.x else -1


# In the order of `Frame`.
VARIABLES: tuple[Variable, ...] = (
    Variable(16744514, ">i2"),  # health
    Variable(16745154, ">i2"),  # enemy_health
    Variable(16744922, "|u1"),  # rounds_won
    Variable(16745562, "|u1"),  # enemy_rounds_won
    Variable(16744917, "|u1"),  # continue_timer
    Variable(16744936, ">d4"),  # score
    Variable(16744450, ">u2"),  # status
    Variable(16745090, ">u2"),  # enemy_status
    Variable(16744454, ">u2"),  # x
    Variable(16745094, ">u2"),  # enemy_x
    Variable(16744458, ">u2"),  # y
    Variable(16745098, ">u2"),  # enemy_y
    Variable(16745563, "|u1"),  # enemy_character
    Variable(16750378, ">u2"),  # timer
)
