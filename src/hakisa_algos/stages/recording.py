"""A recording of somebody's play: a folder, which is a dataset (:mod:`hakisa_algos.data.dataset`) and a few more files.

    recording.json   what was played and how it is to be read: a document with its own checksum
    index.json, rows_*.safetensors   the rows
    events.jsonl     every press, release, motion and turn, gaps and pauses; the first line says what it is
    marks.json       rows left out, and rows held out; there only if somebody has marked some
    video.mp4        only if it was asked for

Of row ``i`` the observation was seen at ``t_ns[i]``, and its action is what was done in ``[t_ns[i], t_ns[i + 1])``; its
reward, and whether the episode ended, are those of the frame after it. Each episode is followed by a row that is no
transition and holds its last observation. Nothing in it is run, and it is refused if anything in it was changed.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from gymnasium import spaces

from hakisa_algos.data.dataset import INDEX, list_series
from hakisa_algos.data.files import check_version, read_document, write_document
from hakisa_algos.data.lessons import DROPPED, HELD_OUT, PERSON
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.errors import CheckpointError
from hakisa_envs.recording.events import BAD, Event
from hakisa_envs.recording.inverse import Rules
from hakisa_envs.spaces import ConditionalMultiDiscrete

FACTS, EVENTS, MARKS, VIDEO = "recording.json", "events.jsonl", "marks.json", "video.mp4"
FORMAT, VERSION = "hakisa-recording", 1
EVENTS_FORMAT, MARKS_FORMAT = "hakisa-events", "hakisa-marks"
_FIX = "pass a folder that hakisa record wrote, unedited, or restore it from a backup"
NAMES = (DROPPED, HELD_OUT)


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording.

    Attributes:
        path: its folder.
        facts: what recording.json says.
        rows: its rows.
    """

    path: Path
    facts: Mapping[str, Any]
    rows: StoredRows

    @classmethod
    def open(cls, path: Path | str) -> Recording:
        """Opens one; no row is read yet.

        Raises:
            CheckpointError: it is none, or damaged, changed, cut short or of a newer version: it names the file.
        """
        path = Path(path)
        facts = read_document(path / FACTS, FORMAT, VERSION, _FIX)
        try:
            space_from(facts["spaces"]["observation"]), space_from(facts["spaces"]["action"])
            float(facts["rate"]), str(facts["name"])
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            raise CheckpointError(f"{path / FACTS} does not say what was recorded ({error!r}); {_FIX}") from error
        if not (path / INDEX).exists():
            raise CheckpointError(
                f"{path} has no rows: it was ended by force in its first second, or {INDEX} was removed; record again"
            )
        rows = StoredRows(list_series(path))
        if rows.layout["num_envs"] != 1 or len(rows.series) != 1:
            raise CheckpointError(f"{path} holds more than one game at a time; {_FIX}")
        return cls(path, facts, rows)

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """As the env has it, pictures as they were seen."""
        return space_from(self.facts["spaces"]["observation"])

    @property
    def action_space(self) -> spaces.Space[Any]:
        """As the env has it."""
        return space_from(self.facts["spaces"]["action"])

    @property
    def by_person(self) -> bool:
        """Whether a person played, and not an agent."""
        return "agent" not in self.facts

    @functools.cached_property
    def position(self) -> np.ndarray:
        """Of all rows but the one after the last."""
        return np.arange(self.rows.rows - 1)

    def column(self, name: str) -> np.ndarray:
        """A column, ``[rows, ...]``."""
        return self.rows.take(name, self.position)

    @functools.cached_property
    def episodes(self) -> list[slice]:
        """The rows of each episode that are transitions, in order, and the row after them."""
        begins = np.flatnonzero(self.column("age") == 0)
        return [slice(int(a), int(b)) for a, b in zip(begins, [*begins[1:], len(self.position)], strict=True)]

    @functools.cached_property
    def events(self) -> list[Event]:
        """What was done, in order. A last line that was cut short by a kill is left out.

        Raises:
            CheckpointError: a line is no event.
        """
        path = self.path / EVENTS
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({error}); {_FIX}") from error
        found: list[Event] = []
        for number, line in enumerate(lines[:-1], 1):  # what follows the last end of a line is cut short, or nothing
            try:
                said = json.loads(line)
                if number == 1:
                    check_version(path, said["format"], said["version"], EVENTS_FORMAT, VERSION)
                else:
                    found.append(Event.from_json(said))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise CheckpointError(f"{path}, line {number}, is no event ({str(error)[:100]}); {_FIX}") from error
        return found

    @functools.cached_property
    def marks(self) -> dict[str, np.ndarray]:
        """Rows that are left out and held out, bool ``[rows]``; episodes that the player called bad are left out."""
        marks = {name: np.zeros(len(self.position), bool) for name in NAMES}
        t = self.column("t_ns")
        for event in self.events:
            if event.kind == BAD and len(t):
                row = max(int(np.searchsorted(t, event.t_ns, "right")) - 1, 0)
                for episode in self.episodes:
                    if episode.start <= row < episode.stop:
                        marks[DROPPED][episode] = True
        for name, ranges in self.marked.items():
            for first, last in ranges:
                marks[name][first:last] = True
        return marks

    @property
    def marked(self) -> dict[str, list[tuple[int, int]]]:
        """What :meth:`mark` was told.

        Raises:
            CheckpointError: the file is damaged.
        """
        if not (self.path / MARKS).exists():
            return {}
        said = read_document(self.path / MARKS, MARKS_FORMAT, VERSION, _FIX)
        try:
            return {name: [(int(first), int(last)) for first, last in said.get(name, ())] for name in NAMES}
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path / MARKS} does not list rows ({error}); {_FIX}") from error

    def mark(self, **ranges: Iterable[tuple[int, int]]) -> None:
        """Says which rows are left out (``dropped``) or examined by (``held_out``), instead of what was said before.

        Args:
            ranges: of each of the two, ``(first, last)`` with ``last`` not included.
        """
        write_document(self.path / MARKS, MARKS_FORMAT, VERSION, {n: [list(r) for r in v] for n, v in ranges.items()})
        self.__dict__.pop("marks", None)


