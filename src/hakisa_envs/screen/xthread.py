"""One thread that talks to an X server, so that a server that hangs cannot hang whoever asks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from hakisa_envs.errors import MissingExtraError
from hakisa_envs.screen.errors import CaptureError, ScreenError

T = TypeVar("T")


class XThread:
    """Runs functions in a thread of its own, one at a time; every call has a time-out.

    An X connection belongs to the thread that opened it and does not survive a fork, so what is called here
    opens its own. Nothing starts before the first call.

    Args:
        display: Name of the display, for messages.
    """

    def __init__(self, display: str) -> None:
        self.display = display
        self._requests: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._hung = False

    def call(self, function: Callable[[], T], timeout: float = 2.0) -> T:
        """Call ``function`` in the thread and return what it returns.

        Raises:
            ScreenError, MissingExtraError: One that the function raised itself.
            CaptureError: If it raised anything else, or did not return in time (then this thread is of no more use).
        """
        if self._hung:
            raise CaptureError(f"Display {self.display} did not answer earlier; call reset().")
        if self._thread is None:
            # A daemon, because a request to a stopped X server never returns.
            self._thread = threading.Thread(target=self._run, name="hakisa-x", daemon=True)
            self._thread.start()
        self._requests.put(function)
        try:
            answer, error = self._answers.get(timeout=timeout)
        except queue.Empty:
            self._hung = True
            raise CaptureError(
                f"Display {self.display} did not answer within {timeout:g} s: is the X server stopped or overloaded? "
                "The next reset() opens it anew."
            ) from None
        if isinstance(error, ScreenError | MissingExtraError):
            raise error
        if error is not None:
            raise CaptureError(
                f"Display {self.display} could not be read ({error!r}): is the X server gone? "
                "The next reset() opens it anew."
            ) from error
        result: T = answer
        return result

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Call ``last`` in the thread and end it, unless it hangs; may be called twice."""
        if self._thread is not None:
            if last is not None:
                self._requests.put(last)
            self._requests.put(None)
            self._thread.join(timeout=0.0 if self._hung else 2.0)
            self._thread = None

    def _run(self) -> None:
        while (function := self._requests.get()) is not None:
            try:
                self._answers.put((function(), None))
            except Exception as error:  # surfaces in call(), with its cause
                self._answers.put((None, error))
