"""Where a profile's program is, and why one that is there does not start."""

from __future__ import annotations

import difflib
import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from hakisa_envs.screen.errors import ProcessError
from hakisa_envs.screen.game import GAME_FOLDERS, resolve_path

NEAR = 0.8  # how like a name must be that may have been mistyped


def find_program(name: str, folder: Path, search: Iterable[str], game: str) -> str:
    """The path of a program.

    Args:
        name: As the profile has it: a path, or a name that is looked for in PATH, ``search`` and `GAME_FOLDERS`.
        folder: The profile's.
        search: Folders, as the profile has them.
        game: The profile's name, for messages.

    Raises:
        ProcessError: If it is nowhere, or cannot be run.
    """
    path = str(resolve_path(name, folder)) if "/" in name or "{" in name else name
    own = [str(resolve_path(place, folder)) for place in search]
    places = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *own, *GAME_FOLDERS]
    places = list(dict.fromkeys(filter(None, places)))
    if program := shutil.which(path, path=os.pathsep.join(places)):
        return program
    found = [there for place in places if (there := Path(place, path)).is_file()]
    if found:
        raise ProcessError(
            f"The game {game!r} needs the program {name!r}, and {found[0]} cannot be run. Make it executable: chmod +x "
            f"{found[0]}"
        )
    words = name.split()
    if len(words) > 1 and shutil.which(words[0], path=os.pathsep.join(places)):
        hint = f"Put each word in quotes of its own: {words}."
    else:
        near = difflib.get_close_matches(name, _programs(places), n=1, cutoff=NEAR)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        hint = f"{meant}If it is elsewhere, name that folder in launch.search."
    raise ProcessError(
        f"The game {game!r} needs the program {name!r}, which is not installed: it is in none of {', '.join(places)}. "
        f"{hint}"
    )


def why_not_started(program: str, error: ProcessError) -> str:
    """What is wrong with a program that the system refuses to run, as far as its first line tells."""
    if not any(f"[Errno {number}]" in str(error) for number in (errno.ENOEXEC, errno.ENOENT)):
        return ""
    try:
        with open(program, "rb") as file:
            first = file.readline(256)
    except OSError:
        return ""
    if not first.startswith(b"#!"):
        is_text = b"\0" not in first and not first.startswith(b"\x7fELF")
        return " Its first line must name what runs it, such as #!/bin/sh." if is_text else " Is it for this machine?"
    words = first[2:].decode(errors="replace").strip("\n ").split(" ")
    if words[0].endswith("\r") or words[-1].endswith("\r"):
        return f" Its lines end as those of Windows do; this mends it: sed -i 's/\\r$//' {program}"
    return "" if Path(words[0]).exists() else f" Its first line names {words[0]!r}, which is not there."


def _programs(places: Iterable[str]) -> list[str]:
    found: set[str] = set()
    for place in places:
        if os.path.isdir(place):
            found.update(os.listdir(place))
    return sorted(found)
