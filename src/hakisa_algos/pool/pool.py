"""The one seam between work and where it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self, TypeVar

from hakisa_algos.errors import PoolError

Task = TypeVar("Task")
Result = TypeVar("Result")
Lost = Callable[[Task, PoolError], Result]


class Pool:
    """Runs tasks, here in this process, one after the other; those that run them elsewhere override this.

    What a task gives must depend on the function and the task alone: then it does not matter who runs it, in which
    order, or how often. Use it as a context manager, or call :meth:`close`.
    """

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Lost[Task, Result] | None = None,
        stop: Callable[[], bool] = bool,
    ) -> list[Result]:
        """``function`` of every task, in the order of the tasks.

        Args:
            function: a callable that can be pickled (by cloudpickle). A worker gets it once, and keeps it while the
                next calls pass the same object: one with state of its own (envs, a cache) makes that once per worker.
                If it has a method ``close``, a worker calls it before it lets go of the function; here, it stays the
                caller's.
            tasks: what can be pickled; so must be what comes of them.
            lost: called here with a task that no worker could finish, and why; what it returns stands for the result,
                and the other tasks go on. None: that is an error.
            stop: asked now and then, here where the workers are others; True gives up.

        Raises:
            Stopped: ``stop`` said so.
            Exception: what the function raised of a task; other tasks are then given up.
            PoolError: no worker could finish a task, or workers could not be started.
        """
        return [function(task) for task in tasks]

    def close(self) -> None:
        """Ends what was started; a later :meth:`map` starts it again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
