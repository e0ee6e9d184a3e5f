"""``hakisa report RUN``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from hakisa_algos.cli.options import parse
from hakisa_algos.training.report import write_report
from hakisa_algos.training.run_folder import RunFolder


@dataclass(frozen=True)
class ReportArguments:
    """See :func:`run`."""

    run: tyro.conf.Positional[Path]
    """The run's folder; somebody may be training in it."""


def run(arguments: Sequence[str]) -> int:
    """Writes the report of a run as it stands now."""
    chosen = parse(ReportArguments, arguments, "hakisa report", "Write a run's report.html as the run stands now.")
    print(write_report(RunFolder.open(chosen.run)))
    return 0
