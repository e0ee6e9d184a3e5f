"""Does what is left to do of a comparison, several runs at a time."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

from hakisa_algos.comparison.folder import ComparisonFolder
from hakisa_algos.comparison.job import load_error, run_job
from hakisa_algos.comparison.plan import Job
from hakisa_algos.pool.process import ProcessPool
from hakisa_algos.pool.serial import SerialPool


def run_missing(folder: ComparisonFolder, workers: int) -> None:
    """Runs every job that is not done yet, and prints a line for each.

    Args:
        folder: of the comparison.
        workers: runs at a time, each in a process of its own; 1 runs them in this one.

    Raises:
        Interrupted: a signal ended a run. What is done stays done.
    """
    jobs = folder.missing()
    tasks = [(job, folder.of(job)) for job in jobs]
    for _, path in tasks:
        path.parent.mkdir(parents=True, exist_ok=True)
    pool = SerialPool() if workers == 1 else ProcessPool(min(workers, max(1, len(tasks))))
    with pool:
        pool.map(functools.partial(_run, len(folder.plan.jobs)), tasks)


def _run(total: int, task: tuple[Job, Path]) -> None:
    # In a worker there is no display, and pygame would look for one.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    logging.basicConfig(format="%(message)s", level=logging.ERROR)
    job, path = task
    result = run_job(job, path)
    if result is None:
        print(f"  {job}: failed: {(load_error(path) or '').splitlines()[0]}", flush=True)
        return
    returns = result["final"]["deterministic"]["returns"]
    mean = sum(returns) / len(returns)
    # A job's folder gets its result last, so counting results counts what is done.
    done = sum(1 for _ in path.parent.glob("*/result.json"))
    print(f"  {done:>3} of {total}  {job}: {mean:.4g} after {result['seconds']:.0f} s of training", flush=True)
