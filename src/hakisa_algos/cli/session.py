"""Trains an agent in a run folder, shows it, and says how it ended; for every verb that trains."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import RunOptions
from hakisa_algos.cli.text import bold
from hakisa_algos.data.vectorize import why_not_from_file
from hakisa_algos.errors import BudgetSpent, require
from hakisa_algos.training.checkpoint import find_checkpoint
from hakisa_algos.training.console import ConsoleView
from hakisa_algos.training.metrics import Sink, TensorBoardSink, WandbSink
from hakisa_algos.training.run_folder import RunFolder
from hakisa_algos.training.trainer import Callback, Trainer


class Ending:
    """How far a run came; a callback of it.

    Args:
        agent: whose run it is.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._trainer: Trainer | None = None

    def __call__(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        """See :data:`hakisa_algos.training.trainer.Callback`."""
        self._trainer = trainer

    @property
    def step(self) -> int:
        """Env steps so far."""
        return self._agent.steps

    @property
    def stopped_by(self) -> str | None:
        """Why the run ended early, see :attr:`Agent.stopped_by`; None if it did not."""
        stopped_by = self._agent.stopped_by
        return None if stopped_by == BudgetSpent.__name__ else stopped_by

    @property
    def mean_return(self) -> float:
        """Of the last episodes; NaN before the first has ended."""
        return self._trainer.statistics.mean_return if self._trainer else float("nan")


def train(
    agent: Agent,
    folder: RunFolder,
    options: RunOptions,
    *,
    total_steps: int | None = None,
    resume_step: int | None = None,
    callbacks: Sequence[Callback] = (),
) -> Ending:
    """Runs ``agent`` to its end in ``folder``.

    Args:
        agent: new or loaded.
        folder: of the run.
        options: see :class:`RunOptions`.
        total_steps: of the whole run; default: as configured.
        resume_step: the step of the checkpoint that is resumed from.
        callbacks: see :class:`Trainer`.
    """
    ending = Ending(agent)
    with _sinks(folder, options, resume_step) as sinks, ConsoleView() as view:
        view.start(f"{agent.name.upper()} on {agent.identity()['env']}", total_steps or agent.config.total_steps)
        agent.learn(
            total_steps,
            run=folder,
            sinks=sinks,
            view=view,
            callbacks=[ending, *callbacks],
            evaluate_every=options.eval_every,
            evaluate_episodes=options.eval_episodes,
            checkpoint_every=options.checkpoint_every,
            checkpoint_replay=options.checkpoint_replay,
            collapse=options.collapse,
        )
    return ending


def report(folder: RunFolder, ending: Ending, total_steps: int, options: RunOptions) -> None:
    """Prints how a run ended and what can be done next."""
    if ending.stopped_by:
        print(f"\nStopped by {ending.stopped_by} at step {ending.step:,} of {total_steps:,}, and saved.")
    else:
        print(f"\nDone: {ending.step:,} steps, mean return of the last episodes {ending.mean_return:.4g}.")
    longer = "" if ending.stopped_by else f" --total-steps {2 * total_steps}"
    env = env_flag(folder)
    print(f"  everything    {folder.path}")
    print(f"  measure it    {bold(f'hakisa eval {folder.path}{env}')}")
    print(f"  continue it   {bold(f'hakisa resume {folder.path}{env}{longer}{logging_flags(options)}')}")


def env_flag(folder: RunFolder) -> str:
    """What must follow ``hakisa resume RUN``: the env, where a file alone must not choose it."""
    env = str(folder.config.get("env"))
    return f" --env {shlex.quote(env)}" if why_not_from_file(env) else ""


def logging_flags(options: RunOptions) -> str:
    """What must follow ``hakisa resume RUN`` to log to the same places again: a file alone must not ask for it."""
    flags = " --tensorboard" if options.tensorboard else ""
    if options.wandb in ("offline", "online"):
        flags += f" --wandb {options.wandb} --wandb-project {shlex.quote(str(options.wandb_project))}"
    return flags


def run_config(agent: Agent, options: RunOptions) -> dict[str, Any]:
    """What config.json says: what the agent is, and how it is run.

    Raises:
        MissingExtraError: the options ask for a package that is not installed; said before a folder is made.
    """
    if options.tensorboard:
        require("tensorboard", "tensorboard")
    if options.wandb != "off":
        require("wandb", "wandb")
    # Weights & Biases goes by run_id, since two machines may have runs of the same name.
    return {**agent.identity(), "options": options, "run_id": uuid.uuid4().hex}


def checkpoint_step(path: Path) -> int:
    """The env steps of the checkpoint that ``path`` stands for (see ``load_checkpoint``).

    Raises:
        CheckpointError: there is none.
    """
    return int(find_checkpoint(path).name.split("_")[1].partition("-")[0])


@contextmanager
def _sinks(folder: RunFolder, options: RunOptions, resume_step: int | None) -> Iterator[list[Sink]]:
    sinks: list[Sink] = []
    try:
        if options.tensorboard:
            sinks.append(TensorBoardSink(folder.path / "tensorboard", resume_step))
        if options.wandb != "off":
            run_id = folder.config.get("run_id")
            sinks.append(
                WandbSink(
                    folder.path,
                    project=options.wandb_project,
                    name=folder.path.name,
                    config=folder.config,
                    mode=options.wandb,
                    run_id=run_id if isinstance(run_id, str) else None,
                )
            )
        yield sinks
    finally:
        for sink in sinks:
            sink.close()
