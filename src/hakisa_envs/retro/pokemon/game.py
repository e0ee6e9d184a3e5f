"""A game in the emulator: plays decisions and reads what they led to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hakisa_envs.retro.emulator import Emulator, OnFrame, Stop
from hakisa_envs.retro.errors import StateError
from hakisa_envs.retro.find import find_game
from hakisa_envs.retro.game_files import Variable
from hakisa_envs.retro.movie import begin_movie
from hakisa_envs.retro.pokemon import red
from hakisa_envs.retro.pokemon.actions import NOTHING, PAD, RED_PAD, Pad, pads
from hakisa_envs.retro.pokemon.emerald import BATTLE, CALLBACK, IN_STEP, OVERWORLD, Monster, Place, Reading, Scene, read
from hakisa_envs.retro.remote import RemoteEmulator, open_emulator

EMERALD, MONSTERS = "PokemonEmerald-GbAdvance-v0", "HakisaMonsters-GbAdvance-v0"
RED, WALK = "PokemonRed-GameBoy-v0", "HakisaWalk-GameBoy-v0"
PRESS_FRAMES = 4  # of a decision that lasts until control returns
PATIENCE = 120  # frames in which the memory of a start state must be whole

WATCHED = (Variable(CALLBACK, "<u4"), Variable(IN_STEP, "|u1"))


def never(numbers: tuple[int, ...]) -> bool:
    """All frames are played."""
    del numbers
    return False


def in_control(numbers: tuple[int, ...]) -> bool:
    """Frames are played until the player may act, by what is `WATCHED`."""
    callback, in_step = numbers
    return callback in (OVERWORLD, BATTLE) and in_step != 1


def red_in_control(numbers: tuple[int, ...]) -> bool:
    """The same of Red, by what is `RED_WATCHED`."""
    return numbers == (0, 0)


RED_WATCHED = (Variable(red.IGNORED, "|u1"), Variable(red.WALKING, "|u1"))


@dataclass(frozen=True)
class Edition:
    """What differs between the consoles.

    Attributes:
        read: The meaning of memory.
        pad: Buttons.
        watched: Numbers that say who is in control.
        in_control: Whether the player is, by these.
    """

    read: Callable[[Mapping[int, bytes]], Reading]
    pad: Pad
    watched: Sequence[Variable]
    in_control: Stop


ADVANCE = Edition(read, PAD, WATCHED, in_control)
FIRST = Edition(red.read, RED_PAD, RED_WATCHED, red_in_control)
EDITIONS = {EMERALD: ADVANCE, MONSTERS: ADVANCE, RED: FIRST, WALK: FIRST}


class Game:
    """Plays decisions. It opens its emulator at the first `begin`.

    Args:
        name: As stable-retro would name it; those that nobody knows are played as Emerald.
        frame_skip: Frames of a decision, unless `until_control`.
        until_control: A decision is a press, and lasts until the player may act again, this many frames at most.
        movies: The folder for a movie of each episode; None makes none.

    Attributes:
        reading: The newest, with the last values where there is none; None where no episode runs.
        on_frame: Gets the picture of each frame that is played, if it is set before the first `begin`.
    """

    def __init__(self, name: str, frame_skip: int, until_control: int | None, movies: Path | None = None) -> None:
        self.name = name
        self._edition = EDITIONS.get(name, ADVANCE)
        self._movies = movies
        self.reading: Reading | None = None
        self._left: Reading | None = None  # that the last episode was cut at, so that the next one can go on there
        self._frame_skip = frame_skip
        self._until_control = until_control
        self.on_frame: OnFrame | None = None
        self._emulator: Emulator | RemoteEmulator | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is an emulator."""
        return self._emulator is not None

    def begin(self, state: str, wait: int) -> Reading:
        """Load a state, named or by the path of its file, and let ``wait`` + 1 frames pass.

        Raises:
            RomError: If the ROM is missing or another one.
            StateError: If the state is missing, broken or of another game, or the save blocks cannot be read.
        """
        emulator = self._alive()
        self._left = None
        emulator.load(state)
        if self._movies is not None:
            begin_movie(emulator, self._movies, state)
        emulator.play(self._pads(*NOTHING, wait + 1), (), never)
        for _ in range(PATIENCE):
            reading = emulator.inspect(self._edition.read)
            if reading.is_whole:
                self.reading = reading
                return reading
            emulator.play(self._pads(*NOTHING, 1), (), never)
        raise StateError(f"In state {state!r} no game is going on: record one in which the player can walk.")

    @property
    def can_carry_on(self) -> bool:
        """Whether the last episode was cut, and the console is where it was then."""
        return self._left is not None and self._emulator is not None and self._emulator.is_alive

    def carry_on(self) -> Reading:
        """Begin where the last episode was cut."""
        assert self._left is not None
        self.reading, self._left = self._left, None
        if self._movies is not None:
            begin_movie(self.open(), self._movies, "carried_on")
        return self.reading

    def act(self, direction: int, button: int) -> tuple[Reading, int]:
        """Play a decision.

        Returns:
            What can be read after it, None where nothing can, and its frames.
        """
        assert self.reading is not None
        emulator = self.open()
        if self._until_control is None:
            frames = len(emulator.play(self._pads(direction, button, self._frame_skip), (), never))
        else:
            frames = len(emulator.play(self._pads(direction, button, PRESS_FRAMES), (), never))
            rest = self._pads(*NOTHING, max(1, self._until_control - frames))
            frames += len(emulator.play(rest, self._edition.watched, self._edition.in_control))
        reading = emulator.inspect(self._edition.read)
        self.reading = reading.over(self.reading)
        return reading, frames

    def _pads(self, direction: int, button: int, frames: int) -> NDArray[np.uint8]:
        return pads(direction, button, frames, self._edition.pad)

    def end(self, cut: bool) -> None:
        """The episode is over; one that was ``cut`` can be carried on."""
        self._left, self.reading = self.reading if cut else None, None
        self.open().end_movie()

    def picture(self) -> NDArray[np.uint8]:
        """What the last frame showed: uint8 RGB ``[160, 240, 3]``."""
        return self.open().picture()

    def open(self) -> Emulator | RemoteEmulator:
        """The emulator, opened if it is not yet."""
        if self._emulator is None:
            self._emulator = open_emulator(find_game(self.name), self.on_frame)
        return self._emulator

    def close(self) -> None:
        """Close the emulator; twice is silent."""
        if self._emulator is not None:
            self._emulator.close()
        self._emulator = self.reading = self._left = None

    def get_state(self) -> dict[str, Any]:
        """All that later decisions depend on."""
        return {
            "emulator": None if self._emulator is None else np.frombuffer(self._emulator.get_state(), np.uint8),
            "reading": None if self.reading is None else _plain(self.reading),
            "left": None if self._left is None else _plain(self._left),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `get_state`."""
        if state["emulator"] is not None:
            emulator = self._alive()
            emulator.set_state(np.asarray(state["emulator"], np.uint8).tobytes())
            if self._movies is not None:
                begin_movie(emulator, self._movies, "resumed")
        self.reading = None if state["reading"] is None else _reading(state["reading"])
        left = state.get("left")  # earlier states say nothing of it
        self._left = None if left is None else _reading(left)

    def _alive(self) -> Emulator | RemoteEmulator:
        """The emulator, or another one if its process has ended since it was last asked."""
        if self._emulator is not None and not self._emulator.is_alive:
            self.close()
        return self.open()


def _plain(reading: Reading) -> dict[str, Any]:
    plain = asdict(reading)
    bits = {name: hex(plain[name]) for name in ("flags", "seen", "owned")}
    return {**plain, **bits, "place": list(plain["place"]), "party": list(plain["party"]), "scene": reading.scene.value}


def _reading(plain: Mapping[str, Any]) -> Reading:
    monsters = tuple(Monster(**{name: int(value) for name, value in row.items()}) for row in plain["party"])
    meanings = {
        **{name: int(plain[name], 16) for name in ("flags", "seen", "owned")},
        "place": Place(*map(int, plain["place"])),
        "party": monsters,
        "scene": Scene(plain["scene"]),
    }
    return Reading(**{**plain, **meanings})
