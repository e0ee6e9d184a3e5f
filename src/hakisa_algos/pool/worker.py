"""What runs in a worker process."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Any, NoReturn

READY = "ready"


@dataclass(frozen=True)
class Failure:
    """What a task raised.

    Attributes:
        error: the exception.
        told: its traceback, which does not survive pickling.
    """

    error: Exception
    told: str

    def reraise(self) -> NoReturn:
        """Raises it here, with a note that says where it happened."""
        self.error.add_note(f"In a worker process:\n{self.told}")
        raise self.error


def work(connection: Connection[Any, Any]) -> None:
    """Answers ``(function or None, task)`` with ``(result,)`` until the pool closes the connection or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl+C to all; the pool's process decides
    threading.Thread(target=_end_with_the_pool, daemon=True).start()
    function: Callable[[Any], Any] = _nothing
    try:
        connection.send(READY)
        while True:
            message = connection.recv_bytes()
            try:
                sent, task = pickle.loads(message)
                if sent is not None:
                    _let_go(function)
                    function = sent.fn
                answer = pickle.dumps((function(task),))
            except Exception as error:
                answer = pickle.dumps((_failure(error),))
            connection.send_bytes(answer)
    except (EOFError, ConnectionResetError, BrokenPipeError):
        _let_go(function)


def _failure(error: Exception) -> Failure:
    told = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return Failure(error, told)


def _nothing(task: Any) -> None:
    raise RuntimeError("a task came before its function")


def _let_go(function: Any) -> None:
    close = getattr(function, "close", None)
    if close is not None:
        close()


def _end_with_the_pool() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
