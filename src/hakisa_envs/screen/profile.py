"""Reads and checks a game profile: a TOML file whose every mistake is named with file, field, value and a fix."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from hakisa_envs.screen import game as parts
from hakisa_envs.screen.errors import InputError, ProfileError
from hakisa_envs.screen.game import GameProfile, resolve_program
from hakisa_envs.screen.input.keys import check_chord
from hakisa_envs.screen.readers import make_reader
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
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows begin files with a mark
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path} is not TOML: {error}. Save it in the encoding UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{path} is not TOML: {error}") from error
    return parse_profile(table, path)


def parse_profile(table: Mapping[str, Any], path: Path) -> GameProfile:
    """Build a profile from what stands in ``path``, and check it.

    Raises:
        ProfileError: If it breaks a rule.
    """
    builder = TableBuilder(path)
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
    _check(profile, builder)
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
        if not isinstance(options, dict) or not isinstance(options.get("kind"), str):
            raise builder.error(where, None, 'needs a kind, such as kind = "digits"', "")
        rest = {key: value for key, value in options.items() if key != "kind"}
        yield parts.Reading(name, make_reader(options["kind"], rest, builder, where))


def _check(profile: GameProfile, builder: TableBuilder) -> None:
    """The rules that concern more than one field."""
    from hakisa_envs.screen.actions import ActionMap

    names = [reading.name for reading in profile.readings]

    def known(name: str, where: str, choices: Iterable[str], what: str) -> None:
        if name and name not in choices:
            raise builder.error(where, name, f"is no {what}{nearest(name, choices)}", "")

    for i, reward in enumerate(profile.rewards):
        known(reward.reading, f"reward[{i}].reading", names, "reading")
    if profile.probe is not None:
        known(profile.probe.reading, "probe.reading", names, "reading")
    scripts = [(f"{key}[{i}]", s) for key in ("start", "reset") for i, s in enumerate(getattr(profile, key))]
    conditions = [("pause", profile.pause.until)]
    conditions += [(f"reward[{i}]", reward.when) for i, reward in enumerate(profile.rewards)]
    for where, entry in [*scripts, *((f"end[{i}]", end) for i, end in enumerate(profile.ends))]:
        known(entry.episode, f"{where}.episode", profile.episodes, "sort of episode")
        conditions += [(where, entry.when)] + ([] if isinstance(entry, parts.End) else [(where, entry.until)])
    for where, condition in conditions:
        if condition is None:
            continue
        for name in condition.names:
            known(name, f"{where}: {condition.text!r}: {name}", names, "reading")
    for where, step in scripts:
        _check_step(step, where, builder)
        if step.do == "wait" and step.seconds == 0:
            raise builder.error(f"{where}.seconds", step.seconds, "must be more than 0", "")
    _check_numbers(profile, builder)
    _check_paths(profile, builder)
    try:
        re.compile(profile.window.title)
    except re.error as error:
        raise builder.error("window.title", profile.window.title, f"is no regular expression: {error}", "") from error
    try:
        ActionMap(profile)
    except ValueError as error:
        raise ProfileError(f"{builder.path}: {error}") from error


def _check_step(step: parts.Step, where: str, builder: TableBuilder) -> None:
    """A step has what its deed needs, and nothing of another's."""
    given = {"key": bool(step.key), "place": step.place is not None, "text": bool(step.text), "by": step.by is not None}
    needs = {"press": {"key"}, "click": {"place"}, "type": {"text"}, "move": {"place", "by"}}.get(step.do, set())
    found = {name for name, there in given.items() if there}
    if found - needs or len(found & needs) != min(1, len(needs)):
        wanted = "must have a key to press, a place to click, a text to type, or a place or distance (by) to move"
        raise builder.error(where, None, f"{wanted}, as its do says; {step.do!r} has {sorted(found) or 'none'}", "")
    if len(step.keys) > 1:
        try:
            check_chord(step.keys)
        except InputError as error:
            raise builder.error(f"{where}.key", step.key, f"is not allowed: {error}", "") from error


