"""Hands recordings to a trainer as rows that it can learn from; what was marked as left out is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym

from hakisa_algos.data.contract import MEANING, declared, other_meaning
from hakisa_algos.data.lessons import DROPPED
from hakisa_algos.data.segments import Series
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.data.vectorize import why_not_from_file
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.demonstrations import HeldSegment
from hakisa_algos.stages.recording import Recording
from hakisa_algos.training.stored_run import StoredRun
from hakisa_envs.screen.meaning import meaning, meaning_of_actions
from hakisa_envs.screen.profile import load_profile

# What only people look at.
_NOT_LEARNED_FROM = ("keep.", "reading.")
SCREEN = "Hakisa/ScreenGame-v0"


def demonstrations(recordings: Sequence[Recording]) -> StoredRows:
    """All their rows, in memory.

    Raises:
        CheckpointError: a file is damaged, or they are of different spaces.
    """
    return StoredRows([_series(recording) for recording in recordings])


def _series(recording: Recording) -> Series:
    (one,) = recording.rows.series
    dropped, segments = recording.marks[DROPPED], []
    for segment in one.segments:
        arrays = {
            n: a for n, a in segment.open().items() if not n.removeprefix("column.").startswith(_NOT_LEARNED_FROM)
        }
        first = segment.first - one.first
        left_out = dropped[first : first + segment.rows]
        learned = arrays["column.learned"].copy()
        learned[: len(left_out), 0] &= ~left_out
        columns = {n: form for n, form in segment.layout["columns"].items() if f"column.{n}" in arrays}
        layout = {**segment.layout, "columns": columns}
        arrays["column.learned"] = learned
        segments.append(HeldSegment(recording.path, 0, "", segment.first, segment.rows, layout, arrays))
    return Series(tuple(segments))


def check_game(recordings: Sequence[Recording], env: str, env_options: Mapping[str, Any]) -> None:
    """Refuses recordings whose actions or pictures mean something else, among them, or in the env to be played in.

    So far as it is known: recordings of before it was written down say less, and an env that cannot be made here, or a
    profile that is not here, says nothing.

    Args:
        recordings: of one game.
        env: that is to be played in.
        env_options: of it.

    Raises:
        ConfigError: names the recording, what differs, and both values.
    """
    for recording in recordings:
        facts: Any = recording.facts
        recorded, wanted = _game(facts["env"], facts.get("env_options", {})), _game(env, env_options)
        if recorded != wanted:
            raise ConfigError(f"{recording.path} was recorded of {_said(recorded)}, and this is {_said(wanted)}")
    for other in recordings[1:]:
        _refuse_other(other, meaning_of(recordings[0]), f"{recordings[0].path} with", "leave one of the two out")
    if recordings:
        now, where = _meaning_now(env, env_options), _said(_game(env, env_options))
        for recording in recordings:
            _refuse_other(recording, now, f"{where} has now", "put that back as it was, or record again")


def check_learned(stored: StoredRun, recordings: Sequence[Recording]) -> None:
    """Refuses recordings whose actions or pictures mean something else than those that a run has learned with.

    Raises:
        ConfigError: names the recording, what differs, and both values.
    """
    for recording in recordings:
        fix = "leave the recording out, or study it by itself"
        _refuse_other(recording, stored.before.get(MEANING), f"{stored.path} learned with", fix)


def check_rate(recordings: Sequence[Recording]) -> None:
    """Refuses recordings of different rates, whose rows are of different length: a reaction is so many rows late.

    Raises:
        ConfigError: names both.
    """
    first = recordings[0]
    for other in recordings[1:]:
        if other.facts["rate"] != first.facts["rate"]:
            raise ConfigError(
                f"{other.path} was recorded with rate {other.facts['rate']}, and {first.path} with "
                f"{first.facts['rate']}: their rows are of different length; leave one of the two out"
            )


def meaning_of(recording: Recording) -> dict[str, Any]:
    """What its actions and pictures mean, as far as it says."""
    facts: Any = recording.facts
    said: dict[str, Any] = {}
    if facts["env"] == SCREEN:
        said = {"commands": list(facts.get("commands", ())), "rate": float(facts["rate"])}
        if "rules" in facts:
            said |= meaning_of_actions(facts["rules"]) | {"region": list(facts["rules"]["area"])}
    return said | (facts.get(MEANING) or {})


def _meaning_now(env: str, options: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What an env would say; None where that is not known. No game is started for it."""
    try:
        if env.rpartition(":")[2] == SCREEN:
            profile = load_profile(options["game"])
            return meaning(profile, options.get("rate") or profile.actions.rate)
        if why_not_from_file(env) is not None:
            return None
        with closing(gym.make(env, disable_env_checker=True, **options)) as made:
            known: Mapping[str, Any] | None = declared(made, MEANING)
            return known
    except Exception:  # whoever plays in it is told
        return None


def _refuse_other(recording: Recording, wanted: Mapping[str, Any] | None, whose: str, fix: str) -> None:
    other = other_meaning(meaning_of(recording), wanted)
    if other is not None:
        name, was, now = other
        raise ConfigError(
            f"{recording.path} was recorded with {name} {was}, and {whose} {now}: the same action or picture means "
            f"something else there; {fix}"
        )


def _game(env: str, options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"env": env.rpartition(":")[2], "game": options.get("game")}
    if str(found["game"]).endswith(".toml"):
        found["game"] = str(Path(found["game"]).absolute())
    return found


def _said(game: Mapping[str, Any]) -> str:
    return str(game["env"]) if game["game"] is None else f"{game['env']} game={game['game']}"
