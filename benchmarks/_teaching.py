"""What benchmarks with a teacher have in common: from its recordings to a clone, and scores per life."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.study import Studies, Study


def record_all(teach: Callable[..., dict[str, Any]], asked: Mapping[Path, Sequence[Any]]) -> list[dict[str, Any]]:
    """Recordings at the same time, each in a process of its own.

    Args:
        teach: makes one, given its folder and further arguments.
        asked: those, by folder; what lies there goes.
    """
    for folder in asked:
        shutil.rmtree(folder, ignore_errors=True)
    with ProcessPoolExecutor(len(asked), multiprocessing.get_context("spawn")) as pool:
        found = [pool.submit(teach, folder, *arguments) for folder, arguments in asked.items()]
        return [one.result() for one in found]


def find_delay(recording: Path, steps: int, threads: int | None) -> int:
    """The reaction time of the teacher, in rows, as the recording tells it; each delay is tried for so many steps."""
    return Studies(Study((str(recording),)), threads=threads).find_delay(steps, print)


def study(recording: Path, run: Path, delay: int, steps: int, threads: int | None) -> dict[str, Any]:
    """The clone, in a run, after so many gradient steps at most."""
    shutil.rmtree(run, ignore_errors=True)
    config = CloningConfig(total_steps=steps, delay=delay)
    studies = Studies(Study((str(recording),), "ppo", config), threads=threads)
    stopped = studies.run(run).stopped_by
    if stopped:  # or half a study would be taken for a whole one
        raise KeyboardInterrupt(stopped)
    report = studies.learner.best_report
    assert report is not None
    return {"gradient_steps": studies.learner.facts().need.done, "held_out": report["metrics"]}


def score(points: Any) -> dict[str, float]:
    """Points per life."""
    return {"lives": len(points), "mean": float(np.mean(points)), "sem": float(np.std(points) / len(points) ** 0.5)}