def rules_of(recording: Recording) -> Rules | None:
    """By which its actions were found; None if they were none of keys and mouse.

    Raises:
        CheckpointError: they are none.
    """
    said: Any = recording.facts.get("rules")
    if said is None:
        return None
    try:
        given: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in said.items()}
        return Rules(**given)
    except (TypeError, AttributeError) as error:
        raise CheckpointError(f"{recording.path / FACTS} holds no rules of actions ({error})") from error


class RecordedRows(StoredRows):
    """The rows of recordings as one view, with their marks, and whether a person played, as columns.

    Args:
        recordings: of one game; at least one.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        if not recordings:
            raise CheckpointError("no recording was given; pass folders that hakisa record wrote")
        super().__init__([one for recording in recordings for one in recording.rows.series])
        # After each recording's last row stands the one that only holds an observation.
        self._marks = {
            name: np.concatenate([np.append(recording.marks[name], False) for recording in recordings])
            for name in NAMES
        }
        self._marks[PERSON] = np.concatenate([np.full(r.rows.rows, r.by_person) for r in recordings])

    def take(self, name: str, position: np.ndarray) -> np.ndarray:
        """See :meth:`hakisa_algos.data.stored.StoredRows.take`."""
        if name in self._marks:
            marks: np.ndarray = self._marks[name][position % self.rows]
            return marks
        return super().take(name, position)


@contextlib.contextmanager
def privately() -> Iterator[None]:
    """While entered, what is written can be read by nobody else."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


class EventLog:
    """Appends events to a file; each is with the system as soon as it is written, so a kill loses none.

    Args:
        path: of a new file.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file: TextIO = open(descriptor, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 (open until close())
        self._write({"format": EVENTS_FORMAT, "version": VERSION})

    def add(self, events: Iterable[Event]) -> None:
        """Appends events."""
        for event in events:
            self._write(event.to_json())

    def close(self) -> None:
        """Ends the file; a second call does nothing."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def _write(self, said: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(said, allow_nan=False) + "\n")


def space_from(said: Mapping[str, Any]) -> spaces.Space[Any]:
    """The space that :func:`hakisa_algos.data.segments.describe` has described.

    Raises:
        ValueError: of a kind that is not recorded.
    """
    kind = said["type"]
    if kind == "Dict":
        return spaces.Dict({key: space_from(inner) for key, inner in said["spaces"].items()})
    if kind == "Box":
        low, high = (np.array(said[side], dtype=np.float64) for side in ("low", "high"))
        dtype, shape = np.dtype(said["dtype"]), tuple(said["shape"])
        low, high = (np.broadcast_to(bound, shape).astype(dtype) for bound in (low, high))
        return spaces.Box(low, high, dtype=dtype.type)
    if kind == "Discrete":
        return spaces.Discrete(said["n"], start=said.get("start", 0))
    if kind == "MultiBinary":
        return spaces.MultiBinary(said["n"])
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(
            np.array(said["nvec"]), start=np.array(said.get("start", 0)) + 0 * np.array(said["nvec"])
        )
    if kind == "ConditionalMultiDiscrete":
        return ConditionalMultiDiscrete(said["nvec"], said["sizes"])
    raise ValueError(f"a space of the kind {kind!r}")
