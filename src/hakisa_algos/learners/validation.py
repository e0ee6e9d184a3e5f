"""Checks what users give: seeds, and dataclasses of options, whose types are checked by their annotations."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def check_arguments(name: str, config_class: type, env: Any, config: Any, unknown: Mapping[str, Any]) -> None:
    """Checks what an agent is made of, above all for the habits of other libraries.

    Args:
        name: of the algorithm.
        config_class: of its hyperparameters.
        env: in which it is to learn.
        config: its hyperparameters, or None.
        unknown: keywords that an agent does not have.

    Raises:
        ConfigError: says what is meant here.
    """
    hint = f"{name} takes an env, and then its hyperparameters: a {config_class.__name__}"
    known = [field.name for field in dataclasses.fields(config_class)]
    for keyword in unknown:
        if keyword in known:
            raise ConfigError(f"{keyword} is a hyperparameter: pass {config_class.__name__}({keyword}=...) as config")
        more = did_you_mean(keyword, [*_HABITS, *known, *_AGENT])
        raise ConfigError(f"an agent has no {keyword}={unknown[keyword]!r}.{_HABITS.get(keyword, more)}")
    if isinstance(env, str) and re.fullmatch(r"(Mlp|Cnn|MultiInput)(Lstm|Lnn)?Policy", env):
        raise ConfigError(f"{env!r} is no env: {hint}; the network is chosen by the observations, or by config.network")
    if config is not None and not isinstance(config, config_class):
        fix = "" if dataclasses.is_dataclass(config) else f"; {hint}"
        if isinstance(config, Mapping):
            fix = f"; write {config_class.__name__}(**...)"
        raise ConfigError(f"{name} takes a {config_class.__name__}, not a {type(config).__name__}{fix}")


# What other libraries call it, and what is meant here.
_HABITS = {
    "policy": " The network is chosen by the observations, or by config.network, or network=.",
    "policy_kwargs": " Networks are config.network, config.hidden_sizes and config.activation, or network=.",
    "verbose": " learn(view=...) shows a run, and hakisa train does.",
    "tensorboard_log": " Write learn(run=..., tensorboard=True).",
    "total_timesteps": " Write learn(total_steps).",
    "callback": " Write callbacks=.",
    "batch_size": " It is minibatch_size in the config.",
    "n_epochs": " It is epochs in the config.",
    "ent_coef": " It is entropy_coefficient in the config.",
    "vf_coef": " It is value_coefficient in the config.",
    "clip_range": " It is clip in the config.",
}
_AGENT = (
    "env",
    "config",
    "seed",
    "device",
    "threads",
    "network",
    "env_options",
    "vectorization",
    "eval_env",
    "prior",
    "demonstrations",
)


def listed(given: Any, name: str, rule: str, fits: Callable[[Any], bool]) -> list[Any]:
    """What users give as one or as several; None is none.

    Raises:
        ConfigError: one of them does not fit the rule.
    """
    if given is None:
        return []
    entries = [given] if fits(given) or not isinstance(given, Iterable) else list(given)
    for entry in entries:
        if not fits(entry):
            raise ConfigError(f"{name}: {entry!r} is none; it must be {rule}")
    return entries


def is_callback(given: Any) -> bool:
    """Whether it can be called with two arguments and then has done its work: no class, no coroutine, no generator."""
    if not callable(given) or isinstance(given, type):
        return False
    call = given if inspect.isroutine(given) else type(given).__call__
    if any(
        kind(call) for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    ):
        return False
    try:
        inspect.signature(given).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # of some written in C nobody knows
        return True
    return True


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
    for name in changes:
        if name not in names and name in _HABITS:
            raise ConfigError(f"there is no option {name!r} here.{_HABITS[name]}")
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
        if value is not (plain := _plain(value)):
            object.__setattr__(config, name, plain)
            given[name] = value = plain
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


def _plain(value: Any) -> Any:
    """Numbers of NumPy as Python's own, which they are meant as and JSON can hold."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple) and any(isinstance(entry, np.generic) for entry in value):
        return tuple(map(_plain, value))
    return value


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
