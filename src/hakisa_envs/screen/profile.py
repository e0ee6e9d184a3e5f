"""Reads and checks a game profile: a TOML file whose every mistake is named with file, field, value and a fix."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from hakisa_envs.screen import game as parts
from hakisa_envs.screen.conditions import can_be_named
from hakisa_envs.screen.errors import ProfileError
from hakisa_envs.screen.game import GameProfile
from hakisa_envs.screen.readers import make_reader
from hakisa_envs.screen.rules import check
from hakisa_envs.screen.tables import TableBuilder, nearest

TABLES = {
    "launch": parts.Launch,
    "window": parts.Window,
    "screen": parts.Screen,
    "observation": parts.Observation,
    "actions": parts.Actions,
    "pause": parts.Pause,
    "probe": parts.ProbeTarget,
}
LISTS = {"reward": parts.Reward, "end": parts.End, "start": parts.Step, "reset": parts.Step}
KEYS = ("name", "episodes", "reading", *TABLES, *LISTS)
HEADS = {**{f"[{key}]": cls for key, cls in TABLES.items()}, **{f"[[{key}]]": cls for key, cls in LISTS.items()}}
HOMES: dict[str, list[str]] = {}  # under which heads a field stands
for _head, _cls in HEADS.items():
    for _field in dataclasses.fields(_cls):
        HOMES.setdefault(_field.name, []).append(_head)


def builtin_games() -> list[str]:
    """Names of the profiles that ship with hakisa."""
    folder = resources.files("hakisa_envs.screen") / "games"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_profile(game: str | Path | GameProfile) -> GameProfile:
    """Load a game.

    Args:
        game: The name of one that ships, such as ``"lbreakout2"``, the path of a TOML file, or a profile as it is.

    Raises:
        ProfileError: If there is no such game, or it breaks a rule.
    """
    if isinstance(game, GameProfile):
        return game
    text = str(game)
    if text.endswith(".toml"):
        path = Path(text).expanduser()
        if not path.is_file():
            raise ProfileError(f"game={text!r}: there is no such file.")
    elif text in builtin_games():
        path = Path(str(resources.files("hakisa_envs.screen") / "games" / f"{text}.toml"))
    else:
        unknown = f"game={text!r} is unknown" + (nearest(text, builtin_games()) or ".")
        raise ProfileError(
            f"{unknown} Those that ship are {', '.join(builtin_games())}; your own is the path of a file that ends in "
            ".toml."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin files with a mark
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path} is not TOML: {error}. Save it in the encoding UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        wide = " Save it in the encoding UTF-8: it seems to be in UTF-16." if "\0" in text else ""
        raise ProfileError(f"{path} is not TOML: {_explained(error, text)}{wide}") from error
    return parse_profile(table, path)


# What a parser says of mistakes that people make, and what to do about them.
FIXES = {
    "Cannot declare": "It is there already. Only [[reward]], [[end]], [[start]] and [[reset]], in two brackets, may "
    "come again; each [reading.NAME] has a name of its own.",
    "Cannot overwrite": "It is there already, in this table or another one of its name.",
    "Unescaped": r"In single quotes a backslash is but a backslash: '\d+'.",
    "Invalid value": "Texts stand in quotes, lists in [ ], yes and no are true and false, and a number has digits on "
    "both sides of its point: 0.5.",
    "Expected newline": "One line holds one name = value; texts stand in quotes, and a number has digits on both sides "
    "of its point: 0.5.",
    "Invalid statement": "A line is a [table], a name = value or a # comment.",
    "Expected '='": "A line is a [table], a name = value or a # comment.",
}


def _explained(error: tomllib.TOMLDecodeError, text: str) -> str:
    """What a parser says, with the line that it is about."""
    words = str(error)
    fix = next((fix for start, fix in FIXES.items() if words.startswith(start)), "")
    place = re.search(r"at line (\d+)", words)
    lines = text.splitlines()
    line = f" That line is {lines[int(place[1]) - 1]!r}." if place and int(place[1]) <= len(lines) else ""
    return f"{words}.{line}{f' {fix}' if fix else ''}"


def parse_profile(table: Mapping[str, Any], path: Path) -> GameProfile:
    """Build a profile from what stands in ``path``, and check it.

    Raises:
        ProfileError: If it breaks a rule.
    """
    builder = TableBuilder(path, HOMES)
    builder.check_names(table, KEYS, "the profile")
    if "window" not in table:
        raise builder.error("window", None, "is missing: every profile says which window is the game's", "")
    values: dict[str, Any] = {
        "name": builder.value(table.get("name", path.stem), str, "name"),
        "episodes": builder.value(table.get("episodes", []), tuple[str, ...], "episodes"),
        "readings": tuple(_readings(table.get("reading", {}), builder)),
    }
    for key, cls in TABLES.items():
        if key in table:
            values[key] = builder.table(table[key], cls, key)
    for key, entry in LISTS.items():
        entries = table.get(key, [])
        if not isinstance(entries, list):
            shown = entries if not isinstance(entries, dict) else None
            raise builder.error(key, shown, "must be a list of tables", f"Write [[{key}]], in two brackets.")
        name = {"reward": "rewards", "end": "ends"}.get(key, key)
        values[name] = tuple(builder.table(item, entry, f"{key}[{i}]") for i, item in enumerate(entries))
    profile = GameProfile(folder=path.parent.absolute(), **values)
    check(profile, builder)
    return profile


def _readings(given: Any, builder: TableBuilder) -> Iterable[parts.Reading]:
    if not isinstance(given, dict):
        raise builder.error("reading", None, "must be tables", "Write [reading.NAME], with a name of your own.")
    if isinstance(given.get("kind"), str):
        raise builder.error("reading", None, "has no name", "Write [reading.NAME], with a name of your own.")
    for name, options in given.items():
        where = f"reading.{name}"
        if isinstance(options, list):
            raise builder.error(where, None, "must be one table", f"Write [{where}], and once only.")
        if not can_be_named(name):
            fix = f"Write [reading.{better}]." if can_be_named(better := re.sub(r"\W+", "_", name.strip())) else ""
            rule = "is a name that conditions cannot hold: letters, digits, _ and -, no number, and neither and nor or"
            raise builder.error(f"reading.{name!r}", None, rule, fix)
        if not isinstance(options, dict):
            raise builder.error(where, options, "must be a table", f"Write [{where}].")
        if not isinstance(options.get("kind"), str):
            inner = [key for key, value in options.items() if isinstance(value, dict)] if "kind" not in options else []
            fix = f"If {name}.{inner[0]} is its name, put _ for the dot." if inner else ""
            raise builder.error(where, None, 'needs a kind, such as kind = "digits"', fix)
        rest = {key: value for key, value in options.items() if key != "kind"}
        yield parts.Reading(name, make_reader(options["kind"], rest, builder, where))
