"""The user's own games: ROMs that are recognised by their sha1, and copied to where envs find them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hakisa_envs.retro.errors import RomError
from hakisa_envs.retro.find import known_roms
from hakisa_envs.retro.game_files import user_folder
from hakisa_envs.retro.pokemon.game import EMERALD, MONSTERS, RED
from hakisa_envs.retro.street_fighter.opponents import FIGHTER, STREET_FIGHTER

# The games that there are envs of.
ENVS = {
    FIGHTER: "Hakisa/Fighter-v0",
    STREET_FIGHTER: "Hakisa/StreetFighter2-v0",
    MONSTERS: "Hakisa/Monsters-v0",
    EMERALD: "Hakisa/PokemonEmerald-v0",
    RED: "Hakisa/PokemonRed-v0",
}
LARGEST_ROM = 32 << 20  # bytes; no console of stable-retro's has larger ones
_HEADER, _BLOCK = 512, 1 << 14  # of a Super Magic Drive's files


@dataclass(frozen=True)
class ImportedRom:
    """A ROM that was copied.

    Attributes:
        game: As stable-retro names it.
        sha1: Of the ROM, in hex.
        path: The copy.
    """

    game: str
    sha1: str
    path: Path


def import_rom(file: Path) -> list[ImportedRom]:
    """Copy the ROMs in a file, which may be a zip, to the user's folder. What is not one of our games' is left out.

    Raises:
        MissingExtraError: If stable-retro, which knows the sha1s, is not installed.
        RomError: If the file cannot be read, or no ROM in it is of a game that there is an env of.
    """
    known = known_roms()
    found, others = [], []
    for name, content in _contents(file):
        rom = next((rom for rom in _as_read(content) if _sha1(rom) in known), content)
        sha1 = _sha1(rom)
        game, suffix = known.get(sha1, ("", ""))
        if game not in ENVS:
            others.append(f"{name}: sha1 {sha1}, {f'which is {game}' if game else 'which nobody knows'}")
            continue
        folder = user_folder(game)
        folder.mkdir(parents=True, exist_ok=True)
        # Written beside and renamed: an env that is opened now finds the old file or the new one.
        beside = folder / f"new{suffix}"
        beside.write_bytes(rom)
        found.append(ImportedRom(game, sha1, beside.replace(folder / f"rom{suffix}")))
    if not found:
        wanted = "\n".join(f"    {sha1}  {game}" for sha1, (game, _) in known.items() if game in ENVS)
        what = "\n".join(f"    {other}" for other in others) or "    nothing at all"
        raise RomError(
            f"There is no ROM in {file} that there is an env of:\n{what}\nA ROM must be of these very bytes, since "
            f"addresses in memory differ from version to version:\n{wanted}"
        )
    return found


def _contents(file: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_ROM + 1)
        if not zipfile.is_zipfile(file):
            yield str(file), content
            return
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if not entry.is_dir() and entry.file_size <= LARGEST_ROM:
                    yield f"{file}: {entry.filename}", archive.read(entry)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:  # the last two: encrypted, packed
        raise RomError(f"{file} cannot be read ({error}): give the ROM's file, or a zip with it.") from error


def _as_read(content: bytes) -> Iterator[bytes]:
    """A ROM as it is, and as it was before a Super Magic Drive wrote it: a header, then odd bytes before even ones."""
    yield content
    if len(content) % _BLOCK == _HEADER:
        blocks = np.frombuffer(content, np.uint8)[_HEADER:].reshape(-1, 2, _BLOCK // 2)
        yield blocks[:, ::-1].transpose(0, 2, 1).tobytes()


def _sha1(rom: bytes) -> str:
    return hashlib.sha1(rom, usedforsecurity=False).hexdigest()
