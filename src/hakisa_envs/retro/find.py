"""Finds games: ours, and those whose ROM the user has brought."""

from __future__ import annotations

from pathlib import Path

from hakisa_envs.retro.emulator import shipped_game, shipped_roms
from hakisa_envs.retro.errors import RomError
from hakisa_envs.retro.game_files import HOMEBREW, GameFiles, files_in, homebrew, sha1_in, user_folder

OF_OTHERS = Path(__file__).parent / "games"  # data of games that are not ours, and that stable-retro has no data of

_SUFFIXES = {"GbAdvance": ".gba", "GameBoy": ".gb"}  # of ROM files, by the console in a game's name


def find_game(name: str) -> GameFiles:
    """A game of ours, or one whose ROM the user has brought.

    Raises:
        MissingExtraError: If it is not ours and stable-retro, which has its data, is not installed.
        RomError: If nobody knows the game, or its ROM is not there.
    """
    return homebrew(name) if any(HOMEBREW.glob(f"*/{name}")) else imported(name)


def imported(name: str) -> GameFiles:
    """A game whose ROM the user has imported, into Hakisa or into stable-retro.

    Raises:
        MissingExtraError: If stable-retro is not installed.
        RomError: If stable-retro does not know the game, or there is no ROM of it.
    """
    own = sorted(user_folder(name).glob("rom.*"))
    folder, rom = OF_OTHERS / name, own[0] if own else None
    if not folder.is_dir():
        folder, shipped = shipped_game(name)
        rom = rom or shipped
    if rom is None:
        raise RomError(
            f"The ROM of {name} is not there. It is not ours to give: import your own, whose sha1 is "
            f"{sha1_in(folder)}, with\n    hakisa retro import FILE"
        )
    return files_in(name, rom, folder)


def known_roms() -> dict[str, tuple[str, str]]:
    """Games that are not ours, and how their ROMs' names end, by the ROMs' sha1s in hex.

    Raises:
        MissingExtraError: If stable-retro, which knows most of them, is not installed.
    """
    ours = {sha1_in(folder): (folder.name, _SUFFIXES[folder.name.split("-")[-2]]) for folder in OF_OTHERS.iterdir()}
    return shipped_roms() | ours
