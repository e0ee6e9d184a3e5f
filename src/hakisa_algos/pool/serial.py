"""All tasks in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

from hakisa_algos.errors import PoolError
from hakisa_algos.pool.pool import Result, Task


class SerialPool:
    """See :class:`hakisa_algos.pool.pool.Pool`; the function stays the caller's, who closes it."""

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task, PoolError], Result] | None = None,
    ) -> list[Result]:
        """See :class:`hakisa_algos.pool.pool.Pool`; what ends this process ends all, so no task is lost."""
        return [function(task) for task in tasks]

    def close(self) -> None:
        """Nothing was started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
