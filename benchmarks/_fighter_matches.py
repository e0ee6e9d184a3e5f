"""Whole matches of the Fighter by a trained policy: from which states, against whom, and how they are counted."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _fighter import SOURCES

from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.policy.policy import Policy
from hakisa_algos.training.aggregate import Estimate, Rates, rates_by
from hakisa_algos.training.evaluate import evaluate
from hakisa_envs.retro.street_fighter.opponents import STRENGTHS, STYLES

OPPONENTS = tuple(f"{style} {strength}" for strength in STRENGTHS for style in STYLES)
SIDES = ("left", "right")
WAITS = tuple(range(1_000, 9_000, 1_000))  # frames on the title screen; those that are shipped waited for none
WAYS = {"sampled": False, "best_actions": True}
AT_ONCE = 16


@dataclass(frozen=True)
class Part:
    """One way to start and to play matches: from states that were trained from or held out, sticky or not."""

    held_out: bool
    sticky: float


PARTS = {
    "held out": Part(True, 0.0),
    "held out, sticky": Part(True, 0.25),
    "trained from": Part(False, 0.0),
}


def states_of(opponent: str) -> list[str]:
    """The shipped states against one opponent, from both sides."""
    return [f"{opponent.replace(' ', '.')}.{side}" for side in SIDES]


def record_held_out(folder: Path) -> None:
    """Records the states of `WAITS`, each in a folder of its own; those that are whole already stay."""
    for wait in WAITS:
        done, half = folder / str(wait), folder / f"{wait}.half"
        if not done.is_dir():
            how = ["--wait", str(wait), "--into", str(half)]
            subprocess.run([sys.executable, SOURCES / "record_states.py", *how], check=True)
            half.rename(done)


def starts(part: Part, opponent: str, held_out: Path) -> list[str]:
    """The start states of a part against one opponent."""
    if not part.held_out:
        return states_of(opponent)
    return [str(held_out / str(wait) / f"{name}.state") for wait in WAITS for name in states_of(opponent)]


def play(
    policy: Policy, env: str, options: Mapping[str, Any], matches: int, seed: int, best: bool, device: torch.device
) -> dict[str, Any]:
    """Plays matches, and says of each how it ended, and which went alike.

    Raises:
        ValueError: If matches were cut, which none is that ends as it should.
    """
    with closing(make_envs(env, min(AT_ONCE, matches), {**options, "episode": "match"})) as envs:
        found = evaluate(policy, envs, episodes=matches, seed=seed, deterministic=best, device=device)
    if found.cut.any():
        raise ValueError(f"{found.cut.sum()} matches did not end within {found.limit} decisions.")
    return {
        "outcomes": found.outcomes,
        "opponents": found.opponents,
        "trajectories": found.trajectories,
        "decisions": int(found.lengths.sum()),
    }


def share(found: Estimate) -> dict[str, Any]:
    """A share with its interval, as result files say it."""
    return {"won": round(found.value, 4), "interval": [round(found.low, 4), round(found.high, 4)]}


def counted(rates: Rates) -> dict[str, Any]:
    """The same, and of how many matches; those that went alike count once."""
    return {**share(rates.win), "drawn": round(rates.draw.value, 4), "matches": rates.games}


def summary(played: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Matches won: of all, and by opponent. Each entry is what `play` says of matches against one opponent."""
    opponents, outcomes = (
        list(itertools.chain.from_iterable(some[key] for some in played)) for key in ("opponents", "outcomes")
    )
    trajectories = [(number, which) for number, some in enumerate(played) for which in some["trajectories"]]
    (everything,) = rates_by(["all"] * len(outcomes), outcomes, trajectories).values()
    by_opponent = {name: counted(rates) for name, rates in rates_by(opponents, outcomes, trajectories).items()}
    decisions = sum(some["decisions"] for some in played)
    return {
        "all": {**counted(everything), "decisions_a_match": round(decisions / len(outcomes), 1)},
        "least": min(by_opponent, key=lambda name: by_opponent[name]["won"]),
        "by_opponent": by_opponent,
    }
