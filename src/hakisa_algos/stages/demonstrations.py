"""Hands recordings to a trainer as rows that it can learn from; what was marked as left out is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hakisa_algos.data.lessons import DROPPED
from hakisa_algos.data.segments import Series
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.demonstrations import HeldSegment
from hakisa_algos.stages.recording import Recording

# What only people look at.
_NOT_LEARNED_FROM = ("keep.", "reading.")
# Options of a live game by which it is another game, or another pace.
_SAME = ("game", "rate")


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
    """Refuses recordings of another game than is to be trained in.

    Raises:
        ConfigError: names the recording, and both games.
    """
    for recording in recordings:
        facts: Any = recording.facts
        recorded, wanted = _game(facts["env"], facts.get("env_options", {})), _game(env, env_options)
        if recorded != wanted:
            raise ConfigError(f"{recording.path} was recorded of {_said(recorded)}, and this is {_said(wanted)}")


def _game(env: str, options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"env": env.rpartition(":")[2], **{name: options.get(name) for name in _SAME}}
    if str(found["game"]).endswith(".toml"):
        found["game"] = str(Path(found["game"]).absolute())
    return found


def _said(game: Mapping[str, Any]) -> str:
    return " ".join([str(game["env"]), *(f"{n}={game[n]}" for n in _SAME if game[n] is not None)])
