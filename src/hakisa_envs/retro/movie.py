"""Movies of episodes: a start state and the pads of each frame, as BizHawk's and stable-retro's bk2 files hold them.

A movie is recorded by the `Emulator` that plays. It holds a state, which is part of the game: give none away of a game
that is not yours.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hakisa_envs.retro.emulator import MOVIE_ORIGIN, Emulator, read_movie
from hakisa_envs.retro.errors import MovieError
from hakisa_envs.retro.find import find_game
from hakisa_envs.retro.remote import RemoteEmulator

FRAMES_A_SECOND = 60


def begin_movie(emulator: Emulator | RemoteEmulator, folder: Path, state: str) -> None:
    """Begin the movie of an episode that starts from ``state``, under a name that no other process takes."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = folder / f"{Path(state).name.removesuffix('.state')}-{number:06d}.bk2"
        with contextlib.suppress(FileExistsError):
            path.touch(exist_ok=False)
            emulator.record(path)
            return


def replay(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Play a movie again in this process, exactly as it was recorded.

    Yields:
        What each of its frames showed: uint8 RGB ``[height, width, 3]``.

    Raises:
        MissingExtraError: If stable-retro is not installed.
        MovieError: If the file is no movie, or one of another ROM or core.
        RomError: If the game's ROM is not there.
        EmulatorInUseError: If this process has an emulator already.
    """
    with open_movie(path) as emulator:
        for pads in pads_of_movie(path, emulator):
            for player, pad in enumerate(pads):
                emulator.hold(pad, player)
            emulator.advance()
            yield emulator.picture()


def open_movie(path: Path) -> Emulator:
    """An emulator as it stood when the movie began.

    Raises:
        MovieError, RomError, EmulatorInUseError: See `replay`.
    """
    said = _origin(path)
    movie = read_movie(path)
    emulator = Emulator(find_game(movie.get_game()))
    try:
        for name, wanted in asdict(emulator.origin).items():
            if said.get(name) != wanted:
                raise MovieError(
                    f"{path} is of {name} {said.get(name)!r}, and {emulator.files.name} here has {wanted!r}."
                )
        emulator.set_core(movie.get_state())
    except BaseException:
        emulator.close()
        raise
    return emulator


def pads_of_movie(path: Path, emulator: Emulator) -> Iterator[NDArray[np.uint8]]:
    """Of each frame: uint8 ``[players, buttons]``."""
    movie = read_movie(path)
    while movie.step():
        buttons, players = range(len(emulator.buttons)), range(movie.players)
        yield np.array([[movie.get_key(button, player) for button in buttons] for player in players], np.uint8)


def _origin(path: Path) -> dict[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            said: dict[str, str] = json.loads(archive.read(MOVIE_ORIGIN))
    except KeyError:
        raise MovieError(
            f"{path} does not say which ROM it is of: play it with python -m stable_retro.scripts.playback_movie."
        ) from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MovieError(f"{path} is no movie, or its episode has not ended ({error}): name a whole one.") from error
    return said
