"""The one owner of a stable-retro core in its process, and what stable-retro knows: nobody else imports it."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import weakref
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from hakisa_envs.errors import import_extra
from hakisa_envs.retro.errors import EmulatorInUseError, RomError, StateError
from hakisa_envs.retro.game_files import GameFiles, Variable, check_rom
from hakisa_envs.retro.saved_state import Origin, pack, unpack

T = TypeVar("T")

# Whether no more frames are to be played after one with these numbers.
Stop = Callable[[tuple[int, ...]], bool]
# Gets what a frame showed.
OnFrame = Callable[[NDArray[np.uint8]], object]

MOVIE_ORIGIN = "Hakisa.json"  # in a movie's zip: whose it is

_open: weakref.ref[Emulator] | None = None  # the emulator that this process has


def in_use() -> Emulator | None:
    """The emulator that this process has, so that the next one needs a process of its own."""
    if _open is not None and _open() is not None:
        gc.collect()  # it may have been dropped in a circle of references
    return None if _open is None else _open()


def _stable_retro(needed_by: str) -> Any:
    return import_extra("stable_retro", extra="retro", needed_by=needed_by)


def shipped_game(name: str) -> tuple[Path, Path | None]:
    """The folder of a game's data in stable-retro, and its ROM, if it has been imported there.

    Raises:
        MissingExtraError: If stable-retro is not installed.
        RomError: If it does not know the game.
    """
    retro = _stable_retro(name)
    # Of the shipped games alone: a custom path of somebody's would have another game under this name.
    stable = retro.data.Integrations.STABLE
    data = retro.data.get_file_path(name, "data.json", stable)
    if data is None:
        raise RomError(f"stable-retro knows no game {name!r}: stable_retro.data.list_games() has those that it knows.")
    try:
        return Path(data).parent, Path(retro.data.get_romfile_path(name, stable))
    except FileNotFoundError:
        return Path(data).parent, None


def shipped_roms() -> dict[str, tuple[str, str]]:
    """Games that stable-retro has data of, and how their ROMs' names end, by the ROMs' sha1s in hex.

    Raises:
        MissingExtraError: If stable-retro is not installed.
    """
    known = _stable_retro("hakisa retro import").data.get_known_hashes()
    return {sha1: (game, suffix) for sha1, (game, suffix, *_) in known.items()}


def read_movie(path: Path) -> Any:
    """stable-retro's reader of a bk2 file, before its first frame.

    Raises:
        MissingExtraError: If stable-retro is not installed.
    """
    return _stable_retro("a movie").Movie(str(path))


class Emulator:
    """A console with a game in it.

    It is what costs time in every console env, so it does no more than is asked: a frame is `advance`, and nothing is
    read or copied before `read` or `picture`.

    Args:
        files: The game.

    Attributes:
        files: The game.
        buttons: Names of a pad's buttons, in the order of a pad's mask.
        origin: What its states are of.
        on_frame: Gets the picture of each frame that is played, for somebody to look at; None: nobody does.

    Raises:
        MissingExtraError: If stable-retro is not installed.
        RomError: If the ROM's sha1 is not the game's.
        EmulatorInUseError: If this process has an emulator already.
    """

    files: GameFiles
    is_alive = True  # one in another process need not be
    on_frame: OnFrame | None = None

    def __init__(self, files: GameFiles) -> None:
        retro = _stable_retro(files.name)
        check_rom(files)
        other = in_use()
        if other is not None:
            raise EmulatorInUseError(
                f"This process has an emulator with {other.files.name} in it already, and a core allows one for each "
                "process: close that one, or open this one in a process of its own."
            )
        try:
            self._core: Any = retro.RetroEmulator(str(files.rom))
        except RuntimeError as error:
            raise EmulatorInUseError(
                f"The emulator of {files.name} cannot be opened ({error}). If this process has another one of "
                "stable-retro, close it first."
            ) from error
        global _open
        _open = weakref.ref(self)
        self.files = files
        system = retro.get_romfile_system(str(files.rom))
        self.buttons: tuple[str | None, ...] = tuple(retro.get_system_info(system)["buttons"])
        version = ".".join(importlib.metadata.version("stable-retro").split(".")[:2])
        self.origin = Origin(files.rom_sha1, system, version)
        self._data: Any = retro.data.GameData()
        self._make_movie: Any = retro.Movie
        self._movie: Any = None
        self._movie_path = Path()
        self._core.configure_data(self._data)
        self._core.step()  # before it there is no memory to read
        self._power_on: bytes = self._core.get_state()

    def mask(self, buttons: Iterable[str]) -> NDArray[np.uint8]:
        """The mask of a pad on which ``buttons`` are held: uint8 ``[buttons]``.

        Raises:
            ValueError: If the pad has no such button.
        """
        held = np.zeros(len(self.buttons), np.uint8)
        for name in buttons:
            if name not in self.buttons:
                raise ValueError(f"The pad has no button {name!r}: it has {', '.join(filter(None, self.buttons))}.")
            held[self.buttons.index(name)] = 1
        return held

    def hold(self, pad: NDArray[np.uint8], player: int = 0) -> None:
        """Hold what ``pad`` says, uint8 ``[buttons]``, until told otherwise. Movies have what `play` is given."""
        self._core.set_button_mask(pad, player)

    def advance(self) -> None:
        """Play one frame."""
        self._core.step()

    def play(self, pads: NDArray[np.uint8], watched: Sequence[Variable], stop: Stop) -> list[tuple[int, ...]]:
        """Play a frame for each pad of player 1, uint8 ``[frames, buttons]``, until ``stop`` says so.

        Returns:
            The numbers watched, after each frame that was played.
        """
        step, extract = self._core.step, self._data.memory.extract
        seen: list[tuple[int, ...]] = []
        for pad in pads:
            self._core.set_button_mask(pad, 0)
            if self._movie is not None:
                self._record(pad)
            step()
            if self.on_frame is not None:
                self.on_frame(self.picture())
            seen.append(tuple(extract(variable.address, variable.type) for variable in watched))
            if stop(seen[-1]):
                break
        return seen

    def read(self, variable: Variable) -> int:
        """The number that a variable holds now."""
        return int(self._data.memory.extract(variable.address, variable.type))

    def write(self, variable: Variable, value: int) -> None:
        """Change a number in the console's memory."""
        self._data.memory.assign(variable.address, variable.type, value)

    def inspect(self, meaning: Callable[[Mapping[int, bytes]], T]) -> T:
        """What ``meaning`` makes of the console's memory: copies of its blocks, by the addresses where they begin."""
        return meaning(self._data.memory.blocks)

    def picture(self) -> NDArray[np.uint8]:
        """What the last frame showed, within the game's crop: uint8 RGB ``[height, width, 3]``."""
        left, top, width, height = self.files.crop
        whole: NDArray[np.uint8] = self._core.get_screen()
        return np.ascontiguousarray(whole[top : top + height, left : left + width] if width else whole)

    def get_state(self) -> bytes:
        """All that the next frames depend on, but for what pads are held; and whose state it is."""
        return pack(self._core.get_state(), self.origin, level=1)

    def set_state(self, state: bytes) -> None:
        """Put the console where `get_state` was called, with nothing held. The picture follows with the next frame.

        Raises:
            StateError: If it is broken, or of another ROM, core or version.
        """
        self.set_core(unpack(state, self.origin, f"The state of {self.files.name} that is to be set"))

    def set_core(self, state: bytes) -> None:
        """The same with a core's bare state, which says nothing of its origin: who has it must know that.

        Raises:
            StateError: If the core does not take it, or it is not the state of this game.
        """
        size = len(self._power_on)
        if len(state) != size:
            raise StateError(f"A state of {self.files.name} has {size} bytes, and this one has {len(state)}.")
        self.end_movie()
        before = self._core.get_state()
        # mGBA draws no sprites after a state that has them where they are already, until one moves.
        self._core.set_state(self._power_on)
        if not self._core.set_state(state):
            self._core.set_state(before)
            raise StateError(f"The core does not take this as a state of {self.files.name}: it is broken.")
        if self.files.magic is not None:
            variable, value = self.files.magic
            found = self.read(variable)
            if found != value:
                self._core.set_state(before)
                raise StateError(
                    f"This is no state of {self.files.name}: "
                    f"at {variable.address:#x} it has {found:#x}, not {value:#x}."
                )
        for player in range(2):
            self.hold(np.zeros(len(self.buttons), np.uint8), player)

    def load(self, state: str | Path) -> None:
        """Set the state in a file: one of the game's or the user's by its name, any by its path.

        Raises:
            StateError: If it is missing, broken, or of another ROM, core or version.
        """
        path = state if isinstance(state, Path) else self.files.state_file(state)
        if not path.is_file():
            raise StateError(f"There is no state {path}: name one of the game's, or a file that is there.")
        self.set_core(unpack(path.read_bytes(), self.origin, str(path), self.files.vouches_for(path)))

    def save(self, path: Path) -> None:
        """Write the state to a file, from which only this game loads it."""
        path.write_bytes(pack(self._core.get_state(), self.origin))

    def record(self, path: Path) -> None:
        """From now on write what is played to a bk2 file, until the next state is set, or the emulator is closed."""
        self.end_movie()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._movie, self._movie_path = self._make_movie(str(path), True, 1), path
        self._movie.configure(self.files.name, self._core)
        self._movie.set_state(self._core.get_state())

    def end_movie(self) -> None:
        """Finish the movie that is recorded, if there is one."""
        if self._movie is None:
            return
        self._movie.close()
        self._movie = None
        with zipfile.ZipFile(self._movie_path, "a") as archive:
            archive.writestr(MOVIE_ORIGIN, json.dumps(asdict(self.origin)))

    def _record(self, pad: NDArray[np.uint8]) -> None:
        for button, held in enumerate(pad.tolist()):
            self._movie.set_key(button, held, 0)
        self._movie.step()

    def close(self) -> None:
        """Let the console go; twice is silent."""
        global _open
        if self._core is not None:
            self.end_movie()
            self._core = self._data = None
            _open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
