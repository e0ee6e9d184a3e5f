"""Tasks in worker processes; one that is lost is replaced, and its task is given to another.

Not the standard library's executor: there, one worker's death ends the tasks of all.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from typing import Any, Self, TypeVar

from gymnasium.vector.utils import CloudpickleWrapper

from hakisa_algos.errors import PoolError, Stopped

Task = TypeVar("Task")
Result = TypeVar("Result")
Lost = Callable[[Task, PoolError], Result]

logger = logging.getLogger(__name__)

# A task that ends so many workers will end the next one, too; and if so many do not come up, nor will the next.
_MOST_LOSSES = 3
# A worker's own children may hold its end of the pipe open after its death, so its end is also looked for.
_LOOK_SECONDS = 0.5
_CLOSING_SECONDS = 5.0
# The first task of each worker is to come up: a large message to one that has not would be waited for.
_COME_UP = -1
_UP = '. What they said stands above; if this is a script, put what it does under if __name__ == "__main__":'


class Pool:
    """Runs tasks in worker processes, which are started when they are first needed, side by side; or in this one.

    What a task gives must depend on the function and the task alone: then it does not matter who runs it, in which
    order, or how often. Use it as a context manager, or call :meth:`close`.

    A worker that dies, however it dies, is replaced. Workers leave signals that are sent to all, as Ctrl+C is, to this
    process, and end when it ends. They are spawned, so a script that uses them needs ``if __name__ == "__main__":``.

    Args:
        workers: processes; 0 runs tasks in this one, one after the other.
    """

    def __init__(self, workers: int) -> None:
        if type(workers) is not int or workers < 0:
            raise ValueError(f"workers={workers!r} must be a whole number of at least 0")
        self.size = workers
        self._workers: list[_Worker] = []
        # Before multiprocessing waits for its children at exit, which would otherwise wait for tasks.
        self._finalizer = Finalize(self, _end, (self._workers,), exitpriority=10)

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
        if not self.size:
            return [function(task) for task in tasks]
        try:
            return self._map(function, list(tasks), lost, stop)
        except BaseException:
            self.close()  # some workers are still at tasks that nobody asks for
            raise

    def close(self) -> None:
        """Ends what was started; a later :meth:`map` starts it again."""
        _end(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _map(self, function: Any, tasks: list[Any], lost: Lost[Any, Any] | None, stop: Callable[[], bool]) -> list[Any]:
        results: dict[int, Any] = {}
        waiting = deque(range(len(tasks)))
        losses: Counter[int] = Counter()
        while len(results) < len(tasks):
            self._start(len(waiting))
            for worker in self._workers:
                if waiting and worker.task is None:
                    first = waiting.popleft()
                    worker.give(first, function, tasks[first])
            wait([worker.connection for worker in self._workers], _LOOK_SECONDS)
            if stop():
                raise Stopped
            for worker in list(self._workers):
                number = worker.task
                if worker.look():
                    if number is not None and number != _COME_UP and worker.task is None:
                        results[number] = worker.answer()
                    continue
                self._workers.remove(worker)
                _end([worker])
                if number is None:
                    continue
                losses[number] += 1
                if losses[number] < _MOST_LOSSES:
                    logger.warning("a worker was lost (%s); another takes its place", worker.ending)
                    waiting.extendleft({number} - {_COME_UP})
                    continue
                what, fix = ("before they were up", _UP) if number == _COME_UP else ("with one task", "")
                error = PoolError(f"{_MOST_LOSSES} workers were lost {what}, the last with {worker.ending}{fix}")
                if lost is None or number == _COME_UP:
                    raise error
                results[number] = lost(tasks[number], error)
        return [results[number] for number in range(len(tasks))]

    def _start(self, needed: int) -> None:
        """Starts what is missing; the processes come up while this one goes on."""
        free = sum(worker.task in (None, _COME_UP) for worker in self._workers)
        for _ in range(min(needed - free, self.size - len(self._workers))):
            try:
                self._workers.append(_Worker())
            except OSError as error:
                raise PoolError(
                    f"worker process {len(self._workers) + 1} of {self.size} cannot be started: {error}. Use fewer "
                    "workers, or allow more processes, open files or memory (ulimit -a shows the limits)"
                ) from error


class _Worker:
    """One process, seen from here; ``task`` is the number of the one that it is at, None while it is idle."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        with theirs:
            # No daemon, which could not have processes of its own (an env may); _work() sees to its end instead.
            self.process = context.Process(target=_work, args=(theirs,), name="hakisa-worker", daemon=False)
            self.process.start()
        self.task: int | None = _COME_UP
        self._function: Any = None
        self._answer: tuple[Any, str] = None, ""

    def give(self, number: int, function: Any, task: Any) -> None:
        """Sends a task, and the function where it is another than before."""
        self.task = number
        sent = None if function is self._function else CloudpickleWrapper(function)
        self._function = function
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it is dead: look() will find that
            self.connection.send((sent, task))

    def look(self) -> bool:
        """Takes what it has answered, which leaves it idle; False if it is dead."""
        alive = self.process.is_alive()  # asked first: what a dead one had sent is there by now
        try:
            if self.connection.poll():
                self._answer, self.task = self.connection.recv(), None
                return True
        except (EOFError, OSError):
            return False
        return alive

    def answer(self) -> Any:
        """What came of its last task, or raises what that raised, with a note that says where it happened."""
        result, told = self._answer
        if told:
            result.add_note(f"In a worker process:\n{told}")
            raise result
        return result

    @property
    def ending(self) -> str:
        """How the process ended, in words: what it returned, or the signal that killed it."""
        code = self.process.exitcode or 0
        name = {-one.value: f", {one.name}" for one in signal.Signals}.get(code, "")  # real-time signals have no names
        return f"exit code {code}{name}" + (" (memory may have run out)" if code == -signal.SIGKILL else "")


def _end(workers: list[_Worker]) -> None:
    """Ends them side by side, and empties the list: the idle ones finish, the others are told to, at last forced."""
    ending = [workers.pop() for _ in range(len(workers))]
    for worker in ending:
        worker.connection.close()
        if worker.task is not None:
            worker.process.terminate()
    deadline = time.monotonic() + _CLOSING_SECONDS
    for worker in ending:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        worker.process.kill()  # nothing happens if it has ended
        worker.process.join()


def _work(connection: Connection[Any, Any]) -> None:
    """In a worker: says that it is up, and answers ``(function or None, task)`` until the pool closes or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgid"):  # what a terminal or a scheduler sends to all is for the pool's process to decide
        os.setpgid(0, 0)
    threading.Thread(target=_end_with_the_pool, daemon=True).start()
    function: Any = None
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        connection.send((None, ""))
        while True:
            message = connection.recv_bytes()
            try:
                sent, task = pickle.loads(message)
                if sent is not None:
                    _let_go(function)
                    function = sent.fn
                answer = pickle.dumps((function(task), ""))
            except Exception as error:
                answer = _failure(error)
            connection.send_bytes(answer)
    _let_go(function)


def _failure(error: Exception) -> bytes:
    """The answer that raises ``error``, with its traceback, which does not survive pickling."""
    told = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return pickle.dumps((error, told))


def _let_go(function: Any) -> None:
    if hasattr(function, "close"):
        function.close()


def _end_with_the_pool() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
