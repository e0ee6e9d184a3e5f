"""Errors that say what was wrong, what the rule is and what to do about it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message holds the exact line that installs it."""


class UnknownOptionError(TypeError):
    """A keyword that the constructor does not know; the message names the nearest known one."""


def import_extra(module: str, *, extra: str, needed_by: str) -> Any:
    """Import an optional dependency where it is used.

    Args:
        module: Name of the module, such as ``"ale_py"``.
        extra: The extra of the ``hakisa`` distribution that brings it, such as ``"atari"``.
        needed_by: What asks for it; named in the error.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: If the module cannot be imported. The message ends with the line to run.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{needed_by} needs {module!r}, which could not be imported ({error}). "
            f'Install it with: pip install "hakisa[{extra}]"'
        ) from error


def refuse_unknown(unknown: Iterable[str], known: Iterable[str], *, owner: str) -> None:
    """Raise `UnknownOptionError` for the first of ``unknown``, with the nearest of ``known``.

    Args:
        unknown: Keywords that no parameter took; nothing happens if there are none.
        known: Keywords that ``owner`` has.
        owner: What was being made, such as ``"Hakisa/Pong-v0"``.
    """
    known = sorted(known)
    for name in unknown:
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"its options are {', '.join(known)}."
        raise UnknownOptionError(f"{owner} has no option {name!r}: {hint}")


def checked_int(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int if it is a whole number in ``[low, high]`` (no upper bound if None).

    Raises:
        ValueError: If it is not; the message gives the option's name, the value and the range.
    """
    wanted = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"
    whole = not isinstance(value, bool) and hasattr(value, "__index__")
    if not whole or value < low or (high is not None and value > high):
        raise ValueError(f"{name}={value!r} is not allowed: it must be {wanted}.")
    return int(value)


def checked_float(name: str, value: Any, low: float, high: float) -> float:
    """Return ``value`` as a float if it is a number in ``[low, high]``; NaN is refused.

    Raises:
        ValueError: If it is not; the message gives the option's name, the value and the range.
    """
    number = not isinstance(value, bool) and hasattr(value, "__float__")
    if not number or not low <= float(value) <= high:
        raise ValueError(f"{name}={value!r} is not allowed: it must be a number from {low:g} to {high:g}.")
    return float(value)


def checked_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        ValueError: If it is not; the message lists what is allowed.
    """
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(
            f"{name}={value!r} is not allowed: it must be {' or '.join(repr(choice) for choice in choices)}."
        )
    return value
