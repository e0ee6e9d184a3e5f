"""``hakisa resume RUN``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import RunOptions, parse
from hakisa_algos.cli.session import checkpoint_step, env_flag, logging_flags, report, train
from hakisa_algos.cli.text import bold
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.run_folder import RunFolder


@dataclass(frozen=True)
class ResumeArguments:
    """See :func:`run`."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""
    total_steps: int | None = None
    """New length of the whole run, to go on after its end. Schedules stretch to it."""
    env: str | None = None
    """Only for a run on package:Id or a live game, which a file alone must not start: the same id again."""
    device: str | None = None
    """Another device than before."""
    threads: int | None = None
    """Another number of threads than before; the run then goes on, but not bit for bit."""
    tensorboard: bool = False
    """Write TensorBoard files into the run folder as well; a run's own choice is not taken over."""
    wandb: Literal["off", "offline", "online"] = "off"
    """Log to Weights & Biases as well; a run's own choice is not taken over."""
    wandb_project: str = "hakisa"
    """The project there."""


def run(arguments: Sequence[str]) -> int:
    """Continues a run with the options it was started with, but for where it logs to."""
    chosen = parse(
        ResumeArguments,
        arguments,
        "hakisa resume",
        "Continue a run from its latest checkpoint, exactly as if it had never stopped.",
    )
    if chosen.total_steps is not None and chosen.total_steps < 1:
        raise ConfigError(
            f"--total-steps {chosen.total_steps} is not allowed: it is the length of the whole run, at least 1"
        )
    folder = RunFolder.open(chosen.run)
    stored = RunOptions.stored(folder.config.get("options", {}))
    options = dataclasses.replace(
        stored,
        device=chosen.device or stored.device,
        threads=stored.threads if chosen.threads is None else chosen.threads,
        tensorboard=chosen.tensorboard,
        wandb=chosen.wandb,
        wandb_project=chosen.wandb_project,
    )
    agent = Agent.load(folder.path, chosen.env, device=options.device, threads=options.threads)
    try:
        step = checkpoint_step(folder.checkpoints)
        flags = logging_flags(stored)
        total = chosen.total_steps or agent.config.total_steps
        if step >= total:
            print(f"{folder.path} is finished: {step:,} of {total:,} steps. To train it longer:")
            print(f"  {bold(f'hakisa resume {folder.path}{env_flag(folder)} --total-steps {2 * step}{flags}')}")
            return 0
        print(f"{folder.path} goes on at step {step:,} of {total:,}.")
        if flags and not logging_flags(options):
            print(f"It logged elsewhere too; to go on with that, stop it and add{bold(flags)}.")
        ending = train(agent, folder, options, total_steps=chosen.total_steps, resume_step=step)
        report(folder, ending, total, options)
    finally:
        agent.close()
    return 0
