"""What a profile must hold to beyond the types of its fields."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from itertools import combinations
from pathlib import PurePosixPath
from typing import Any

from hakisa_envs.screen import game as parts
from hakisa_envs.screen.actions import ActionMap
from hakisa_envs.screen.errors import InputError, ProfileError
from hakisa_envs.screen.game import GameProfile, resolve_path
from hakisa_envs.screen.input.keys import check_chord
from hakisa_envs.screen.input.keysyms import lookup
from hakisa_envs.screen.readers import Template
from hakisa_envs.screen.tables import TableBuilder, nearest

FARTHEST = 32767  # pixels, which X can say
NUMERALS = "A number is written as 3, -.5 or 1e3."
PLACEHOLDERS = ("python", "profile")  # as `hakisa_envs.screen.game.fill` knows them


def check(profile: GameProfile, builder: TableBuilder) -> None:
    """Refuse a profile that breaks a rule which no field breaks by its type alone."""
    names = [reading.name for reading in profile.readings]
    if "" in profile.episodes:
        raise builder.error("episodes", list(profile.episodes), "must all have names", "")

    def known(name: str, where: str, choices: Iterable[str], what: str, fix: str = "") -> None:
        if name and name not in choices:
            raise builder.error(where, name, f"is no {what}{nearest(name, choices)}", fix)

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
            numeral = name[0].isdigit() or name.lower() in ("inf", "infinity", "nan")
            known(name, f"{where}: {condition.text!r}: {name}", names, "reading", NUMERALS if numeral else "")
    for where, step in scripts:
        _check_step(step, where, builder)
    _check_numbers(profile, builder)
    _check_paths(profile, builder)
    _check_launch(profile, builder)
    _refuse_doubles(profile, builder)
    _refuse_templates_alike(profile, builder)
    try:
        re.compile(profile.window.title)
    except re.error as error:
        fix = f"For these very characters write '{re.escape(profile.window.title)}', in single quotes."
        raise builder.error("window.title", profile.window.title, f"is no regular expression: {error}", fix) from error
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
    if step.do == "look" and step.until is None:
        raise builder.error(where, None, "looks for nothing", 'Give it an until, or do = "wait" and seconds.')
    if (step.do == "wait") != (step.seconds > 0):
        raise builder.error(f"{where}.seconds", step.seconds, f"must be {'more than 0' if step.do == 'wait' else '0'}, "
                            'as only do = "wait" waits so long', "")  # fmt: skip
    if step.again and step.until is None:
        raise builder.error(f"{where}.again", step.again, "has no until, so that nothing is done again", "")
    if step.by == (0, 0):
        raise builder.error(f"{where}.by", list(step.by), "moves nothing", "")
    if unprintable := next((c for c in step.text if unicodedata.category(c) == "Cc" and c not in "\n\t"), ""):
        raise builder.error(f"{where}.text", step.text, f"holds {unprintable!r}, which no key types",
                            r'\n is Return, \t is Tab; for other keys write do = "press".')  # fmt: skip
    if len(step.keys) > 1:
        try:
            check_chord(step.keys)
        except InputError as error:
            raise builder.error(f"{where}.key", step.key, f"is not allowed: {error}", "") from error


def _refuse_doubles(profile: GameProfile, builder: TableBuilder) -> None:
    """What is named twice would be twice among an agent's choices, or count twice."""
    actions = profile.actions
    lists: list[tuple[str, Sequence[Any], Sequence[Any]]] = [
        ("episodes", profile.episodes, profile.episodes),
        ("actions.keys", actions.keys, [lookup(key) or key for key in actions.keys]),  # Prior is Page_Up
        ("actions.buttons", actions.buttons, actions.buttons),
        ("actions.steps", actions.steps, actions.steps),
    ]
    for reading in profile.readings:
        places = getattr(reading.reader, "places", ())
        lists.append((f"reading.{reading.name}.places", [list(place) for place in map(astuple, places)], places))
    for where, shown, values in lists:
        for i, value in enumerate(values):
            if (first := list(values).index(value)) < i:
                raise builder.error(f"{where}[{i}]", shown[i], f"is the same as {where}[{first}]", "Name it once.")
    rewards = [(replace(reward, when=None), reward.when and reward.when.groups) for reward in profile.rewards]
    ends = [(end.when.groups, end.steps, end.episode) for end in profile.ends]
    tables: list[tuple[str, list[Any], str]] = [
        ("reward", rewards, "It would be paid twice: leave one out, or give the other its weight, too."),
        ("end", ends, "Leave one out."),
    ]
    for where, entries, fix in tables:
        for i, entry in enumerate(entries):
            if (first := entries.index(entry)) < i:
                raise builder.error(f"{where}[{i}]", None, f"is the same as {where}[{first}]", fix)


def _refuse_templates_alike(profile: GameProfile, builder: TableBuilder) -> None:
    """Two readings that are always both seen, or neither: most likely one has the other's picture."""
    templates = [(reading.name, reading.reader) for reading in profile.readings if isinstance(reading.reader, Template)]
    for (one, first), (other, second) in combinations(templates, 2):
        if first.looks_for_the_same_as(second):
            rule = f"shows the same as reading.{one}.picture, in the same region, so that both are seen or neither"
            raise builder.error(f"reading.{other}.picture", second.picture.name, rule, "Cut out another, or leave one.")


