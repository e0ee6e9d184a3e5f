"""Checks what users give: seeds, and dataclasses of options, whose types are checked by their annotations."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from hakisa_algos.errors import ConfigError, did_you_mean


def check_seed(seed: int) -> int:
    """``seed`` as an int.

    Raises:
        ConfigError: it cannot seed all the generators there are.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ConfigError(f"seed={seed!r} must be a whole number from 0 to 2**63 - 1")
    return int(seed)


def config_from(config_class: type, values: Mapping[str, Any]) -> Any:
    """A dataclass of options from plain values, as config.json or a checkpoint holds them.

    Raises:
        ConfigError: a name that the class does not have, or a value that it refuses.
    """
    names = [field.name for field in dataclasses.fields(config_class)]
    for name in values:
        if name not in names:
            raise ConfigError(f"{config_class.__name__} has no option {name!r}.{did_you_mean(name, names)}")
    return config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def changed(config: Any, changes: Mapping[str, Any]) -> Any:
    """``config`` with other values for some of its fields; for errors see :func:`config_from`."""
    names = [field.name for field in dataclasses.fields(config)]
    return config_from(type(config), {name: getattr(config, name) for name in names} | dict(changes))


def check_config(
    config: Any,
    *,
    positive: Sequence[str] = (),
    not_negative: Sequence[str] = (),
    shares: Sequence[str] = (),
) -> None:
    """Checks a dataclass of options; None passes where the annotation allows it.

    Args:
        config: the dataclass. Fields annotated as int, float, bool, str, tuple[int, ...], tuple[str, ...], Literal, or
            one of these or None are checked, others are not.
        positive: fields that must be greater than 0; of a tuple, each entry.
        not_negative: fields that must be at least 0.
        shares: fields that must lie in 0..1.

    Raises:
        ConfigError: names the field, its value and the rule.
    """
    hints = get_type_hints(type(config))
    optional = {name for name, hint in hints.items() if type(None) in get_args(hint)}
    given = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    given = {name: value for name, value in given.items() if value is not None or name not in optional}
    for name, value in given.items():
        hint = hints[name]
        if get_origin(hint) in (Union, types.UnionType):
            hint = next(choice for choice in get_args(hint) if choice is not type(None))
        _check_type(name, value, hint)
    rules: tuple[tuple[Sequence[str], Callable[[Any], bool], str], ...] = (
        (positive, lambda entry: entry > 0, "must be greater than 0"),
        (not_negative, lambda entry: entry >= 0, "must not be negative"),
        (shares, lambda entry: 0 <= entry <= 1, "must lie in 0..1"),
    )
    for names, holds, rule in rules:
        for name in (name for name in names if name in given):
            value = given[name]
            if not all(map(holds, value if isinstance(value, list | tuple) else [value])):
                without = ", or None to do without" if name in optional else ""
                raise ConfigError(f"{name}={value!r} {rule}{without}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# What an annotation asks of a value, and in words.
_TYPES: dict[Any, tuple[Callable[[Any], bool], str]] = {
    int: (_is_whole, "a whole number, as 100 or 10_000"),
    float: (_is_finite, "a finite number"),
    bool: (lambda x: isinstance(x, bool), "True or False"),
    str: (lambda x: isinstance(x, str), "text"),
    tuple[int, ...]: (lambda x: isinstance(x, list | tuple) and all(map(_is_whole, x)), "whole numbers, as (64, 64)"),
    tuple[str, ...]: (
        lambda x: isinstance(x, list | tuple) and all(isinstance(entry, str) for entry in x),
        'texts, as ("score", "lives")',
    ),
}


def _check_type(name: str, value: Any, hint: Any) -> None:
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{name}={value!r} is unknown.{did_you_mean(str(value), map(str, get_args(hint)))}")
    elif hint in _TYPES and not _TYPES[hint][0](value):
        raise ConfigError(f"{name}={value!r} must be {_TYPES[hint][1]}")
