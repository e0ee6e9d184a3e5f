"""One thread that talks to a window system, so that a server that hangs cannot hang whoever asks."""

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
        mends: The display was started by the env, so that its next `reset` starts another where this one is gone.
        server: What answers there, for messages.
    """

    def __init__(self, display: str, *, mends: bool = False, server: str = "X server") -> None:
        self.display = display
        self._server = server
        self._mends = mends
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
                f"Display {self.display} did not answer within {timeout:g} s: is the {self._server} stopped or "
                f"overloaded? The next reset() opens it anew{'' if self._mends else ', if it answers by then'}."
            ) from None
        if isinstance(error, ScreenError | MissingExtraError):
            raise error
        if error is not None:
            raise CaptureError(f"Display {self.display} could not be read: {self._cause(error)}") from error
        result: T = answer
        return result

    def _cause(self, error: Exception) -> str:
        if not _tells_of_a_lost_connection(error):
            return f"{error or type(error).__name__}."
        fix = "the next reset() starts another" if self._mends else "start it again, or name another display"
        return f"its {self._server} is gone ({error or type(error).__name__}); {fix}."

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


def _tells_of_a_lost_connection(error: Exception) -> bool:
    # By their names: python-xlib and mss are imported by who uses them.
    return isinstance(error, OSError | AssertionError | RuntimeError) or type(error).__name__ in (
        "ConnectionClosedError",
        "DisplayConnectionError",
        "ScreenShotError",
        "XProtoError",
        "XError",
    )
