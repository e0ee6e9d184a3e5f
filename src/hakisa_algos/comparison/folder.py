"""The folder of a comparison: what was asked for, each run's result, and what is still to be done."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from hakisa_algos.comparison.job import load_result
from hakisa_algos.comparison.plan import Job, Plan
from hakisa_algos.comparison.summary import Result
from hakisa_algos.data.files import TEMPORARY, write_json
from hakisa_algos.errors import RunFolderError

SETTINGS = "comparison.json"


class ComparisonFolder:
    """One comparison on disk.

    comparison.json    protocol and command
    jobs/ppo-CartPole-v1-1/    result.json, video.mp4, log.txt
    report.html    curves.png    curves-seconds.png    scores.json    table.txt    table.md

    It is made if it is not there. If it holds a comparison with the same protocol, that one goes on: algorithms, envs
    and seeds may be added or left out.

    Raises:
        RunFolderError: it holds something else, or a comparison with another protocol.
    """

    def __init__(self, path: Path, plan: Plan, command: str) -> None:
        self.path, self.plan, self.command = path, plan, command
        protocol = json.loads(json.dumps(dataclasses.asdict(plan.protocol)))
        settings = path / SETTINGS
        if settings.is_file():
            _check_same(settings, protocol)
        elif path.exists() and (not path.is_dir() or set(path.iterdir()) - set(path.glob(f"{TEMPORARY}*"))):
            raise RunFolderError(f"{path} exists and is no comparison; choose another --out")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{path} cannot be made ({error.strerror or error}); choose another --out") from error
        write_json(settings, {"protocol": protocol, "command": command})

    def of(self, job: Job) -> Path:
        """The folder of one job."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{job.algorithm}-{job.env}-{job.seed}")
        return self.path / "jobs" / name

    def results(self) -> dict[tuple[str, str, int], Result]:
        """Of the jobs that are done."""
        found = {(job.algorithm, job.env, job.seed): load_result(job, self.of(job)) for job in self.plan.jobs}
        return {key: result for key, result in found.items() if result is not None}

    def missing(self) -> list[Job]:
        """Jobs that are not done, those that failed among them."""
        return [job for job in self.plan.jobs if load_result(job, self.of(job)) is None]


def _check_same(settings: Path, protocol: dict[str, Any]) -> None:
    try:
        before = json.loads(settings.read_text(encoding="utf-8"))["protocol"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{settings} cannot be read ({error}); restore it, or choose another --out") from error
    before = dict.fromkeys(protocol, "not there") | before
    changed = [f"{key} {before[key]!r} -> {value!r}" for key, value in protocol.items() if before[key] != value]
    if changed:
        raise RunFolderError(
            f"{settings.parent} holds a comparison with other settings ({', '.join(changed)}); runs under different "
            "settings are not comparable: give the same ones to go on with it, or choose another --out"
        )
