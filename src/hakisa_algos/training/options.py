"""How a run is run, whatever learns in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.validation import check_config, config_from

# What options were called in version 0.1.0; the command line and config.json take these names too.
FORMER_NAMES = {"eval_every": "evaluate_every", "eval_episodes": "evaluate_episodes"}


@dataclass(frozen=True)
class RunOptions:
    """How a run is run. config.json keeps these under "options", so that a resumed run uses them again.

    All but where it logs to: no file decides that something is sent over the network.
    """

    evaluate_every: int = 0
    """Env steps between evaluations in envs of their own; the best one marks the checkpoint "best". 0: never."""
    evaluate_episodes: int = 20
    """Episodes of each evaluation, deterministic and stochastic."""
    evaluate_steps: int | None = None
    """Steps after which an episode of an evaluation is cut. None: where the env cuts it itself, else 30,000."""
    checkpoint_every: int = 100_000
    """Env steps between checkpoints; one more is written at the end. 0: only that one."""
    checkpoint_replay: Literal["latest", "never"] = "latest"
    """Whether the latest checkpoint holds what later updates still read; without it a resumed run is not the same."""
    collapse: Literal["warn", "restore", "off"] = "warn"
    """When the policy collapses: warn, restore the best weights at half the learning rate, or do not look."""
    picture_every: float = 2.0
    """Seconds, at least, between pictures in the run's folder: now.png, what all envs show, and map.png, where agents
    have been, if the env says it. 0: none."""
    on_exploit: Literal["warn", "stop"] = "warn"
    """When a part of the reward is farmed, as far as the env tells parts and places: warn, or stop the run as well."""
    start_mix: float = 0.0
    """Share of the envs that begin at milestones which the run has reached, of envs that keep these; the others, and
    every evaluation, begin at the true start."""
    carry_on: float = 0.0
    """Probability that an episode begins where the one before it was cut, of envs that can go on there; evaluations
    begin at the true start."""
    info_keys: tuple[str, ...] = ()
    """Entries of the env's info whose means are logged, each as info/KEY."""
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
        """Checks types and ranges."""
        check_config(
            self,
            positive=("evaluate_episodes", "evaluate_steps", "threads"),
            not_negative=("evaluate_every", "checkpoint_every", "picture_every"),
            shares=("start_mix", "carry_on"),
        )

    @classmethod
    def stored(cls, values: Any) -> RunOptions:
        """Those that a config.json holds.

        Raises:
            ConfigError: not a dict, an option that does not exist, or a value out of range.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f'"options" in config.json is {values!r}; it must be an object')
        options: RunOptions = config_from(cls, {FORMER_NAMES.get(str(k), str(k)): v for k, v in values.items()})
        return options

    def unlogged(self) -> RunOptions:
        """The same, logging nowhere else."""
        return dataclasses.replace(self, tensorboard=False, wandb="off", wandb_project="hakisa")