def _check_launch(profile: GameProfile, builder: TableBuilder) -> None:
    """A program is named, and what it is given can be given to it."""
    launch = profile.launch
    if launch != parts.Launch() and not launch.command:
        raise builder.error("launch", None, "says nothing of what to launch", "Give it a command, or leave it out.")
    if launch.command and not launch.command[0].strip():
        raise builder.error("launch.command[0]", launch.command[0], "must be a program", "")
    given = {f"launch.command[{i}]": word for i, word in enumerate(launch.command)}
    given |= {f"launch.search[{i}]": place for i, place in enumerate(launch.search)}
    given |= {f"launch.environment.{name}": value for name, value in launch.environment.items()}
    for where, text in {**given, "launch.folder": launch.folder}.items():
        if "\0" in text:
            raise builder.error(where, text, "must not hold the character NUL, at which it would end", "")
        for word in re.findall(r"\{(\w+)\}", text):  # others are perhaps for the program
            if word not in PLACEHOLDERS and (meant := nearest(word.lower(), PLACEHOLDERS)):
                raise builder.error(where, text, f"has no meaning for {{{word}}}{meant}", "")
    for name in launch.environment:
        if not name or set("=\0") & set(name):
            raise builder.error("launch.environment", name, "is no name of a variable", "")
        if name == "DISPLAY":
            fix = "Leave it out. Where the game is played is an option of the env: display=':1'."
            raise builder.error("launch.environment.DISPLAY", launch.environment[name], "is set by the env", fix)
    for name, content in launch.files.items():
        if beyond := next((character for character in content if ord(character) > 255), ""):
            written = "".join(f"\\u{byte:04x}" for byte in beyond.encode())
            fix = f"As UTF-8 it is {written}, in double quotes."
            raise builder.error(f"launch.files.{name!r}", beyond, "is no byte, as each character of a file is", fix)


def _check_paths(profile: GameProfile, builder: TableBuilder) -> None:
    """Files are written below the game's HOME only; what is named by its path is there."""
    launch = profile.launch
    for name in launch.files:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or not place.name or "\0" in name:
            raise builder.error("launch.files", name, "must be the path of a file below the game's HOME",
                                "Name it from there, without '..', such as \".config/game.conf\".")  # fmt: skip
        if below := [other for other in launch.files if place in PurePosixPath(other).parents]:
            raise builder.error("launch.files", name, f"cannot be a file and the folder of {below[0]!r}", "")
    if launch.folder and not (folder := resolve_path(launch.folder, profile.folder)).is_dir():
        raise builder.error("launch.folder", launch.folder, f"does not exist: there is no folder {folder}", "")
    _refuse_words_beside(profile, builder)
    programs = [("launch.command[0]", word, profile.folder) for word in launch.command[:1]]
    if launch.command[:1] == ("{python}",):
        runs_in = resolve_path(launch.folder, profile.folder)
        programs += [("launch.command[1]", word, runs_in) for word in launch.command[1:2]]
    programs.append(("screen.window_manager", profile.screen.window_manager, profile.folder))
    for where, word, folder in programs:
        path = resolve_path(word.replace("{profile}", str(profile.folder)), folder)
        if "/" in word and not path.is_file():
            words = word.split()
            apart = len(words) > 1 and resolve_path(words[0], folder).is_file()
            fix = f"Put each word in quotes of its own: {words}." if apart else ""
            raise builder.error(where, word, f"does not exist: there is no file {path}", fix)
        if "/" in word and not where.endswith("[1]") and not os.access(path, os.X_OK):
            raise builder.error(where, word, "cannot be run", f"Make it executable: chmod +x {path}")


def _refuse_words_beside(profile: GameProfile, builder: TableBuilder) -> None:
    """What stands after the program is the program's own: it looks for files where it runs, not beside the profile."""
    launch = profile.launch
    runs_in = resolve_path(launch.folder, profile.folder) if launch.folder else None
    for i, word in list(enumerate(launch.command))[1:]:
        there = PurePosixPath(word).as_posix() in launch.files or (
            runs_in is not None and os.path.exists(runs_in / word)
        )
        if word and not there and not PurePosixPath(word).is_absolute() and os.path.isfile(profile.folder / word):
            where = f"{launch.folder!r}" if launch.folder else "its HOME"
            rule = f"lies beside the profile, but the game runs in {where} and looks for it there"
            fix = f"Write '{{profile}}/{PurePosixPath(word).as_posix()}'."
            raise builder.error(f"launch.command[{i}]", word, rule, fix)


def _script_numbers(name: str, script: tuple[parts.Step, ...]) -> Iterable[tuple[str, float, float, float]]:
    for i, step in enumerate(script):
        for field, value in (("hold_ms", step.hold_ms), ("seconds", step.seconds), ("timeout", step.timeout)):
            yield f"{name}[{i}].{field}", value, 0.0, 60_000.0 if field == "hold_ms" else 3600.0
        yield f"{name}[{i}].again", step.again, 0.0, 3600.0
        yield from ((f"{name}[{i}].by[{axis}]", far, -FARTHEST, FARTHEST) for axis, far in enumerate(step.by or ()))


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
        *((f"actions.steps[{i}]", step, -FARTHEST, FARTHEST) for i, step in enumerate(actions.steps)),
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
