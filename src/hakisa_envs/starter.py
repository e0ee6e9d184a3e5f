"""Starts the processes of a vector env, and keeps what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from hakisa_envs.shared_memory import SharedObservations
from hakisa_envs.worker import EnvFactory, EnvFacts, Worker


class WorkerError(RuntimeError):
    """A column's process died or hung too often, or when something was asked of it; the message says which and how."""


class Starter:
    """Starts the first column's process, which says what its env is like, and later any column's.

    Args:
        context: Of `multiprocessing`.
        factories: One per column.
        timeout: Seconds that the first process may take until its env is made.

    Attributes:
        facts: What the first column's env is like; `check` says whether another one's is like it.
        memory: Where the processes write observations.

    Raises:
        WorkerError: If the first process does not start. What its factory raises is raised here.
    """

    def __init__(self, context: Any, factories: Sequence[EnvFactory], timeout: float) -> None:
        self._context, self._factories = context, list(factories)
        self._first: Worker | None = Worker(context, factories[0], 0)
        try:
            self.facts = _first_facts(self._first, timeout)
            self.memory = SharedObservations(self.facts.observation_space, len(factories))
        except BaseException:
            self._first.end(0.0)
            raise
        self._first.share(self.memory, len(factories))

    def take_first(self) -> Worker | None:
        """The first column's process, once: it is ready."""
        first, self._first = self._first, None
        return first

    def start(self, number: int) -> Worker:
        """Start a column's process, and wait for nothing.

        Raises:
            gymnasium.error.ClosedEnvironmentError: After `close`.
        """
        if self.memory.fd < 0:
            raise gym.error.ClosedEnvironmentError("This vector env was closed: make another.")
        worker = Worker(self._context, self._factories[number], number)
        worker.share(self.memory, len(self._factories))
        return worker

    def check(self, facts: EnvFacts, number: int) -> None:
        """Raise a ValueError if a column's env has other spaces than the first one's."""
        for name in ("observation_space", "action_space"):
            first, own = getattr(self.facts, name), getattr(facts, name)
            if first != own:
                raise ValueError(
                    f"The {name} of column {number} is {own}, that of column 0 is {first}: make them alike."
                )

    def close(self) -> None:
        """Start nothing any more."""
        self.memory.close()


def _first_facts(worker: Worker, timeout: float) -> EnvFacts:
    answer: tuple[str, Any] = worker.receive(timeout) or ("late", f"did not make its env within {timeout:g} s")
    verb, data = answer
    if verb == "ok":
        facts: EnvFacts = data.fn
        return facts
    if isinstance(data, Exception):
        raise data
    raise WorkerError(
        f"The process of column 0 {data} while it started: look at what it printed. If your script makes envs "
        "outside of `if __name__ == '__main__':`, put that line round what it does: each process imports the script "
        "first, and would do it all again."
    )
