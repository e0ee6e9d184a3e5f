"""Conditions on readings: ``"lives >= 1 and field < 30"``, ``"score > best or score is unread"``, ``"lives falls"``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass

Readings = Mapping[str, float | None]
"""What the readers made of a frame, by name; None is "no reading", which is never taken for a number."""

COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
WORDS = ("is read", "is unread", "falls", "rises")
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
JOINED = r"(?<![\w-]){}(?![\w-])"  # a word by itself, not a part of a name
NAME = r"\w+(?:-\w+)*"  # what TOML allows without quotes
STATE = re.compile(rf"(?P<name>{NAME})\s+(?P<word>is\s+read|is\s+unread|falls|rises)")
COMPARISON = re.compile(rf"(?P<left>{NUMBER}|{NAME})\s*(?P<op><=|>=|==|!=|<|>)\s*(?P<right>{NUMBER}|{NAME})")


@dataclass(frozen=True)
class Term:
    """One comparison. ``relation`` is a key of `COMPARE`, with a name or a number on each side, or one of `WORDS`."""

    left: str | float
    relation: str
    right: str | float = 0.0

    def holds(self, now: Readings, before: Readings) -> bool:
        """Whether it holds; a comparison with "no reading" never does."""
        value = _value(self.left, now)
        if self.relation == "is read":
            return value is not None
        if self.relation == "is unread":
            return value is None
        if self.relation in ("falls", "rises"):
            other, compare = _value(self.left, before), COMPARE["<" if self.relation == "falls" else ">"]
        else:
            other, compare = _value(self.right, now), COMPARE[self.relation]
        return value is not None and other is not None and bool(compare(value, other))


@dataclass(frozen=True)
class Condition:
    """Terms of which all must hold, or all of another group of them.

    Attributes:
        text: As it was written.
        groups: The terms: those of a group are joined by ``and``, the groups by ``or``.
    """

    text: str
    groups: tuple[tuple[Term, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition.

        Args:
            text: Terms joined by ``and`` and ``or``, of which ``and`` binds more tightly: ``name < number`` (or <=, >,
                >=, ==, !=; a name may stand on either side, or on both), ``name is read``, ``name is unread``,
                ``name falls``, ``name rises`` (against the last value that was read). A number is ``3``, ``-.5`` or
                ``1e3``.

        Raises:
            ValueError: If a term is none of these.
        """
        groups = (re.split(JOINED.format("and"), group) for group in re.split(JOINED.format("or"), text))
        return cls(text, tuple(tuple(_term(part.strip()) for part in group) for group in groups))

    @property
    def names(self) -> list[str]:
        """The readings that it is about."""
        return [
            side for group in self.groups for term in group for side in (term.left, term.right) if isinstance(side, str)
        ]

    def holds(self, now: Readings, before: Readings | None = None) -> bool:
        """Whether it holds.

        Args:
            now: The readings of this frame.
            before: The last number that was read of each before this frame.
        """
        return any(all(term.holds(now, before or {}) for term in group) for group in self.groups)


def can_be_named(name: str) -> bool:
    """Whether a condition can be about a reading of this name."""
    return bool(re.fullmatch(NAME, name)) and not re.fullmatch(NUMBER, name) and name not in ("and", "or")


def _term(text: str) -> Term:
    if match := STATE.fullmatch(text):
        return Term(match["name"], " ".join(match["word"].split()))
    match = COMPARISON.fullmatch(text)
    sides = [] if match is None else [_side(match["left"]), _side(match["right"])]
    if match is None or not any(isinstance(side, str) for side in sides):
        brackets = " There are no brackets: 'and' binds more tightly than 'or'." if set("()") & set(text) else ""
        raise ValueError(
            f"{text!r} is no condition: write 'name < number' or 'name < name' (<=, >, >=, ==, !=), 'name is read', "
            f"'name is unread', 'name falls' or 'name rises', joined by 'and' and 'or'.{brackets}"
        )
    return Term(sides[0], match["op"], sides[1])


def _side(text: str) -> str | float:
    if not re.fullmatch(NUMBER, text):
        return text
    if math.isinf(number := float(text)):
        raise ValueError(f"{text} is larger than any number that can be read")
    return number


def _value(side: str | float, readings: Readings) -> float | None:
    return readings.get(side) if isinstance(side, str) else side
