"""``hakisa resume RUN``."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import parse, parse_configured
from hakisa_algos.cli.session import env_flag, logging_flags, report, train
from hakisa_algos.cli.text import bold, command
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.stored_run import StoredRun

ABOUT = (
    "Continue a run from its latest checkpoint, exactly as if it had never stopped; or with other options and other "
    "hyperparameters, but for those that the weights depend on. Where it logs to must be said again."
)


@dataclass(frozen=True)
class ResumeArguments:
    """See :func:`run`."""

    total_steps: int | None = None
    """New length of the whole run, to go on after its end; short for --config.total-steps. Schedules stretch to it."""
    env: str | None = None
    """Only for a run on package:Id or a live game, which a file alone must not start: the same id again."""
    options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)
    """How the run is run; what is not given is as it was."""


def run(arguments: Sequence[str]) -> int:
    """Continues a run with what it was started with, but for what is changed here."""
    if not arguments or arguments[0] in ("-h", "--help"):
        about = f"{ABOUT} With RUN its hyperparameters are listed too, as --config.NAME."
        parse(ResumeArguments, arguments or ["--help"], "hakisa resume RUN", about)
    if arguments[0].startswith("-"):
        raise ConfigError(f"the run's folder comes first, before {arguments[0]}: hakisa resume runs/ppo-CartPole-v1-0")
    path = Path(arguments[0])
    stored = StoredRun.read(path, of_a_run=True)
    folder, options = stored.folder, RunOptions.stored(stored.asked.get("options", {}))
    assert folder is not None
    chosen, config = parse_configured(
        ResumeArguments(options=options.unlogged()),
        arguments[1:],
        f"hakisa resume {path}",
        lambda chosen: (stored.config(), ABOUT),
    )
    if chosen.total_steps is not None:
        config = dataclasses.replace(config, total_steps=chosen.total_steps)
    agent = Agent.load(stored, chosen.env, config=config, device=chosen.options.device, threads=chosen.options.threads)
    try:
        step, total, flags = agent.steps, agent.config.total_steps, logging_flags(options)
        if step >= total and not agent.learner.facts().midway:
            given = _without_total(arguments[1:])
            unused = "" if not given else " What you changed was not used, since nothing is left to do."
            print(f"{path} is finished: {step:,} of {total:,} steps.{unused} To train it longer:")
            more = [] if logging_flags(chosen.options) else flags
            env = [] if chosen.env else env_flag(folder)
            print(f"  {command('resume', path, *env, *given, '--total-steps', 2 * step, *more)}")
            return 0
        agent.start_run(path, chosen.options)  # what it refuses comes before anything is said
        if stored.checkpoint is None:
            print(f"{path} was ended before its first checkpoint: it begins anew, as its config.json says.")
        print(f"{path} goes on at step {step:,} of {total:,}.")
        if flags and not logging_flags(chosen.options):
            print(f"It logged elsewhere too; to go on with that, stop it and add {bold(shlex.join(flags))}.")
        train(agent, path, chosen.options)
        return report(agent)
    finally:
        agent.close()


def _without_total(arguments: Sequence[str]) -> list[str]:
    """All but the length of the run, however it was said."""
    kept, follows = [], False
    for argument in arguments:
        option, equals, _ = argument.replace("_", "-").partition("=")
        is_total = option in ("--total-steps", "--config.total-steps")
        if not is_total and not follows:
            kept.append(argument)
        follows = is_total and not equals
    return kept
