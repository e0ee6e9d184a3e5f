"""What a frame's memory means, and how rounds make a match: pure functions of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from hakisa_envs.contract import OUTCOMES
from hakisa_envs.retro.street_fighter.memory import CONTINUE_SCREEN, FULL_HEALTH, ROUND_NOT_STARTED, Frame

WIN, LOSS, DRAW = OUTCOMES
ROUNDS_TO_WIN = 2
MOST_ROUNDS = 4  # draws count for nobody, and the fourth round is the last

# Statuses of a fighter who cannot fight: between rounds, beaten, cheering. From 1024 on the round is over, too.
NO_FIGHT = (0, 528, 530)


class Meaning(Enum):
    """What is going on."""

    NOT_STARTED = "the round is announced: nobody can act yet"
    FIGHTING = "the round is being fought"
    KNOCKED_OUT = "somebody was knocked out, or both"
    TIME_OVER = "the timer has run out"
    BETWEEN = "between rounds or matches"
    CONTINUE = "the match is lost, and the game asks whether to go on"


def meaning(frame: Frame) -> Meaning:
    """What a frame means. Healths and counters are only current where it is FIGHTING."""
    if frame.continue_timer == CONTINUE_SCREEN:
        return Meaning.CONTINUE
    # Asked before the timer: it stands still after a knock-out, whatever it then is.
    if frame.health < 0 or frame.enemy_health < 0:
        return Meaning.KNOCKED_OUT
    if frame.timer == ROUND_NOT_STARTED:
        return Meaning.NOT_STARTED
    if frame.timer == 0:
        return Meaning.TIME_OVER
    for status in (frame.status, frame.enemy_status):
        if status in NO_FIGHT or status >= 1024:
            return Meaning.BETWEEN
    return Meaning.FIGHTING


def implausible(frame: Frame) -> str | None:
    """Why this cannot be the game's memory, or None: a core takes the state of any other game, too."""
    for name in ("health", "enemy_health"):
        if not -1 <= getattr(frame, name) <= FULL_HEALTH:
            return f"{name} is {getattr(frame, name)}, not from -1 to {FULL_HEALTH}"
    if max(frame.rounds_won, frame.enemy_rounds_won) > MOST_ROUNDS:
        return f"rounds won are {frame.rounds_won} and {frame.enemy_rounds_won}, not {MOST_ROUNDS} at most"
    if max(frame.timer >> 12, frame.timer >> 8 & 15) > 9:
        return f"the timer is {frame.timer:#06x}, whose seconds are not decimal"
    return None


def is_over(frame: Frame) -> bool:
    """Whether no more can be done in this round; True before the first frame of one, too."""
    return meaning(frame) is not Meaning.FIGHTING


def round_outcome(last: Frame, over: Frame) -> str:
    """Who won a round: ``last`` is a frame of its fight, ``over`` the first one after it.

    Where memory has gone on to something else already, the healths that were last fought with decide.
    """
    told = over if meaning(over) in (Meaning.KNOCKED_OUT, Meaning.TIME_OVER) else last
    if told.health == told.enemy_health:
        return DRAW
    return WIN if told.health > told.enemy_health else LOSS


@dataclass(frozen=True)
class Standing:
    """How a match stands, by the rounds that were seen to end: the game's own counters lag behind.

    Attributes:
        won: Rounds won.
        lost: Rounds lost.
        drawn: Rounds that nobody won.
    """

    won: int = 0
    lost: int = 0
    drawn: int = 0

    @classmethod
    def at_start_of_round(cls, frame: Frame, played: int = 0) -> Standing:
        """By the game's counters, which are right as a round begins; ``played`` is how many are known to be over."""
        won, lost = frame.rounds_won, frame.enemy_rounds_won
        return cls(won, lost, max(0, played - won - lost))

    def after(self, outcome: str) -> Standing:
        """With one more round."""
        name = {WIN: "won", LOSS: "lost", DRAW: "drawn"}[outcome]
        return replace(self, **{name: getattr(self, name) + 1})

    @property
    def outcome(self) -> str:
        """Who leads."""
        return WIN if self.won > self.lost else LOSS if self.won < self.lost else DRAW

    @property
    def is_decided(self) -> bool:
        """Whether the match is over."""
        return max(self.won, self.lost) >= ROUNDS_TO_WIN or self.won + self.lost + self.drawn >= MOST_ROUNDS
