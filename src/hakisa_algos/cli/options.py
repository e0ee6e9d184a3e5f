"""What the command line reads: key=value pairs, the options of a run, and typed arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

import tyro

from hakisa_algos.errors import ConfigError, did_you_mean

Arguments = TypeVar("Arguments")


@dataclass(frozen=True)
class RunOptions:
    """How a run is run. config.json keeps these under "options", so that ``hakisa resume`` uses them again.

    All but where it logs to: no file decides that something is sent over the network.
    """

    eval_every: int = 0
    """Env steps between evaluations in envs of their own; the best one marks the checkpoint "best". 0: never."""
    eval_episodes: int = 20
    """Episodes of each evaluation, deterministic and stochastic."""
    checkpoint_every: int = 100_000
    """Env steps between checkpoints; one more is written at the end."""
    checkpoint_replay: Literal["latest", "never"] = "latest"
    """Whether checkpoints hold what later updates still read."""
    collapse: Literal["warn", "restore", "off"] = "warn"
    """When the policy collapses: warn, restore the best weights at half the learning rate, or do not look."""
    tensorboard: bool = False
    """Write TensorBoard files into the run folder as well."""
    wandb: Literal["off", "offline", "online"] = "off"
    """Log to Weights & Biases as well; offline needs no network."""
    wandb_project: str = "hakisa"
    """The project there."""
    device: str = "auto"
    """auto, cpu, cuda, ...; auto takes a GPU for pictures."""
    threads: int | None = None
    """Threads of torch. None: all cores for pictures, else one."""

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: names the option, its value and the rule.
        """
        for name, least in (("eval_every", 0), ("eval_episodes", 1), ("checkpoint_every", 1), ("threads", 1)):
            value = getattr(self, name)
            if (name, value) != ("threads", None) and (type(value) is not int or value < least):
                option = "--" + name.replace("_", "-")
                raise ConfigError(f"{option} {value!r} is not allowed: it must be a whole number of at least {least}")

    @classmethod
    def stored(cls, values: Any) -> RunOptions:
        """Those that a config.json holds.

        Raises:
            ConfigError: not a dict, an option that does not exist, or a value out of range.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping):
            raise ConfigError(f'"options" in config.json is {values!r}; it must be an object')
        for name in values:
            if name not in known:
                raise ConfigError(f'"options" in config.json has {name!r}.{did_you_mean(name, known)}')
        return cls(**values)


def parse(kind: type[Arguments], arguments: Sequence[str], command: str, about: str, **more: Any) -> Arguments:
    """``arguments`` as an instance of the dataclass ``kind``; ``--help`` and mistakes end the process.

    Args:
        kind: a dataclass whose field docstrings are the help.
        arguments: as typed.
        command: such as ``"hakisa train ppo"``.
        about: what the help begins with.
        more: for :func:`tyro.cli`.
    """
    parsed: Arguments = tyro.cli(kind, args=list(arguments), prog=command, description=about, **more)
    return parsed


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
