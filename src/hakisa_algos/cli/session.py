"""Trains an agent in a run folder, shows it, and says how it ended; for every verb that trains."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from hakisa_algos.agent import Agent
from hakisa_algos.cli.text import bold
from hakisa_algos.data.vectorize import why_not_from_file
from hakisa_algos.training.checkpoint import find_checkpoint
from hakisa_algos.training.console import ConsoleView
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.run_folder import RunFolder
from hakisa_algos.training.trainer import Callback


def train(agent: Agent, run: Path, options: RunOptions, callbacks: Sequence[Callback] = ()) -> RunFolder:
    """Runs ``agent`` to its end in the folder ``run``, which is new or its own, and shows it."""
    folder = agent.start_run(run, options)  # what it refuses should not be said below a view
    assert folder is not None
    with ConsoleView(f"{agent.name.upper()} on {agent.identity()['env']}", agent.config.total_steps) as view:
        agent.learn(view=view, callbacks=callbacks)
    return folder


def report(agent: Agent) -> None:
    """Prints how a run ended and what can be done next."""
    folder, total = agent.run_folder, agent.config.total_steps
    assert folder is not None
    if agent.stopped_by:
        print(f"\nStopped by {agent.stopped_by} at step {agent.steps:,} of {total:,}, and saved.")
    else:
        print(f"\nDone: {agent.steps:,} steps, mean return of the last episodes {agent.mean_return:.4g}.")
    longer = "" if agent.stopped_by else f" --total-steps {2 * total}"
    env = env_flag(folder)
    print(f"  everything    {folder.path}")
    print(f"  measure it    {bold(f'hakisa eval {folder.path}{env}')}")
    print(f"  continue it   {bold(f'hakisa resume {folder.path}{env}{longer}{logging_flags(agent.options)}')}")


def env_flag(folder: RunFolder) -> str:
    """What must follow ``hakisa resume RUN``: the env, where a file alone must not choose it."""
    env = str(folder.config.get("env"))
    return f" --env {shlex.quote(env)}" if why_not_from_file(env) else ""


def logging_flags(options: RunOptions) -> str:
    """What must follow ``hakisa resume RUN`` to log to the same places again: a file alone must not ask for it."""
    flags = " --tensorboard" if options.tensorboard else ""
    if options.wandb != "off":
        flags += f" --wandb {options.wandb} --wandb-project {shlex.quote(options.wandb_project)}"
    return flags


def checkpoint_step(path: Path) -> int:
    """The env steps of the checkpoint that ``path`` stands for (see ``load_checkpoint``)."""
    return int(find_checkpoint(path).name.split("_")[1].partition("-")[0])
