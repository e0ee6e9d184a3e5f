"""Checks what users give: seeds, and config dataclasses, whose types are checked by their annotations."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from hakisa_algos.errors import ConfigError, did_you_mean


def check_seed(seed: int) -> int:
    """``seed`` as an int.

    Raises:
        ConfigError: it cannot seed all the generators there are.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ConfigError(f"seed={seed!r} must be a whole number from 0 to 2**63 - 1")
    return int(seed)


def check_config(
    config: Any,
    *,
    positive: Sequence[str] = (),
    not_negative: Sequence[str] = (),
    shares: Sequence[str] = (),
) -> None:
    """Checks a config dataclass; None passes where the annotation allows it.

    Args:
        config: the dataclass. Fields annotated as int, float, bool, str, tuple[int, ...], Literal or one of these
            or None are checked, others are not.
        positive: fields that must be greater than 0; of a tuple, each entry.
        not_negative: fields that must be at least 0.
        shares: fields that must lie in 0..1.

    Raises:
        ConfigError: names the field, its value and the rule.
    """
    hints = get_type_hints(type(config))
    optional = set()
    for name in (field.name for field in dataclasses.fields(config)):
        hint = hints[name]
        if get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint):
            optional.add(name)
            if getattr(config, name) is None:
                continue
            hint = next(choice for choice in get_args(hint) if choice is not type(None))
        _check_type(name, getattr(config, name), hint)
    for name in (*positive, *not_negative, *shares):
        value = getattr(config, name)
        least = min(value, default=1) if isinstance(value, list | tuple) else value
        without = ", or None to do without" if name in optional else ""
        if value is None:
            continue
        if name in positive and not least > 0:
            raise ConfigError(f"{name}={value!r} must be greater than 0{without}")
        if name in not_negative and not least >= 0:
            raise ConfigError(f"{name}={value!r} must not be negative{without}")
        if name in shares and not 0 <= value <= 1:
            raise ConfigError(f"{name}={value!r} must lie in 0..1{without}")


def _check_type(name: str, value: Any, hint: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{name}={value!r} is unknown.{did_you_mean(str(value), get_args(hint))}")
    elif hint is int and not (number and isinstance(value, int)):
        raise ConfigError(f"{name}={value!r} must be a whole number, as 100 or 10_000")
    elif hint is float and not (number and math.isfinite(value)):
        raise ConfigError(f"{name}={value!r} must be a finite number")
    elif hint in (bool, str) and not isinstance(value, hint):
        raise ConfigError(f"{name}={value!r} must be {'True or False' if hint is bool else 'text'}")
    elif hint == tuple[int, ...] and not (
        isinstance(value, list | tuple) and all(type(entry) is int for entry in value)
    ):
        raise ConfigError(f"{name}={value!r} must be whole numbers, as (64, 64)")
