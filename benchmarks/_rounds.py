"""How speeds are compared: each contender in a process of its own, in alternating rounds, with its best threads."""

from __future__ import annotations

import itertools
import multiprocessing
import resource
import statistics
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def timed(function: Callable[[], Any], repeats: int) -> float:
    """Seconds of one call."""
    for _ in range(max(2, repeats // 10)):
        function()
    began = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - began) / repeats


def env_stepper(envs: Any) -> Callable[[], Any]:
    """Steps a vector env with random actions, drawn beforehand; each call returns the raw observations."""
    envs.reset(seed=0)
    actions = itertools.cycle([envs.action_space.sample() for _ in range(100)])
    masked = envs.metadata.get("autoreset_mode") and "NEXT_STEP" not in str(envs.metadata["autoreset_mode"])

    def step() -> Any:
        observation, _, terminated, truncated, _ = envs.step(next(actions))
        done = terminated | truncated
        if masked and done.any():
            observation, _ = envs.reset(options={"reset_mask": done})
        return observation

    return step


def spread(values: list[float], digits: int = 0) -> dict[str, float]:
    """Median, least and most of the rounds."""
    chosen = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in chosen.items()}


def serve(pipe: Connection, make: Callable[[Any], Any], contender: Any) -> None:
    """A process of its own: one library, one run, and its own peak of memory."""
    warnings.filterwarnings("ignore")
    runner = make(contender)
    while (order := pipe.recv()) is not None:
        name, *arguments = order
        if name == "memory":
            pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        else:
            pipe.send(getattr(runner, name)(*arguments))


class Worker:
    """The other end of :func:`serve`; only one works at a time.

    Args:
        make: makes, in the process, the object whose methods are called; importable by name.
        contender: what it makes it of.
    """

    def __init__(self, make: Callable[[Any], Any], contender: Any) -> None:
        self._make = make
        self.contender = contender
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._make, self.contender), daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self, *order: Any, patience: float | None = None) -> Any:
        """What the method gives, or None, and a fresh process, when ``patience`` seconds have passed."""
        self._pipe.send(order)
        if self._pipe.poll(patience):
            return self._pipe.recv()  # EOFError: it died, and has said why
        self._process.kill()
        self._process.join()
        self._start()
        return None

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join(30)


def best_threads(worker: Worker, pieces: int, steps: int, choices: list[int]) -> int:
    """The number of threads that trains fastest, warm; compilation happens here.

    Args:
        worker: whose ``run(pieces, threads)`` gives ``seconds``.
        pieces: of work per try.
        steps: env steps in a piece.
        choices: of threads, fewest first.
    """
    seconds: dict[int, float] = {}
    for threads in choices:
        # On busy cores two threads wait for each other most of the time; then one is the best.
        patience = 30 + 10 * seconds[choices[0]] / pieces if seconds else None
        if worker("run", 1, threads, patience=patience) is None:
            print(f"  probe: {worker.contender.name}, {threads} threads: given up", flush=True)
            worker("run", 1, choices[0])
            break
        seconds[threads] = worker("run", pieces, threads)["seconds"]
        speed = pieces * steps / seconds[threads]
        print(f"  probe: {worker.contender.name}, {threads} threads: {speed:.0f} steps/s", flush=True)
    return min(seconds, key=seconds.__getitem__)
