"""How far an episode has come: milestones on the way, and how much it has seen that was new to it."""

from __future__ import annotations

from hakisa_envs.retro.pokemon.emerald import BADGES, Reading
from hakisa_envs.retro.pokemon.quantities import CHAMPION, POKEDEX, POKENAV
from hakisa_envs.retro.pokemon.rewards import Part, RewardTable

OUTDOORS = 0  # the group of towns and routes

# What is new is new for everybody, whatever the rewards are: this table is paid to nobody.
PROGRESS = RewardTable(
    (
        Part("tiles", "set", "tile", 1.0),
        Part("events", "first", "events", 1.0),
        Part("items", "first", "items", 1.0),
        Part("trainers", "first", "trainers", 1.0),
        Part("badges", "first", "badges", 1.0),
        Part("towns", "first", "towns", 1.0),
        Part("pokedex", "first", "pokedex", 1.0),
        Part("pokenav", "first", "pokenav", 1.0),
        Part("champion", "first", "champion", 1.0),
        Part("seen", "first", "seen", 1.0),
        Part("owned", "first", "owned", 1.0),
        Part("points", "maximum", "points", 1.0, ceiling=1e9),
    )
)


def milestones(reading: Reading) -> list[str]:
    """Those that stand behind one at a moment, in order: ``"monster"``, ``"map.GROUP.NUMBER"``, ``"badge.1"``, ..."""
    flags, found = reading.flags or 0, []
    if reading.party:
        found.append("monster")
    found += [name for name, mask in (("pokedex", POKEDEX), ("pokenav", POKENAV)) if flags & mask]
    if reading.place is not None and reading.place.group == OUTDOORS:
        found.append(f"map.{reading.place.group}.{reading.place.number}")
    found += [f"badge.{number}" for number, flag in enumerate(BADGES, 1) if flags >> flag & 1]
    return [*found, "champion"] if flags & CHAMPION else found


class Milestones:
    """Says each one of an episode once; those that it begins with are none of its own."""

    def __init__(self) -> None:
        self._reached: set[str] = set()

    def begin(self, reading: Reading) -> None:
        """An episode begins."""
        self._reached = set(milestones(reading))

    def next(self, reading: Reading) -> str | None:
        """One that has not been said; of several at once, the others are said later."""
        new = next((name for name in milestones(reading) if name not in self._reached), None)
        if new is not None:
            self._reached.add(new)
        return new

    def get_state(self) -> list[str]:
        """What later ones depend on."""
        return sorted(self._reached)

    def set_state(self, state: list[str]) -> None:
        """Go on from `get_state`."""
        self._reached = set(state)
