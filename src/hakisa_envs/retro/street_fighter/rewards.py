"""What a decision pays: by two frames of one round, the one before it and the one after. Nothing else is ever paid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from hakisa_envs.retro.street_fighter.memory import FULL_HEALTH, Frame
from hakisa_envs.retro.street_fighter.rules import LOSS, WIN

# (before, after, outcome of the round or None while it goes on) -> what is paid, by parts.
Reward = Callable[[Frame, Frame, str | None], Mapping[str, float]]


def _lost(before: int, after: int) -> int:
    """Health lost; that a knock-out reads -1 is no point more."""
    return max(before, 0) - max(after, 0)


def damage(before: Frame, after: Frame, outcome: str | None) -> dict[str, float]:
    """Shares of a health bar dealt, less those taken, and 1 for a round won or lost."""
    return {
        "dealt": _lost(before.enemy_health, after.enemy_health) / FULL_HEALTH,
        "taken": -_lost(before.health, after.health) / FULL_HEALTH,
        "round": 1.0 if outcome == WIN else -1.0 if outcome == LOSS else 0.0,
    }


def linyi(before: Frame, after: Frame, outcome: str | None) -> dict[str, float]:
    """That of linyiLYi/street-fighter-ai: damage, and at the end powers of the health that is left.

    Where both are out, or time is over, as much health as each has counts the same way.
    """
    if outcome == WIN:
        return {"win": 0.003 * FULL_HEALTH ** ((after.health + 1) / (FULL_HEALTH + 1))}
    if outcome == LOSS:
        return {"loss": -0.001 * FULL_HEALTH ** ((after.enemy_health + 1) / (FULL_HEALTH + 1))}
    dealt, taken = _lost(before.enemy_health, after.enemy_health), _lost(before.health, after.health)
    return {"dealt": 0.003 * dealt, "taken": -0.001 * taken}


def hakisa(before: Frame, after: Frame, outcome: str | None) -> dict[str, float]:
    """That of Hakisa's own experiments: who leads, weighed by rounds won, between -5 and 5 in every decision."""
    del before, outcome
    own = max(after.health, 0) ** (1 + after.rounds_won)
    lead = own - max(after.enemy_health, 0) ** (1 + after.enemy_rounds_won)
    return {"lead": 10 / (1 + math.exp(-max(-700.0, min(700.0, float(lead))))) - 5}


def score(before: Frame, after: Frame, outcome: str | None) -> dict[str, float]:
    """Points, as stable-retro's shipped scenario pays them; those that come after a round are not paid."""
    del outcome
    return {"score": float(after.score - before.score)}


REWARDS: dict[str, Reward] = {"damage": damage, "linyi": linyi, "hakisa": hakisa, "score": score}
