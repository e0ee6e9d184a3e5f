"""Reward tables: what is paid for, by name, kind and weight. A table is data; the engine is what pays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from hakisa_envs.errors import checked_choice, refuse_unknown
from hakisa_envs.retro.pokemon import meters
from hakisa_envs.retro.pokemon.emerald import Reading
from hakisa_envs.retro.pokemon.quantities import BITS, NUMBERS, PLACES

Kind = Literal["first", "maximum", "set", "change", "rise", "flips", "revisit"]

# Kind -> the quantities that it is about, and what keeps count of it.
KINDS: Mapping[str, tuple[Mapping[str, Callable[[Reading], Any]], Callable[[float], meters.Meter]]] = {
    "first": (BITS, meters.First),
    "maximum": (NUMBERS, meters.Maximum),
    "set": (PLACES, meters.Visited),
    "change": (NUMBERS, lambda ceiling: meters.Change()),
    "rise": (NUMBERS, lambda ceiling: meters.Rise()),
    "flips": (BITS, lambda ceiling: meters.Flips()),
    "revisit": (PLACES, lambda ceiling: meters.Revisit()),
}
NEW_ONLY = ("first", "maximum", "set")


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Part:
    """One thing that is paid for.

    Kinds that pay only what is new in the episode: ``"first"``, each bit of a set the first time that it is set;
    ``"maximum"``, how much higher a number is than it ever was; ``"set"``, each place the first time.
    Kinds that pay again and again, so that an agent can farm them: ``"change"``, how a number changes; ``"rise"``, the
    same where it rises; ``"flips"``, each bit that is set or cleared; ``"revisit"``, a place that was left long ago.

    Attributes:
        name: What it is called in ``info``, as ``reward_NAME``.
        kind: See above.
        of: The quantity: a name in `quantities.BITS` for ``"first"`` and ``"flips"``, in ``PLACES`` for ``"set"`` and
            ``"revisit"``, in ``NUMBERS`` for the others.
        weight: What one of it pays.
        ceiling: Of ``"maximum"``, which must have one: nothing is paid above it. Of ``"first"`` and ``"set"``: how
            many are paid for in an episode.

    Raises:
        ValueError: If the kind or the quantity is none of these, or a maximum has no ceiling.
    """

    name: str
    kind: Kind
    of: str
    weight: float
    ceiling: float = math.inf

    def __post_init__(self) -> None:
        checked_choice(f"kind of reward {self.name!r}", self.kind, KINDS)
        checked_choice(f"'of' of reward {self.name!r}, a {self.kind}", self.of, KINDS[self.kind][0])
        if not _is_finite(self.weight):
            raise ValueError(
                f"weight={self.weight!r} of reward {self.name!r} is not allowed: it must be a finite number."
            )
        if self.ceiling != math.inf and not (_is_finite(self.ceiling) and self.ceiling >= 0):
            raise ValueError(
                f"ceiling={self.ceiling!r} of reward {self.name!r} is not allowed: it must be a number >= 0."
            )
        if self.kind == "maximum" and self.ceiling == math.inf:
            raise ValueError(
                f"Reward {self.name!r} is a maximum and has no ceiling: give it one, or an agent goes back to "
                "grinding it."
            )
        if self.ceiling != math.inf and self.kind not in NEW_ONLY:
            raise ValueError(f"Reward {self.name!r} is a {self.kind}, which has no ceiling: leave it out.")

    def as_option(self) -> dict[str, Any]:
        """The same as plain data; without a ceiling where there is none."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != math.inf}


@dataclass(frozen=True)
class RewardTable:
    """What is paid for.

    Attributes:
        parts: Each by a name of its own.
        squash: What a decision pays in all is ``tanh`` of the sum, times the first of these if positive and the second
            if negative; None: the sum.

    Raises:
        ValueError: If two parts have one name, or ``squash`` is not two finite numbers.
    """

    parts: tuple[Part, ...]
    squash: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"Two rewards are named {min(twice)!r}: give each a name of its own.")
        if self.squash is not None and not (
            isinstance(self.squash, tuple) and len(self.squash) == 2 and all(map(_is_finite, self.squash))
        ):
            raise ValueError(f"squash={self.squash!r} is not allowed: it must be None or two finite numbers.")

    def as_option(self) -> dict[str, Any]:
        """The same as plain data, which `table_of` reads: a run folder holds this, so that its run can go on."""
        squash = None if self.squash is None else list(self.squash)
        return {"parts": [part.as_option() for part in self.parts], "squash": squash}

    def total(self, paid: Mapping[str, float]) -> float:
        """What a decision pays in all."""
        total = float(sum(paid.values()))
        if self.squash is None:
            return total
        return math.tanh(total) * self.squash[total < 0]


