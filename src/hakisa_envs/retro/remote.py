"""An emulator in a process of its own, for a process that has one already: two envs side by side just work."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hakisa_envs.processes import how_it_ended
from hakisa_envs.retro.emulator import Emulator, OnFrame, Stop, in_use
from hakisa_envs.retro.errors import EmulatorDiedError, RetroError
from hakisa_envs.retro.game_files import GameFiles, Variable

T = TypeVar("T")


class RemoteEmulator:
    """An `Emulator` whose methods are called through a pipe; one call plays many frames.

    Its process is started by name, not forked or spawned, so a script needs no ``if __name__ == "__main__"`` for it,
    and a daemon may have one. It ends with the process that started it.

    Args:
        files: The game.

    Attributes:
        files: The game.
        buttons: See `Emulator`.
        close: Ends the process; twice is silent, and at the end of the program it ends anyway.
    """

    def __init__(self, files: GameFiles) -> None:
        self.files = files
        mine, theirs = socket.socketpair()
        package = str(Path(__file__).parents[2])
        paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hakisa_envs.retro.remote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # what a terminal or a scheduler sends to all is for this process to decide
            )
        self._connection = Connection(mine.detach())
        self.close = weakref.finalize(self, _end, self._process, self._connection)
        try:
            self.buttons: tuple[str | None, ...] = self._call("open", files)
        except BaseException:
            self.close()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def play(self, pads: NDArray[np.uint8], watched: Sequence[Variable], stop: Stop) -> list[tuple[int, ...]]:
        """See `Emulator.play`; ``stop`` is a function of a module."""
        seen: list[tuple[int, ...]] = self._call("play", pads, watched, stop)
        return seen

    def picture(self) -> NDArray[np.uint8]:
        """See `Emulator.picture`."""
        picture: NDArray[np.uint8] = self._call("picture")
        return picture

    def read(self, variable: Variable) -> int:
        """See `Emulator.read`."""
        return int(self._call("read", variable))

    def inspect(self, meaning: Callable[[Mapping[int, bytes]], T]) -> T:
        """See `Emulator.inspect`; ``meaning``, a function of a module, is called there."""
        found: T = self._call("inspect", meaning)
        return found

    def get_state(self) -> bytes:
        """See `Emulator.get_state`."""
        return bytes(self._call("get_state"))

    def set_state(self, state: bytes) -> None:
        """See `Emulator.set_state`."""
        self._call("set_state", state)

    def load(self, state: str | Path) -> None:
        """See `Emulator.load`."""
        self._call("load", state)

    def save(self, path: Path) -> None:
        """See `Emulator.save`."""
        self._call("save", path)

    def record(self, path: Path) -> None:
        """See `Emulator.record`."""
        self._call("record", path)

    def end_movie(self) -> None:
        """See `Emulator.end_movie`."""
        self._call("end_movie")

    def _call(self, name: str, *arguments: Any) -> Any:
        if self._connection.closed:
            raise RetroError(f"The emulator of {self.files.name} is closed.")
        try:
            self._connection.send((name, arguments))
            verb, answer = self._connection.recv()
        except (EOFError, OSError):
            code = self._process.wait(5.0)
            self.close()
            raise EmulatorDiedError(
                f"The process with the emulator of {self.files.name} ended ({how_it_ended(code)}): reset the env, "
                "which opens another one."
            ) from None
        if verb == "raised":
            raise answer
        return answer


def _end(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()  # which it takes for a farewell
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def open_emulator(files: GameFiles, on_frame: OnFrame | None = None) -> Emulator | RemoteEmulator:
    """An emulator in this process, or in one of its own, which shows no single frames, if this has one already."""
    if in_use() is not None:
        return RemoteEmulator(files)
    emulator = Emulator(files)
    emulator.on_frame = on_frame
    return emulator


def serve(connection: Connection) -> None:
    """Do what is asked, until nobody is there to ask."""
    emulator: Emulator | None = None
    try:
        while True:
            name, arguments = connection.recv()
            try:
                if name == "open":
                    emulator = Emulator(*arguments)
                    answer: Any = emulator.buttons
                else:
                    answer = getattr(emulator, name)(*arguments)
                connection.send(("ok", answer))
            except Exception as error:
                connection.send(("raised", _sendable(error)))
    except (EOFError, OSError):
        return
    finally:
        if emulator is not None:
            emulator.close()


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RetroError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
