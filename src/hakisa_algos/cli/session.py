"""Trains an agent in a run folder, shows it, and says how it ended; for every verb that trains."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self

from hakisa_algos.agent import Agent
from hakisa_algos.cli.text import command
from hakisa_algos.data.vectorize import why_not_from_file
from hakisa_algos.training.console import ConsoleView
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.report import REPORT, write_report
from hakisa_algos.training.run_folder import RunFolder
from hakisa_algos.training.signals import exit_status
from hakisa_algos.training.trainer import Callback, View


class Viewed(View, Protocol):
    """A view that is entered, and left at the end."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def train(
    agent: Agent,
    run: Path,
    options: RunOptions,
    callbacks: Sequence[Callback] = (),
    open_view: Callable[[str, int], Viewed] = ConsoleView,
) -> RunFolder:
    """Runs ``agent`` to its end in the folder ``run``, which is new or its own, and shows it."""
    folder = agent.start_run(run, options)  # what it refuses should not be said below a view
    assert folder is not None
    with open_view(f"{agent.name.upper()} on {agent.identity()['env']}", agent.config.total_steps) as view:
        agent.learn(view=view, callbacks=callbacks)
    write_report(folder)
    return folder


def report(agent: Agent) -> int:
    """Prints how a run ended and what can be done next; returns the exit status."""
    status = exit_status(agent.stopped_by)
    with contextlib.suppress(OSError) if status else contextlib.nullcontext():  # of a terminal that was closed
        _report(agent)
    return status


def _report(agent: Agent) -> None:
    folder, total = agent.run_folder, agent.config.total_steps
    assert folder is not None
    if agent.stopped_by:
        print(f"\nStopped by {agent.stopped_by} at step {agent.steps:,} of {total:,}, and saved.")
    else:
        none = math.isnan(agent.mean_return)
        mean = "no episode has ended yet" if none else f"mean return of the last episodes {agent.mean_return:.4g}"
        print(f"\nDone: {agent.steps:,} steps, {mean}.")
    longer = [] if agent.stopped_by else ["--total-steps", 2 * max(total, agent.steps)]
    env = env_flag(folder)
    print(f"  everything    {folder.path}")
    print(f"  look at it    {folder.path / REPORT}")
    print(f"  measure it    {command('eval', folder.path, *env)}")
    print(f"  continue it   {command('resume', folder.path, *env, *longer, *logging_flags(agent.options))}", flush=True)


def env_flag(folder: RunFolder) -> list[str]:
    """What must follow ``hakisa resume RUN``: the env, where a file alone must not choose it."""
    env = str(folder.config.get("env"))
    return ["--env", env] if why_not_from_file(env) else []


def logging_flags(options: RunOptions) -> list[str]:
    """What must follow ``hakisa resume RUN`` to log to the same places again: a file alone must not ask for it."""
    flags = ["--tensorboard"] if options.tensorboard else []
    return flags + (
        ["--wandb", options.wandb, "--wandb-project", options.wandb_project] if options.wandb != "off" else []
    )


def checkpoint_step(checkpoint: Path) -> int:
    """The env steps of a checkpoint's folder."""
    return int(checkpoint.name.split("_")[1].partition("-")[0])
