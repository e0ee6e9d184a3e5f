"""Parts that are made in other threads than the one that takes them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import torch

from hakisa_algos.data.stepper import Part
from hakisa_algos.policy.precision import weights_cast_once


class Worker(threading.Thread):
    """Takes parts from where they are made, at most ``lead`` ahead of who wants them.

    ``at_once``: in the calling thread, before this returns, instead of in a thread of its own; all fit into the lead.
    """

    def __init__(self, parts: Iterator[Part], lead: int, at_once: bool = False) -> None:
        super().__init__(name="hakisa collector", daemon=True)
        self._parts = parts
        self._made: SimpleQueue[Any] = SimpleQueue()
        self._room = threading.Semaphore(lead)
        self._stopped = False
        if at_once:
            self.run()
        else:
            self.start()

    def run(self) -> None:
        torch.set_num_threads(1)  # of this thread
        try:
            with weights_cast_once(torch.device("cpu")):
                for part in self._parts:
                    self._made.put(part)
                    self._room.acquire()
                    if self._stopped:
                        return
        except BaseException as error:  # raised where it can be seen
            self._made.put(error)

    def take(self) -> Part:
        """The next part; waits for it."""
        part = self._made.get()
        if isinstance(part, BaseException):
            raise part
        self._room.release()
        assert isinstance(part, Part)
        return part

    def stop(self) -> None:
        """Ends the thread after the row that it is at, and waits for it."""
        self._stopped = True
        self._room.release()
        if self.ident is not None:
            self.join()


@contextlib.contextmanager
def in_threads(players: Sequence[Iterator[Part]], lead: int, at_once: bool = False) -> Iterator[list[Worker]]:
    """A :class:`Worker` for each of ``players`` while entered."""
    workers = [Worker(player, lead, at_once) for player in players]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()
