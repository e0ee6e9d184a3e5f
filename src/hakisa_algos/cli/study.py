"""``hakisa study RECORDING...``: makes an agent that plays as was recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hakisa_algos.cli.offline import OfflineArguments, say_how_it_ended
from hakisa_algos.cli.options import key_values, parse_configured
from hakisa_algos.cli.session import env_flag
from hakisa_algos.cli.text import command
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.study import Studies, Study, begun
from hakisa_algos.training.console import ConsoleView
from hakisa_algos.training.run_folder import RunFolder, default_run_path

ABOUT = (
    "Learn to play as was recorded, by behaviour cloning, and write a run that hakisa eval measures and hakisa resume "
    "trains on, as one of PPO or DQN. Whole episodes are held out, by which it is judged, and which say when to stop."
)


@dataclass(frozen=True)
class StudyArguments(OfflineArguments):
    """See :func:`run`."""

    for_: Annotated[Literal["ppo", "dqn"], tyro.conf.arg(name="for")] = "ppo"
    """The algorithm that is to go on from the clone."""
    delay: str = "auto"
    """Reaction time of the player in milliseconds; auto finds it out, which takes a while."""
    agent: tuple[str, ...] = ()
    """Hyperparameters of that algorithm, as key=value: network=small hidden_sizes=[128,128] memory=lstm"""


def run(arguments: Sequence[str]) -> int:
    """Studies, from the command line."""
    first = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    folders, options = arguments[:first], arguments[first:]
    chosen, config = parse_configured(
        StudyArguments(), options, "hakisa study RECORDING...", lambda chosen: (CloningConfig(), ABOUT)
    )
    if bool(folders) == (chosen.resume is not None):
        raise ConfigError(
            "name the recordings first, hakisa study RECORDING... --for ppo; or no recording, and --resume RUN"
        )
    if chosen.resume is not None:
        study, rows = begun(chosen.resume)
        studies, folder = Studies(study, chosen.device, chosen.threads), chosen.resume
        studies.check_rows(rows)
        return _learn(studies, folder, resume=True)
    study = Study(
        tuple(str(Path(folder).absolute()) for folder in folders),
        chosen.for_,
        config,
        {n: tuple(v) if isinstance(v, list) else v for n, v in key_values(chosen.agent, "--agent").items()},
        chosen.seed,
        chosen.env,
        key_values(chosen.env_options) or None,
    )
    studies = Studies(study, chosen.device, chosen.threads)
    if chosen.delay == "auto" and not config.delay:
        print("How fast does the player react?", flush=True)
        delay = studies.find_delay(say=lambda text: print(f"  {text}", flush=True))
    else:
        delay = config.delay or round(_milliseconds(chosen.delay) / studies.period_ms)
    study = dataclasses.replace(study, config=dataclasses.replace(config, delay=delay))
    studies = Studies(study, chosen.device, chosen.threads)
    name = studies.recordings[0].facts["name"]
    return _learn(studies, chosen.run or default_run_path(f"{chosen.for_}-clone", name, chosen.seed), resume=False)


def _milliseconds(text: str) -> float:
    try:
        delay = 0.0 if text == "auto" else float(text)
    except ValueError:
        raise ConfigError(f"--delay {text} must be milliseconds, or auto") from None
    if not 0 <= delay <= 2000:
        raise ConfigError(f"--delay {text} must lie between 0 and 2000 milliseconds")
    return delay


def _learn(studies: Studies, folder: Path, resume: bool) -> int:
    study, total = studies.study, studies.study.config.total_steps
    with ConsoleView(f"cloning for {study.algorithm.upper()}", total) as view:
        trainer = studies.run(folder, view, resume)
    if (status := say_how_it_ended(trainer, "study", folder)) is not None:
        return status
    report = studies.learner.best_report
    if report is not None:
        metrics = report["metrics"]
        print(f"  {metrics['held_out/accuracy']:.1%} of held-out actions are the player's own")
        heads = [n.removesuffix("_top1").removeprefix("held_out/") for n in metrics if n.endswith("_top1")]
        for head in heads:
            top = ", ".join(f"top {k} {metrics[f'held_out/{head}_top{k}']:.1%}" for k in (1, 3, 5))
            print(f"    {head}: {top}")
    env = env_flag(RunFolder.open(folder))
    print(f"  everything    {folder}\n  measure it    {command('eval', folder, *env)}")
    print(f"  train it on   {command('resume', folder, *env)}", flush=True)
    return 0
