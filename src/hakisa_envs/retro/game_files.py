"""Where a console game lies and what its memory means: a folder as stable-retro lays it out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakisa_envs.retro.errors import RomError, StateError

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
        states: The folder of the ``NAME.state`` files that come with it.
        own_states: The folder of those that the user recorded.
        magic: A variable and the value that it holds in every state of this game; ours have one.
        default_state: The one to start from.
    """

    name: str
    rom: Path
    rom_sha1: str
    variables: Mapping[str, Variable]
    crop: tuple[int, int, int, int]
    states: Path
    own_states: Path
    default_state: str
    magic: tuple[Variable, int] | None = None

    def state_names(self) -> list[str]:
        """Those that there are."""
        return sorted({path.stem for folder in (self.states, self.own_states) for path in folder.glob("*.state")})

    def state_file(self, state: str) -> Path:
        """The file of a state: by its name, or by its path, which ends in ``.state``.

        Raises:
            StateError: If there is none of that name.
        """
        if state.endswith(".state"):
            return Path(state)
        for folder in (self.states, self.own_states):
            if (path := folder / f"{state}.state").is_file():
                return path
        raise StateError(
            f"There is no state {state!r} of {self.name}. It has {', '.join(self.state_names()) or 'none'}. Record one "
            f"with\n    hakisa retro state {self.name} --name {state} --keyboard"
        )

    def vouches_for(self, state: Path) -> bool:
        """Whether a state need not say whose it is: those that stable-retro ships lie beside the game's data."""
        return self.magic is None and state.parent == self.states


def user_folder(name: str) -> Path:
    """Where a game's ROM and states lie that the user has brought or made."""
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    return data / "hakisa" / "retro" / name


def homebrew(name: str) -> GameFiles:
    """A game of ours, such as ``"HakisaFighter-Genesis-v0"``.

    Raises:
        RomError: If there is none of that name.
    """
    for folder in HOMEBREW.glob(f"*/{name}"):
        magic = _json(folder / "metadata.json")["magic"]
        files = files_in(name, next(folder.glob("rom.[!s]*")), folder)
        return GameFiles(**{**vars(files), "magic": (Variable(magic["address"], magic["type"]), magic["value"])})
    have = sorted(path.parent.name for path in HOMEBREW.glob("*/*/rom.sha"))
    raise RomError(f"There is no game {name!r} of ours; there are {', '.join(have)}.")


def check_rom(files: GameFiles) -> None:
    """Refuse a ROM that is not the one which ``files`` describe.

    Raises:
        RomError: With both sha1s.
    """
    found = hashlib.sha1(files.rom.read_bytes(), usedforsecurity=False).hexdigest()
    if found != files.rom_sha1:
        raise RomError(
            f"{files.rom} has the sha1 {found}, and {files.name} needs {files.rom_sha1}: another version of the game, "
            "or a broken file. Addresses in memory differ from version to version; bring the right one with\n"
            "    hakisa retro import FILE"
        )


def files_in(name: str, rom: Path, folder: Path) -> GameFiles:
    """A game whose data lie in ``folder``, as stable-retro lays them out."""
    info = _json(folder / "data.json")["info"]
    return GameFiles(
        name=name,
        rom=rom,
        rom_sha1=sha1_in(folder),
        variables={key: Variable(row["address"], row["type"]) for key, row in info.items()},
        crop=tuple(_json(folder / "scenario.json").get("crop", (0, 0, 0, 0))),
        states=folder,
        own_states=user_folder(name),
        default_state=_json(folder / "metadata.json")["default_state"],
    )


def sha1_in(folder: Path) -> str:
    """The sha1 of the ROM that the data in ``folder`` describe, in hex."""
    return (folder / "rom.sha").read_text().split()[0]


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
