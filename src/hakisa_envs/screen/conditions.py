"""Conditions on readings: ``"lives >= 1 and field < 30"``, ``"score is unread"``, ``"lives falls"``."""

from __future__ import annotations

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
TERM = re.compile(r"\s*(?P<name>\w+)\s+(?P<word>is read|is unread|falls|rises)\s*|"
                  r"\s*(?P<name2>\w+)\s*(?P<op><=|>=|==|!=|<|>)\s*(?P<number>-?\d+(\.\d*)?)\s*")  # fmt: skip


@dataclass(frozen=True)
class Term:
    """One comparison. ``relation`` is a key of `COMPARE` or one of `WORDS`."""

    name: str
    relation: str
    number: float = 0.0

    def holds(self, now: Readings, before: Readings) -> bool:
        """Whether it holds; a comparison with "no reading" never does."""
        value, last = now.get(self.name), before.get(self.name)
        if self.relation == "is read":
            return value is not None
        if self.relation == "is unread":
            return value is None
        if value is None:
            return False
        if self.relation in ("falls", "rises"):
            return last is not None and (value < last if self.relation == "falls" else value > last)
        return bool(COMPARE[self.relation](value, self.number))


@dataclass(frozen=True)
class Condition:
    """Terms that must all hold."""

    text: str
    terms: tuple[Term, ...]

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition.

        Args:
            text: Terms joined by ``and``: ``name < number`` (or <=, >, >=, ==, !=), ``name is read``,
                ``name is unread``, ``name falls``, ``name rises`` (against the last value that was read).

        Raises:
            ValueError: If a term is none of these.
        """
        terms = []
        for part in re.split(r"\band\b", text):
            match = TERM.fullmatch(part)
            if match is None:
                raise ValueError(
                    f"{part.strip()!r} is no condition: write 'name < number' (<=, >, >=, ==, !=), 'name is read', "
                    "'name is unread', 'name falls' or 'name rises', joined by 'and'"
                )
            if match["word"]:
                terms.append(Term(match["name"], match["word"]))
            else:
                terms.append(Term(match["name2"], match["op"], float(match["number"])))
        return cls(text, tuple(terms))

    def holds(self, now: Readings, before: Readings | None = None) -> bool:
        """Whether all terms hold.

        Args:
            now: The readings of this frame.
            before: The last number that was read of each before this frame.
        """
        return all(term.holds(now, before or {}) for term in self.terms)
