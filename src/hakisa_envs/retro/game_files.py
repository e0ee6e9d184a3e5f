"""Where a console game lies and what its memory means: a folder as stable-retro lays it out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.retro.errors import RomError

HOMEBREW = Path(__file__).parent / "homebrew"


@dataclass(frozen=True)
class Variable:
    """A number in a console's memory.

    Attributes:
        address: As the console's programs see it.
        type: As in stable-retro's data.json: byte order, kind (``u``, ``i``, or ``d`` for BCD) and bytes: ``">i2"``.
    """

    address: int
    type: str


@dataclass(frozen=True)
class GameFiles:
    """A game that is there to be opened.

    Attributes:
        name: Such as ``"StreetFighterIISpecialChampionEdition-Genesis-v0"``.
        rom: Its ROM file.
        rom_sha1: Of the ROM that the game's data describe.
        variables: Those of its data.json.
        crop: Left, top, width and height of the picture, in pixels; width 0: all of it.
        states: The folder of its ``NAME.state`` files.
        magic: A variable and the value that it holds in every state of this game; ours have one.
        default_state: The one to start from.
    """

    name: str
    rom: Path
    rom_sha1: str
    variables: Mapping[str, Variable]
    crop: tuple[int, int, int, int]
    states: Path
    default_state: str
    magic: tuple[Variable, int] | None = None

    def vouches_for(self, state: Path) -> bool:
        """Whether a state need not say whose it is: those that stable-retro ships lie beside the game's data."""
        return self.magic is None and state.parent == self.states


def homebrew(name: str) -> GameFiles:
    """A game of ours, such as ``"HakisaFighter-Genesis-v0"``.

    Raises:
        RomError: If there is none of that name.
    """
    for folder in HOMEBREW.glob(f"*/{name}"):
        magic = _json(folder / "metadata.json")["magic"]
        files = _files(name, next(folder.glob("rom.[!s]*")), folder)
        return GameFiles(**{**vars(files), "magic": (Variable(magic["address"], magic["type"]), magic["value"])})
    have = sorted(path.parent.name for path in HOMEBREW.glob("*/*/rom.sha"))
    raise RomError(f"There is no game {name!r} of ours; there are {', '.join(have)}.")


def imported(name: str) -> GameFiles:
    """A game whose ROM the user has imported into stable-retro.

    Raises:
        MissingExtraError: If stable-retro is not installed.
        RomError: If stable-retro does not know the game, or has no ROM of it.
    """
    retro = import_extra("stable_retro", extra="retro", needed_by=name)
    stable = retro.data.Integrations.STABLE
    data = retro.data.get_file_path(name, "data.json", stable)
    if data is None:
        raise RomError(f"stable-retro knows no game {name!r}: stable_retro.data.list_games() has those that it knows.")
    folder = Path(data).parent
    try:
        rom = Path(retro.data.get_romfile_path(name, stable))
    except FileNotFoundError:
        sha1 = (folder / "rom.sha").read_text().split()[0]
        raise RomError(
            f"The ROM of {name} is not there. It is not ours to give: import your own, whose sha1 is {sha1}, with\n"
            "    python -m stable_retro.import FOLDER_OF_YOUR_ROMS"
        ) from None
    return _files(name, rom, folder)


def check_rom(files: GameFiles) -> None:
    """Refuse a ROM that is not the one which ``files`` describe.

    Raises:
        RomError: With both sha1s.
    """
    found = hashlib.sha1(files.rom.read_bytes(), usedforsecurity=False).hexdigest()
    if found != files.rom_sha1:
        raise RomError(
            f"{files.rom} has the sha1 {found}, and {files.name} needs {files.rom_sha1}: another version of the game, "
            "or a broken file. Addresses in memory differ from version to version; bring the right one."
        )


def _files(name: str, rom: Path, folder: Path) -> GameFiles:
    info = _json(folder / "data.json")["info"]
    return GameFiles(
        name=name,
        rom=rom,
        rom_sha1=(folder / "rom.sha").read_text().split()[0],
        variables={key: Variable(row["address"], row["type"]) for key, row in info.items()},
        crop=tuple(_json(folder / "scenario.json").get("crop", (0, 0, 0, 0))),
        states=folder,
        default_state=_json(folder / "metadata.json")["default_state"],
    )


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
