"""Tasks in worker processes; one that is lost is replaced, and its task is given to another."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from typing import Any, Self

from gymnasium.vector.utils import CloudpickleWrapper

from hakisa_algos.errors import PoolError
from hakisa_algos.pool.pool import Result, Task
from hakisa_algos.pool.worker import READY, Failure, work
from hakisa_envs.processes import how_it_ended

logger = logging.getLogger(__name__)

# A task that ends so many workers will end the next one, too; and if so many do not come up, nor will the next.
_MOST_LOSSES = 3
_MOST_FAILED_STARTS = 3
# A worker's own children may hold its end of the pipe open after its death, so its end is also looked for.
_LOOK_SECONDS = 0.5
_CLOSING_SECONDS = 5.0
_UP = '. What they said stands above; if this is a script, put what it does under if __name__ == "__main__":'


class ProcessPool:
    """See :class:`hakisa_algos.pool.pool.Pool`; workers are started when they are first needed.

    They come up side by side, and each gets its first task when it is there. A worker that dies, however it dies, is
    replaced. Workers leave Ctrl+C to this process, and end when it ends. They are spawned, so a script that uses this
    needs ``if __name__ == "__main__":``.

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
        self._failed_starts = 0
        # Before multiprocessing waits for its children at exit, which would otherwise wait for tasks.
        self._finalizer = Finalize(self, _end, (self._workers,), exitpriority=10)

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task, PoolError], Result] | None = None,
    ) -> list[Result]:
        """See :class:`hakisa_algos.pool.pool.Pool`."""
        if function is not self._function:
            self._function = function
            self._version += 1
        try:
            return self._map(list(tasks), lost)
        except BaseException:
            self.close()  # some workers are still at tasks that nobody asks for
            raise

    def _map(self, tasks: list[Any], lost: Callable[[Any, PoolError], Any] | None) -> list[Any]:
        results: list[Any] = [None] * len(tasks)
        waiting = deque(range(len(tasks)))
        losses = [0] * len(tasks)
        self._failed_starts = 0
        while waiting or any(worker.task is not None for worker in self._workers):
            self._start(len(waiting))
            self._hand_out(tasks, waiting)
            wait([worker.connection for worker in self._workers], _LOOK_SECONDS)
            for worker in list(self._workers):
                task = worker.task
                if worker.look():
                    if task is not None and worker.task is None:
                        results[task] = worker.answer()
                    continue
                ending = self._remove(worker)
                if task is None:
                    continue
                losses[task] += 1
                if losses[task] < _MOST_LOSSES:
                    logger.warning("a worker was lost (%s); its task is given to another", ending)
                    waiting.appendleft(task)
                else:
                    results[task] = _given_up(tasks[task], ending, lost)
        return results

    def _start(self, needed: int) -> None:
        """Starts what is missing; the processes come up while this one goes on."""
        free = sum(worker.task is None for worker in self._workers)
        for _ in range(min(needed - free, self.size - len(self._workers))):
            try:
                self._workers.append(_Worker())
            except OSError as error:
                raise PoolError(
                    f"worker process {len(self._workers) + 1} of {self.size} cannot be started: {error}. Use fewer "
                    "workers, or allow more processes, open files or memory (ulimit -a shows the limits)"
                ) from error

    def _hand_out(self, tasks: list[Any], waiting: deque[int]) -> None:
        # Not to those that are still coming up: a large message would be waited for until they read it.
        for worker in self._workers:
            if waiting and worker.ready and worker.task is None:
                task = waiting.popleft()
                worker.give(task, self._version, self._function, tasks[task])

    def _remove(self, worker: _Worker) -> str:
        """Takes a dead worker out; returns how it ended, and raises if too many have not even come up."""
        self._workers.remove(worker)
        _end([worker])
        ending = how_it_ended(worker.exit_code)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts == _MOST_FAILED_STARTS:
                raise PoolError(f"{_MOST_FAILED_STARTS} workers ended before they were up, the last with {ending}{_UP}")
            logger.warning("a worker ended before it was up (%s); another is started", ending)
        return ending

    def close(self) -> None:
        """See :class:`hakisa_algos.pool.pool.Pool`."""
        _end(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _given_up(task: Any, ending: str, lost: Callable[[Any, PoolError], Any] | None) -> Any:
    error = PoolError(f"{_MOST_LOSSES} workers were lost with one task, the last with {ending}")
    if lost is None:
        raise error
    return lost(task, error)


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
        try:
            self._process.start()
        except BaseException:
            ours.close()
            raise
        finally:
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

    def answer(self) -> Any:
        """What came of its last task, or raises what that raised."""
        if isinstance(self.result, Failure):
            self.result.reraise()
        return self.result

    @property
    def exit_code(self) -> int | None:
        """Of the process, once it has ended; below 0 it is the signal that killed it."""
        return self._process.exitcode

    def let_go(self) -> None:
        """Begins its end: it finishes if it is idle, else it is told to."""
        self.connection.close()
        if self.task is not None or not self.ready:
            self._process.terminate()

    def join(self, deadline: float) -> None:
        """Waits for its end, which at the deadline (of ``time.monotonic``) is forced."""
        self._process.join(max(0.0, deadline - time.monotonic()))
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _end(workers: list[_Worker]) -> None:
    """Ends them side by side, and empties the list."""
    ending = [workers.pop() for _ in range(len(workers))]
    for worker in ending:
        worker.let_go()
    deadline = time.monotonic() + _CLOSING_SECONDS
    for worker in ending:
        worker.join(deadline)
