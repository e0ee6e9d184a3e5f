"""``hakisa train ALGORITHM --env ID``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import tyro
from gymnasium import spaces

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import RunOptions, key_values, parse
from hakisa_algos.cli.session import report, run_config, train
from hakisa_algos.cli.text import bold
from hakisa_algos.data.vectorize import Vectorization, make_envs
from hakisa_algos.errors import ConfigError, did_you_mean
from hakisa_algos.learners.registry import algorithms, find_algorithm
from hakisa_algos.training.run_folder import RunFolder, default_run_path

Config = TypeVar("Config")


@dataclass(frozen=True)
class TrainArguments(Generic[Config]):
    """See :func:`run`."""

    env: str
    """Env id: CartPole-v1, Hakisa/Pong-v0, or package:Id to import the package that registers it."""
    config: Config
    """Hyperparameters; what is not given is what the algorithm recommends for the env's observations."""
    preset: str | None = None
    """Named hyperparameters to start from, where the algorithm has some; ga has small, hakisa and uber."""
    env_options: tuple[str, ...] = ()
    """Keyword arguments of the env, as key=value: frame_size=42 sticky=0.25"""
    seed: int = 0
    """Of everything random: the same seed gives the same weights on the same machine."""
    total_steps: int | None = None
    """Env steps of the whole run; short for --config.total-steps."""
    run: Path | None = None
    """Folder for everything that comes of it; default runs/ALGORITHM-ENV-SEED, numbered if there is one."""
    vectorization: Vectorization = "auto"
    """How envs are stepped together: in turn (sync), in processes (async), or by the env's own vector env."""
    options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)
    """How the run is run; config.json keeps it."""


def run(arguments: Sequence[str]) -> int:
    """Trains, from the command line."""
    arguments = list(arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    name = arguments[0]
    if name.startswith("-"):
        raise ConfigError(f"the algorithm comes first, before {name}: hakisa train ppo --env CartPole-v1")
    chosen = _parse(name, arguments[1:])
    config = chosen.config
    if chosen.total_steps is not None:
        config = dataclasses.replace(config, total_steps=chosen.total_steps)
    options = chosen.options
    agent = Agent(
        chosen.env,
        config,
        algorithm=name,
        seed=chosen.seed,
        device=options.device,
        threads=options.threads,
        env_options=key_values(chosen.env_options),
        vectorization=chosen.vectorization,
    )
    try:
        path = chosen.run or default_run_path(name, chosen.env, chosen.seed)
        folder = RunFolder.create(path, run_config(agent, options), threads=agent.threads)
        report(folder, train(agent, folder, options), config.total_steps, options)
    finally:
        agent.close()
    return 0


def _parse(name: str, arguments: list[str]) -> TrainArguments[Any]:
    learner = find_algorithm(name)
    env, pairs, vectorization, preset = _first_of(arguments)
    if preset is not None:
        default, whose = _preset(name, learner, preset), f"the preset {preset}"
    elif env is None:
        default, whose = learner.config_class(), "vectors; name an --env to see those for it"
    else:
        default, whose = learner.default_config(_space(env, key_values(pairs), vectorization)), env
    return parse(
        TrainArguments[learner.config_class],  # type: ignore[name-defined]
        arguments,
        f"hakisa train {name}",
        f"Train {name} on an env. The defaults of --config shown here are those for {whose}.",
        default=TrainArguments(env=tyro.MISSING, config=default),
    )


def _preset(name: str, learner: Any, preset: str) -> Any:
    presets = getattr(learner, "presets", {})
    if preset not in presets:
        raise ConfigError(f"{name} has no preset {preset!r}.{did_you_mean(preset, presets)}")
    return presets[preset]


def _first_of(arguments: list[str]) -> tuple[str | None, list[str], Any, str | None]:
    """What must be known before the rest is read: the defaults depend on the preset, or on what the env shows."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--env")
    early.add_argument("--env-options", "--env_options", nargs="*", default=[])
    early.add_argument("--vectorization", default="auto")
    early.add_argument("--preset")
    try:
        found, _ = early.parse_known_args(arguments)
    except argparse.ArgumentError:  # the full parser words it
        return None, [], "auto", None
    return found.env, found.env_options, found.vectorization, found.preset


def _space(env: str, options: dict[str, Any], vectorization: Vectorization) -> spaces.Space[Any]:
    probe = make_envs(env, 1, options, vectorization)
    space = probe.single_observation_space
    probe.close()
    return space


def _help() -> str:
    names = "\n".join(f"  {bold(f'hakisa train {name}')} --env ID" for name in algorithms())
    return f"Train an algorithm on an env:\n\n{names}\n\nhakisa train ALGORITHM --env ID --help lists the options."
