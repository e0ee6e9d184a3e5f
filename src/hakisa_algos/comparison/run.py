"""Does what is left to do of a comparison, several runs at a time."""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from datetime import datetime
from multiprocessing import parent_process
from pathlib import Path

from hakisa_algos.comparison.folder import ComparisonFolder
from hakisa_algos.comparison.job import ERROR, LOG, run_job
from hakisa_algos.comparison.plan import Job
from hakisa_algos.comparison.players import Interrupted
from hakisa_algos.errors import PoolError
from hakisa_algos.pool.pool import Pool


def run_missing(folder: ComparisonFolder, workers: int) -> list[tuple[Job, str]]:
    """Runs every job that is not done yet, prints a line for each, and returns those that failed, and why.

    A run whose process dies is begun again, at most twice; then it has failed, and the rest goes on. What processes of
    runs print, their last words among it, is in the logs of the runs. With 0 workers they run in this process. What is
    done stays done, whatever ends this.
    """
    jobs = folder.missing()
    tasks = [(job, folder.of(job)) for job in jobs]
    for _, path in tasks:
        path.parent.mkdir(parents=True, exist_ok=True)
    with Pool(min(workers, len(tasks))) as pool:
        failed = pool.map(functools.partial(_run, len(folder.plan.jobs)), tasks, _lost)
    return [(job, why) for job, why in zip(jobs, failed, strict=True) if why]


def _lost(task: tuple[Job, Path], error: PoolError) -> str:
    _, path = task
    return _failed(task, f"its process died: {error}; see {path / LOG}")


def _failed(task: tuple[Job, Path], why: str, told: str = "") -> str:
    job, path = task
    (path / ERROR).write_text(told or why, encoding="utf-8")
    print(f"  {job}: failed: {why.splitlines()[0]}", flush=True)
    return why


def _run(total: int, task: tuple[Job, Path]) -> str | None:
    # In a worker there is no display, and pygame would look for one.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    job, path = task
    try:
        with _output_to(path / LOG) if parent_process() else contextlib.nullcontext():
            result = run_job(job, path)
    except Interrupted:
        raise
    except Exception as error:
        return _failed(task, f"{type(error).__name__}: {error}", traceback.format_exc())
    returns = result["final"]["deterministic"]["returns"]
    mean = sum(returns) / len(returns)
    # A job's folder gets its result last, so counting results counts what is done.
    done = sum(1 for _ in path.parent.glob("*/result.json"))
    print(f"  {done:>3} of {total}  {job}: {mean:.4g} after {result['seconds']:.0f} s of training", flush=True)
    return None


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
