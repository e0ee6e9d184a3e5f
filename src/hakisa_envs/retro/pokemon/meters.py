"""What keeps count of one reward in an episode. The first measurement only says where the episode starts: it is 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

REVISIT_AFTER = 8192  # decisions

# What a place is: numbers.
Key = tuple[int, ...]


class Meter(Protocol):
    """Counts one reward."""

    def measure(self, value: Any) -> float:
        """How much of it came, given the quantity now."""
        ...

    def get_state(self) -> dict[str, Any]:
        """What later measurements depend on: numbers and lists."""
        ...

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `get_state`."""
        ...


class First:
    """Bits that were never set before. A bit that is cleared and set again is not new."""

    def __init__(self, ceiling: float) -> None:
        self._ceiling = ceiling
        self._ever: int | None = None
        self._paid = 0

    def measure(self, value: int) -> float:
        new = 0 if self._ever is None else (value & ~self._ever).bit_count()
        self._ever = value if self._ever is None else self._ever | value
        paid = min(new, self._ceiling - self._paid)
        self._paid += new
        return max(0.0, float(paid))

    def get_state(self) -> dict[str, Any]:
        return {"ever": None if self._ever is None else hex(self._ever), "paid": self._paid}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._ever = None if state["ever"] is None else int(state["ever"], 16)
        self._paid = int(state["paid"])


class Maximum:
    """How far a number is above what it ever was, up to a ceiling."""

    def __init__(self, ceiling: float) -> None:
        self._ceiling = ceiling
        self._best: float | None = None

    def measure(self, value: float) -> float:
        value = min(value, self._ceiling)
        best = value if self._best is None else max(self._best, value)
        gained = 0.0 if self._best is None else best - self._best
        self._best = best
        return gained

    def get_state(self) -> dict[str, Any]:
        return {"best": self._best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._best = state["best"]


class Visited:
    """Places where nobody was before in the episode."""

    def __init__(self, ceiling: float) -> None:
        self._ceiling = ceiling
        self._places: set[Key] = set()

    def measure(self, value: Key) -> float:
        new = bool(self._places) and value not in self._places
        self._places.add(value)
        return float(new and len(self._places) - 1 <= self._ceiling)  # the first was not paid

    def get_state(self) -> dict[str, Any]:
        return {"places": sorted(map(list, self._places))}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._places = {tuple(map(int, place)) for place in state["places"]}


class Change:
    """How a number changes, up and down: what rises and falls pays as often as it does."""

    def __init__(self) -> None:
        self._last: float | None = None

    def measure(self, value: float) -> float:
        change = 0.0 if self._last is None else value - self._last
        self._last = value
        return change

    def get_state(self) -> dict[str, Any]:
        return {"last": self._last}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._last = state["last"]


class Rise(Change):
    """How a number rises, each time that it does."""

    def measure(self, value: float) -> float:
        return max(0.0, super().measure(value))


class Flips:
    """Bits that were set or cleared."""

    def __init__(self) -> None:
        self._last: int | None = None

    def measure(self, value: int) -> float:
        flips = 0 if self._last is None else (value ^ self._last).bit_count()
        self._last = value
        return float(flips)

    def get_state(self) -> dict[str, Any]:
        return {"last": None if self._last is None else hex(self._last)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._last = None if state["last"] is None else int(state["last"], 16)


class Revisit:
    """Places that were left more than `REVISIT_AFTER` decisions ago."""

    def __init__(self) -> None:
        self._decision = 0
        self._left: dict[Key, int] = {}

    def measure(self, value: Key) -> float:
        self._decision += 1
        before = self._left.get(value)
        self._left[value] = self._decision
        return float(before is not None and self._decision - before > REVISIT_AFTER)

    def get_state(self) -> dict[str, Any]:
        return {"decision": self._decision, "left": [[*place, at] for place, at in self._left.items()]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._decision = int(state["decision"])
        self._left = {tuple(map(int, row[:-1])): int(row[-1]) for row in state["left"]}