def _check_paths(profile: GameProfile, builder: TableBuilder) -> None:
    """Files are written below the game's HOME only; what is named by its path is there."""
    launch = profile.launch
    for name in launch.files:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or not place.name:
            raise builder.error("launch.files", name, "must be the path of a file below the game's HOME",
                                "Name it from there, without '..', such as \".config/game.conf\".")  # fmt: skip
    if launch.folder and not (folder := profile.folder / launch.folder).is_dir():
        raise builder.error("launch.folder", launch.folder, f"does not exist: there is no folder {folder}", "")
    programs = [("launch.command[0]", word) for word in launch.command[:1]]
    programs += [("launch.command[1]", word) for word in launch.command[1:2] if launch.command[0] == "{python}"]
    programs.append(("screen.window_manager", profile.screen.window_manager))
    for where, word in programs:
        path = resolve_program(word, profile.folder)
        if "/" in word and not path.is_file():
            raise builder.error(where, word, f"does not exist: there is no file {path}", "")
        if "/" in word and not where.endswith("[1]") and not os.access(path, os.X_OK):
            raise builder.error(where, word, "cannot be run", f"Make it executable: chmod +x {path}")


def _script_numbers(name: str, script: tuple[parts.Step, ...]) -> Iterable[tuple[str, float, float, float]]:
    for i, step in enumerate(script):
        for field, value in (("hold_ms", step.hold_ms), ("seconds", step.seconds), ("timeout", step.timeout)):
            yield f"{name}[{i}].{field}", value, 0.0, 60_000.0 if field == "hold_ms" else 3600.0
        yield f"{name}[{i}].again", step.again, 0.0, 3600.0


def _check_numbers(profile: GameProfile, builder: TableBuilder) -> None:
    observation, actions = profile.observation, profile.actions
    for where, value, low, high in [
        ("actions.rate", actions.rate, 0.1, 250.0),
        ("actions.tap_ms", actions.tap_ms, 1.0, 5000.0),
        ("observation.stack", observation.stack, 1, 64),
        ("observation.size[0]", observation.size[0], 1, 4096),
        ("observation.size[1]", observation.size[1], 1, 4096),
        *((f"screen.size[{i}]", side, 1, 16384) for i, side in enumerate(profile.screen.size or ())),
        *((f"window.size[{i}]", side, 1, 16384) for i, side in enumerate(profile.window.size or ())),
        ("window.timeout", profile.window.timeout, 0.01, 3600.0),
        *([] if profile.probe is None else [("probe.change", profile.probe.change, 1e-9, 1e9)]),
        *((f"end[{i}].steps", end.steps, 1, 1_000_000) for i, end in enumerate(profile.ends)),
        *((f"reward[{i}].weight", reward.weight, -1e9, 1e9) for i, reward in enumerate(profile.rewards)),
        *((f"reward[{i}].most", reward.most, 0.0, float("inf")) for i, reward in enumerate(profile.rewards)),
        *(number for name in ("start", "reset") for number in _script_numbers(name, getattr(profile, name))),
    ]:
        if not low <= value <= high:
            raise builder.error(where, value, f"must lie between {low:g} and {high:g}", "")
    size = profile.window.size
    if size and (size[0] > profile.screen_size[0] or size[1] > profile.screen_size[1]):
        given = list(profile.screen_size)
        raise builder.error("screen.size", given, f"must be as large as the window, {size[0]} x {size[1]}", "")
    if size and (outside := profile.outside(*size)):
        where, given = outside
        raise builder.error(where, given, f"must lie inside the window, {size[0]} x {size[1]}", "")
    if (profile.pause.how == "key") != bool(profile.pause.key):
        raise builder.error("pause.key", profile.pause.key, 'must be given with how = "key", and only then', "")
    if profile.pause.until is not None and not profile.pause.key:
        raise builder.error("pause.until", profile.pause.until.text, 'is for how = "key" only', "")
    if profile.pause.how == "stop" and not profile.launch.command:
        raise builder.error("pause.how", "stop", "needs a game that the env launches itself", "")
