"""``hakisa consolidate AGENT RECORDING...``: learns offline, from a person's play and the agent's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakisa_algos.cli.offline import OfflineArguments, say_how_it_ended
from hakisa_algos.cli.options import key_values, parse_configured
from hakisa_algos.cli.session import env_flag
from hakisa_algos.cli.text import command
from hakisa_algos.errors import ConfigError
from hakisa_algos.stages.consolidate import Consolidation, Consolidations, begun, learner_of
from hakisa_algos.training.console import ConsoleView
from hakisa_algos.training.run_folder import RunFolder, default_run_path
from hakisa_algos.training.stored_run import StoredRun

ABOUT = (
    "Learn offline from recordings of a person (hakisa record) and of the agent itself (hakisa explore), and write a "
    "run that goes on from there. The agent stays as it is. By episodes that are held out it is judged, and a policy "
    "that has forgotten what the agent could do is refused."
)


@dataclass(frozen=True)
class ConsolidateArguments(OfflineArguments):
    """See :func:`run`."""

    delay: float = 0.0
    """Reaction time of the person in milliseconds, as hakisa study found it out."""


def run(arguments: Sequence[str]) -> int:
    """Consolidates, from the command line."""
    first = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    folders, options = arguments[:first], arguments[first:]

    def config(chosen: ConsolidateArguments) -> tuple[Any, str]:
        if chosen.resume is not None:
            return begun(chosen.resume)[0].config, ABOUT
        if not folders:
            from hakisa_algos.learners.consolidation import ConsolidationConfig

            return ConsolidationConfig(), ABOUT
        return learner_of(StoredRun.read(folders[0])).config_class(), ABOUT

    chosen, own = parse_configured(ConsolidateArguments(), options, "hakisa consolidate AGENT RECORDING...", config)
    if chosen.resume is not None and not folders:
        asked, stored, rows = begun(chosen.resume)
        one = Consolidations(asked, stored, chosen.device, chosen.threads)
        one.check_rows(rows)
        return _learn(one, chosen.resume, resume=True)
    if chosen.resume is not None or len(folders) < 2:
        raise ConfigError(
            "name the agent's run and then recordings: hakisa consolidate RUN RECORDING...; or neither of them, and "
            "--resume RUN"
        )
    agent, *recordings = (str(Path(folder).absolute()) for folder in folders)
    given = key_values(chosen.env_options) or None
    asked = Consolidation(agent, tuple(recordings), own, chosen.seed, chosen.env, given)
    one = Consolidations(asked, device=chosen.device, threads=chosen.threads)
    if chosen.delay:
        one = one.delayed(chosen.delay)
    folder = chosen.run or default_run_path(Path(agent).name, "consolidated", chosen.seed)
    return _learn(one, folder, resume=False)


def _learn(one: Consolidations, folder: Path, resume: bool) -> int:
    learner = one.learner
    with ConsoleView(f"consolidating {Path(one.asked.agent).name}", learner.facts().total) as view:
        trainer = one.run(folder, view, resume)
    if (status := say_how_it_ended(trainer, "consolidate", folder)) is not None:
        return status
    if learner.accepted:
        report = learner.best_report
        assert report is not None
        print(f"  {report['metrics']['held_out/accuracy']:.1%} of held-out actions are its own first choice")
    else:
        print("  nothing better came of it: the agent is as it was. Record more, or explore for longer")
    env = env_flag(RunFolder.open(folder))
    print(f"  everything    {folder}\n  measure it    {command('eval', folder, *env)}")
    print(f"  play on       {command('play', folder, *env, '--learn')}", flush=True)
    return 0
