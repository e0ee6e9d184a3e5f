"""Does what is left to do of a comparison, several runs at a time."""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import logging
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from multiprocessing import parent_process
from pathlib import Path

from hakisa_algos.comparison.folder import ComparisonFolder
from hakisa_algos.comparison.job import LOG, load_error, run_job, write_error
from hakisa_algos.comparison.plan import Job
from hakisa_algos.errors import PoolError
from hakisa_algos.pool.pool import Pool
from hakisa_algos.pool.process import ProcessPool


def run_missing(folder: ComparisonFolder, workers: int) -> None:
    """Runs every job that is not done yet, and prints a line for each.

    A run whose process dies is begun again, at most twice; then it has failed, and the rest goes on. What processes of
    runs print, their last words among it, is in the logs of the runs. With 0 workers they run in this process. What is
    done stays done, whatever ends this.
    """
    jobs = folder.missing()
    tasks = [(job, folder.of(job)) for job in jobs]
    for _, path in tasks:
        path.parent.mkdir(parents=True, exist_ok=True)
    pool = ProcessPool(min(workers, max(1, len(tasks)))) if workers else Pool()
    with pool:
        pool.map(functools.partial(_run, len(folder.plan.jobs)), tasks, _lost)


def _lost(task: tuple[Job, Path], error: PoolError) -> None:
    job, path = task
    write_error(job, path, f"its process died: {error}; see {path / LOG}")
    print(f"  {job}: failed: {load_error(path)}", flush=True)


def _run(total: int, task: tuple[Job, Path]) -> None:
    # In a worker there is no display, and pygame would look for one.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    job, path = task
    with _output_to(path / LOG) if parent_process() else contextlib.nullcontext():
        result = run_job(job, path)
    if result is None:
        print(f"  {job}: failed: {(load_error(path) or '').splitlines()[0]}", flush=True)
        return
    returns = result["final"]["deterministic"]["returns"]
    mean = sum(returns) / len(returns)
    # A job's folder gets its result last, so counting results counts what is done.
    done = sum(1 for _ in path.parent.glob("*/result.json"))
    print(f"  {done:>3} of {total}  {job}: {mean:.4g} after {result['seconds']:.0f} s of training", flush=True)


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """While entered, all that this process says goes to the end of ``path``, also what a crash in C makes it say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = [os.dup(1), os.dup(2)]
    with path.open("ab") as file:
        _redirect([file.fileno()] * 2)
    try:
        print(f"== {datetime.now():%Y-%m-%d %H:%M:%S}, process {os.getpid()}", flush=True)
        logging.basicConfig(format="%(message)s", level=logging.WARNING)
        faulthandler.enable()
        yield
    finally:
        _redirect(before)
        for descriptor in before:
            os.close(descriptor)


def _redirect(descriptors: list[int]) -> None:
    for stream, descriptor, number in zip((sys.stdout, sys.stderr), descriptors, (1, 2), strict=True):
        stream.flush()
        os.dup2(descriptor, number)
