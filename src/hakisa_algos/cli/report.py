"""``hakisa report RUN``: a run as one page; of several runs and recordings, the stages of an agent side by side."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hakisa_algos.cli.options import key_values, parse
from hakisa_algos.cli.text import bold
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.report import write_report
from hakisa_algos.training.run_folder import RunFolder

ABOUT = (
    "Of one run: write its report.html as the run stands now; somebody may be training in it. Of several runs and "
    "recordings, in the order of their stages (the teacher's recording, the clone, what was consolidated, what it "
    "learned at play): measure them, and show them on one page, with intervals, curves, and films side by side. What "
    "is measured already is not measured again. The options are for these."
)


@dataclass(frozen=True)
class ReportArguments:
    """See :func:`run`."""

    out: Path = Path("runs/report")
    """Folder for everything that comes of it."""
    episodes: int = 20
    """Of each evaluation, with the best actions and with drawn ones."""
    max_steps: int | None = None
    """Longest episode, which is then cut and counts as it is. None: the env's own limit, else 30,000."""
    film_steps: int = 500
    """Longest film in steps; 0 films nothing."""
    seed: int = 0
    """Of the evaluations; all stages play the same episodes, where the env can be seeded."""
    env: str | None = None
    """Needed again for package:Id and live games, which a file alone must not start."""
    env_options: tuple[str, ...] | None = None
    """Other options of the env than the runs', as key=value."""


def run(arguments: Sequence[str]) -> int:
    """Writes the report, from the command line."""
    first = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    chosen = parse(ReportArguments, arguments[first:], "hakisa report RUN_OR_RECORDING...", ABOUT)
    if not first:
        raise ConfigError("name a run, or the stages in their order, before the options: hakisa report monday clone")
    paths = [Path(word) for word in arguments[:first]]
    if len(paths) == 1:
        print(write_report(RunFolder.open(paths[0])))
        return 0
    for option, value, least in (
        ("--episodes", chosen.episodes, 1),
        ("--max-steps", chosen.max_steps, 1),
        ("--film-steps", chosen.film_steps, 0),
    ):
        if value is not None and value < least:
            raise ConfigError(f"{option} {value} is not allowed: it must be at least {least}")
    from hakisa_algos.stages.report import Asked, report

    options = None if chosen.env_options is None else key_values(chosen.env_options)
    numbers = chosen.episodes, chosen.seed, chosen.max_steps, chosen.film_steps
    path = report(
        paths,
        chosen.out,
        Asked(*numbers, chosen.env, options),
        shlex.join(["hakisa", "report", *arguments]),
        say=lambda text: print(f"  {text}", flush=True),
    )
    print(f"  report        {bold(str(path))}")
    return 0
