"""Tasks in worker processes; one that is lost is replaced, and its task is given to another."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from typing import Any, Self

from gymnasium.vector.utils import CloudpickleWrapper

from hakisa_algos.errors import PoolError
from hakisa_algos.pool.pool import Result, Task
from hakisa_algos.pool.worker import READY, Failure, work

logger = logging.getLogger(__name__)

# A task that ends so many workers will end the next one, too.
_MOST_LOSSES = 3
# A worker's own children may hold its end of the pipe open after its death, so its end is also looked for.
_LOOK_SECONDS = 0.5
_CLOSING_SECONDS = 5.0
_NOT_UP = '. It did not even come up: if this is a script, put what it does under if __name__ == "__main__":'


class ProcessPool:
    """See :class:`hakisa_algos.pool.pool.Pool`; workers are started when they are first needed.

    A worker that dies, however it dies, is replaced. Workers leave Ctrl+C to this process, and end when it ends. They
    are spawned, so a script that uses this needs ``if __name__ == "__main__":``.

    Args:
        workers: processes, at least 1.
    """

    def __init__(self, workers: int) -> None:
        if type(workers) is not int or workers < 1:
            raise ValueError(f"workers={workers!r} must be a whole number of at least 1")
        self.size = workers
        self._workers: list[_Worker] = []
        self._function: Any = None
        self._version = 0
        # Before multiprocessing waits for its children at exit, which would otherwise wait for tasks.
        self._finalizer = Finalize(self, _end, (self._workers,), exitpriority=10)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
        """See :class:`hakisa_algos.pool.pool.Pool`."""
        if function is not self._function:
            self._function = function
            self._version += 1
        try:
            return self._map(list(tasks))
        except BaseException:
            self.close()  # some workers are still at tasks that nobody asks for
            raise

    def _map(self, tasks: list[Any]) -> list[Any]:
        results: list[Any] = [None] * len(tasks)
        waiting = deque(range(len(tasks)))
        losses = [0] * len(tasks)
        while waiting or any(worker.task is not None for worker in self._workers):
            self._hand_out(tasks, waiting)
            wait([worker.connection for worker in self._workers], _LOOK_SECONDS)
            for worker in list(self._workers):
                task = worker.task
                if not worker.look():
                    self._workers.remove(worker)
                    self._replace(worker, task, waiting, losses)
                elif task is not None and worker.task is None:
                    if isinstance(worker.result, Failure):
                        worker.result.reraise()
                    results[task] = worker.result
        return results

    def _hand_out(self, tasks: list[Any], waiting: deque[int]) -> None:
        idle = [worker for worker in self._workers if worker.task is None]
        while waiting and (idle or len(self._workers) < self.size):
            if not idle:
                idle.append(_Worker())
                self._workers.append(idle[-1])
            worker, task = idle.pop(), waiting.popleft()
            worker.give(task, self._version, self._function, tasks[task])

    def _replace(self, worker: _Worker, task: int | None, waiting: deque[int], losses: list[int]) -> None:
        code = worker.end()
        if task is None:
            return
        losses[task] += 1
        logger.warning("a worker was lost (exit code %s); its task is given to another", code)
        if losses[task] == _MOST_LOSSES:
            why = "" if worker.ready else _NOT_UP
            raise PoolError(f"{_MOST_LOSSES} workers were lost with one task, the last with exit code {code}{why}")
        waiting.appendleft(task)

    def close(self) -> None:
        """See :class:`hakisa_algos.pool.pool.Pool`."""
        _end(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Worker:
    """One process, seen from here.

    Attributes:
        task: the number of the task that it is at, or None.
        result: what came of its last task.
        ready: it has come up.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.connection: Connection[Any, Any] = ours
        # No daemon, which could not have processes of its own (an env may); work() sees to its end instead.
        self._process = context.Process(target=work, args=(theirs,), name="hakisa-worker", daemon=False)
        self._process.start()
        theirs.close()
        self._version = 0
        self.task: int | None = None
        self.result: Any = None
        self.ready = False

    def give(self, number: int, version: int, function: Any, task: Any) -> None:
        """Sends a task, and the function where it is another than before."""
        self.task, self.result = number, None
        sent = None if version == self._version else CloudpickleWrapper(function)
        self._version = version
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it is dead: look() will find that
            self.connection.send((sent, task))

    def look(self) -> bool:
        """Takes what it has sent; False if it is dead."""
        alive = self._process.is_alive()  # asked first: what a dead one had sent is there by now
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if message == READY:
                    self.ready = True
                else:
                    (self.result,), self.task = message, None
        except (EOFError, OSError):
            return False
        return alive

    def end(self) -> int | None:
        """Lets it finish if it is idle, else ends it; returns its exit code."""
        self.connection.close()
        if self.task is not None:
            self._process.terminate()
        self._process.join(_CLOSING_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        return self._process.exitcode


def _end(workers: list[_Worker]) -> None:
    while workers:
        workers.pop().end()
