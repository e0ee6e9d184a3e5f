"""The one seam between work and where it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, Self, TypeVar

from hakisa_algos.errors import PoolError

Task = TypeVar("Task")
Result = TypeVar("Result")


class Pool(Protocol):
    """Runs tasks; use it as a context manager, or call :meth:`close`.

    What a task gives must depend on the function and the task alone: then it does not matter who runs it, in which
    order, or how often.
    """

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task, PoolError], Result] | None = None,
    ) -> list[Result]:
        """``function`` of every task, in the order of the tasks.

        Args:
            function: a callable that can be pickled (by cloudpickle). A worker gets it once, and keeps it while the
                next calls pass the same object: one with state of its own (envs, a cache) makes that once per worker.
                If it has a method ``close``, a worker calls it before it lets go of the function.
            tasks: what can be pickled; so must be what comes of them.
            lost: called here with a task that no worker could finish, and why; what it returns stands for the result,
                and the other tasks go on. None: that is an error.

        Raises:
            Exception: what the function raised of a task; other tasks are then given up.
            PoolError: no worker could finish a task, or workers could not be started.
        """

    def close(self) -> None:
        """Ends what was started; a later :meth:`map` starts it again."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...
