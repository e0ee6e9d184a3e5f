"""What the command line reads: typed arguments with an algorithm's hyperparameters, and key=value pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import tyro

from hakisa_algos.errors import ConfigError
from hakisa_algos.training.options import FORMER_NAMES

Arguments = TypeVar("Arguments")
Config = TypeVar("Config")


@dataclass(frozen=True)
class Configured(Generic[Arguments, Config]):
    """Arguments of a command, and hyperparameters."""

    arguments: Annotated[Arguments, tyro.conf.arg(name="")]
    config: Config
    """Hyperparameters."""


def parse(kind: type[Arguments], arguments: Sequence[str], command: str, about: str, **more: Any) -> Arguments:
    """``arguments`` as an instance of the dataclass ``kind``, whose field docstrings are the help.

    ``--help`` and mistakes end the process; ``more`` is for :func:`tyro.cli`.
    """
    current = [_current(argument) for argument in arguments]
    parsed: Arguments = tyro.cli(kind, args=current, prog=command, description=about, **more)
    return parsed


def parse_configured(
    default: Arguments,
    arguments: Sequence[str],
    command: str,
    config_of: Callable[[Arguments], tuple[Any, str]],
) -> tuple[Arguments, Any]:
    """The same for a command that takes ``--config.NAME`` as well, whose defaults depend on its other arguments.

    Options that begin with ``--config.`` are read by a parser of their own, and by no other. ``config_of`` gives the
    defaults of the hyperparameters, a dataclass, and what the help begins with.
    """
    own, config = _apart(arguments)
    asked_for_help = [argument for argument in own if argument in ("-h", "--help")]
    own = [argument for argument in own if argument not in asked_for_help]
    first = parse(type(default), own, command, "", default=default)
    defaults, about = config_of(first)
    kind: Any = Configured[type(first), type(defaults)]  # type: ignore[misc]
    parsed = parse(kind, [*config, *asked_for_help], command, about, default=Configured(first, defaults))
    return first, parsed.config


def _apart(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """All but the options that begin with ``--config.``, and those; an option's values stay with it."""
    own: list[str] = []
    config: list[str] = []
    target = own
    for argument in arguments:
        if argument.startswith("--"):
            target = config if argument.startswith("--config.") else own
        target.append(argument)
    return own, config


def _current(argument: str) -> str:
    """An option by the name that it has now."""
    option, equals, value = argument.partition("=")
    former = option.removeprefix("--").replace("-", "_")
    if not option.startswith("--") or former not in FORMER_NAMES:
        return argument
    return f"--{FORMER_NAMES[former].replace('_', '-')}{equals}{value}"


def key_values(pairs: Sequence[str], option: str = "--env-options") -> dict[str, Any]:
    """``["frame_size=42", "render_mode=rgb_array"]`` as a dict; values are JSON where they can be, else text.

    Raises:
        ConfigError: a pair without ``=``, or a key twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"{option} {pair!r} must be key=value, such as {option} frame_size=42")
        if key in found:
            raise ConfigError(f"{option} has {key!r} twice; give it once")
        found[key] = _value(text)
    return found


def _value(text: str) -> Any:
    named = {"True": True, "False": False, "None": None}
    if text in named:
        return named[text]
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text