# Weights measured on a simulated overworld: with them PPO found the second badge, and levels without a ceiling drew it
# back to grinding.
OURS = RewardTable(
    (
        Part("tile", "set", "tile", 0.03),
        Part("map", "set", "map", 1.0),
        Part("event", "first", "events", 1.0),
        Part("item", "first", "items", 0.1),
        Part("trainer", "first", "trainers", 2.0),
        Part("badge", "first", "badges", 10.0),
        Part("champion", "first", "champion", 10.0),
        Part("town", "first", "towns", 2.0),
        Part("seen", "first", "seen", 0.1),
        Part("caught", "first", "owned", 0.5),
        Part("level", "maximum", "best level", 0.2, ceiling=20),
    )
)

# The public baseline (dvruette/pokemon-emerald-rl), which pays for changes: a ferry that sets and clears flags pays for
# ever. Two things are said more simply here: a new place is a new cell of 6 x 6 tiles, not one 6 tiles from any other.
DVRUETTE = RewardTable(
    (
        Part("city", "change", "towns", 5.0),
        Part("seen", "change", "seen", 0.2),
        Part("caught", "change", "owned", 1.0),
        Part("place", "set", "cell", 0.02),
        Part("revisit", "revisit", "cell", 0.01),
        Part("heal", "rise", "health", 0.5),
        Part("pokedex", "change", "pokedex", 10.0),
        Part("pokenav", "change", "pokenav", 10.0),
        Part("badge", "change", "badges", 10.0),
        Part("champion", "change", "champion", 10.0),
        Part("trainer", "change", "trainers", 2.0),
        Part("flags", "flips", "scripts", 0.075),
        Part("experience", "change", "experience", 5.0),
    ),
    squash=(5.0, 0.3),
)

TABLES: Mapping[str, RewardTable] = {"ours": OURS, "dvruette": DVRUETTE}


def table_of(reward: str | RewardTable | Mapping[str, Any]) -> RewardTable:
    """The table that is meant.

    Args:
        reward: A table, the name of one of ours, or what `RewardTable.as_option` gives, as JSON holds it.

    Raises:
        ValueError: If there is no such name, or the plain data are no table.
        UnknownOptionError: If the plain data have a key that a table or a part does not have.
    """
    if isinstance(reward, RewardTable):
        return reward
    if not isinstance(reward, Mapping):
        return TABLES[checked_choice("reward", reward, TABLES)]
    table = _values(RewardTable, "reward", reward)
    parts, squash = table["parts"], table.get("squash")
    if not isinstance(parts, list | tuple):
        raise ValueError(f"reward['parts']={parts!r} is not allowed: it must be a list of parts.")
    found = tuple(Part(**_values(Part, f"reward['parts'][{at}]", part)) for at, part in enumerate(parts))
    return RewardTable(found, tuple(squash) if isinstance(squash, list) else squash)


def _values(kind: type, name: str, given: Any) -> dict[str, Any]:
    """What a dataclass is to be made of: no other field, and each that has no default."""
    needed = {field.name: field.default is MISSING for field in fields(kind)}
    if not isinstance(given, Mapping):
        raise ValueError(f"{name}={given!r} is not allowed: it must be an object with {', '.join(needed)}.")
    refuse_unknown((key for key in given if key not in needed), needed, owner=name)
    for field, is_needed in needed.items():
        if is_needed and field not in given:
            raise ValueError(f"{name} has no {field!r}: add it.")
    return dict(given)


class RewardEngine:
    """Pays what a table says.

    Args:
        table: The table.
    """

    def __init__(self, table: RewardTable) -> None:
        self.table = table
        self._meters: list[meters.Meter] = []

    def begin(self, reading: Reading) -> None:
        """Begin an episode: what there is already is not paid."""
        self._meters = [KINDS[part.kind][1](part.ceiling) for part in self.table.parts]
        self.pay(reading)

    def pay(self, reading: Reading) -> dict[str, float]:
        """What each part pays for what came since the last reading; 0 where there is none."""
        paid = {}
        for part, meter in zip(self.table.parts, self._meters, strict=True):
            value = KINDS[part.kind][0][part.of](reading)
            paid[part.name] = 0.0 if value is None else part.weight * meter.measure(value)
        return paid

    def get_state(self) -> list[dict[str, Any]]:
        """What later payments depend on."""
        return [meter.get_state() for meter in self._meters]

    def set_state(self, state: list[dict[str, Any]]) -> None:
        """Go on from `get_state`."""
        self._meters = [KINDS[part.kind][1](part.ceiling) for part in self.table.parts]
        for meter, kept in zip(self._meters, state, strict=True):
            meter.set_state(kept)
