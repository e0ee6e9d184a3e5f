"""How rows lie on the disk: in segments, files that are written once and never changed.

A segment is a safetensors file with the rows ``[first, first + rows)`` of all columns of one buffer:

    column.reward, column.action, ...   [rows, num_envs, ...]
    column.age                          [rows + 1, num_envs]        steps since the episode began
    observation, or observation.KEY     [rows + 1, num_envs, ...]   as the ring has them: of stacked frames the newest
    final_position, final, final.KEY    [n], [n, ...]               row * num_envs + env of truncated rows; and what was
                                                                    seen there at last

Large tensors of bytes may be packed (see :mod:`.packing`): they are then called ``packed.NAME``.

Where there is one row more than ``rows``, it is the one after the last, which has an observation but no action yet.

Its header says in JSON (key ``hakisa``) what it is; no code runs when it is read. Consecutive segments make a series;
where two hold the same row, the later one is right (an episode can be closed after its row was written).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.files import TEMPORARY, check_version, flush, verify, verify_size, write_tensors
from hakisa_algos.data.packing import check_shape, is_packable, pack, unpack
from hakisa_algos.errors import CheckpointError
from hakisa_algos.policy.observations import unkeyed

FORMAT, VERSION = "hakisa-rows", 1
SEGMENTS = "rows_"  # how the names of their files begin
_PACKED = "packed."
_FIX = "restore it from a backup, load another checkpoint, or leave its folder out"

# What all rows of a series have in common, as JSON: observation, action, stack, num_envs, columns.
Layout = Mapping[str, Any]


def make_layout(
    observation: spaces.Space[Any] | None,
    action: spaces.Space[Any] | None,
    stack: FrameStack | None,
    num_envs: int,
    columns: Mapping[str, np.ndarray],
) -> Layout:
    """Describes rows: spaces, where they are known, and the stack, as stored; columns are ``[rows, num_envs, ...]``."""
    return {
        "observation": None if observation is None else describe(observation),
        "action": None if action is None else describe(action),
        "stack": None if stack is None else [stack.axis, stack.size, stack.padding],
        "num_envs": num_envs,
        "columns": {name: [str(column.dtype), list(column.shape[2:])] for name, column in columns.items()},
    }


def describe(space: spaces.Space[Any]) -> dict[str, Any]:
    """A space as JSON: equal for equal spaces, readable by people and programs."""
    if isinstance(space, spaces.Dict):
        return {"type": "Dict", "spaces": {key: describe(inner) for key, inner in space.items()}}
    said: dict[str, Any] = {"type": type(space).__name__}
    for name in ("shape", "dtype", "n", "start", "nvec", "sizes", "low", "high"):
        value = getattr(space, name, None)  # each kind of space has some of them
        if name == "dtype":
            said[name] = str(value)
        elif value is not None:
            array = np.asarray(value)
            # Bounds of pictures are the same number over and over.
            same = name in ("low", "high") and array.size and (array == array.flat[0]).all()
            said[name] = _plain((array.flat[0] if same else array).tolist())
    return said


def _plain(value: Any) -> Any:
    """JSON has no infinity."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def check_layout(where: Path, found: Layout, needed: Layout) -> None:
    """Refuses rows that cannot be read as, or together with, ``needed``, but for their number of columns."""
    for name in ("observation", "action", "stack"):
        if found[name] != needed[name] and not (name == "action" and None in (found[name], needed[name])):
            raise CheckpointError(
                f"{where} holds rows of {name} {found[name]}; needed is {needed[name]}: rows are read together only if "
                "spaces and stack are the same; leave its folder out, or use the env that it was written with"
            )
    for name, form in found["columns"].items():
        if form != needed["columns"].get(name, form):
            raise CheckpointError(
                f"{where} has the column {name!r} of (dtype, shape) {form}; needed is {needed['columns'][name]}; "
                "leave its folder out, or use the env and algorithm that it was written with"
            )


@dataclass(frozen=True)
class Segment:
    """One file, known by the document that lists it.

    Attributes:
        path: of the file.
        size: in bytes.
        sha256: of its content.
        first: number of its first row, counted since the start of what wrote it.
        rows: how many.
        layout: of the rows.
    """

    path: Path
    size: int
    sha256: str
    first: int
    rows: int
    layout: Layout

    @property
    def end(self) -> int:
        """Number of the row after its last one."""
        return self.first + self.rows

    def look(self) -> None:
        """Reads nothing of it; a CheckpointError if it is missing or cut short."""
        verify_size(self.path, self.size, _FIX)

    def open(self) -> Mapping[str, np.ndarray]:
        """Its arrays, mapped into memory, after one pass over the file that verifies it; packed ones only when asked.

        Raises:
            CheckpointError: it is missing, truncated, altered, foreign or of a newer version.
        """
        self.look()
        try:
            with safe_open(self.path, "pt") as file:
                said = json.loads((file.metadata() or {})["hakisa"])
                check_version(self.path, said.get("format"), said.get("version"), FORMAT, VERSION)
                verify(self.path, self.size, self.sha256, _FIX)
                # PyTorch's, which are mapped; NumPy's would be read.
                arrays = {name: file.get_tensor(name).numpy() for name in file.keys()}  # noqa: SIM118 (no mapping)
                shapes = said.get("packed", {})
                packed = {n.removeprefix(_PACKED): (a, shapes[n]) for n, a in arrays.items() if n.startswith(_PACKED)}
                for _, shape in packed.values():
                    check_shape(shape)
                return _Arrays(self.path, {n: a for n, a in arrays.items() if not n.startswith(_PACKED)}, packed)
        except (SafetensorError, ValueError, KeyError, AttributeError, TypeError, OSError) as error:
            raise _broken(self.path, error) from error

    def link_into(self, folder: Path) -> Segment:
        """The same segment in ``folder``, which costs no space where the file system can link."""
        if self.path.parent == folder:
            return self
        path = folder / self.path.name
        try:
            path.hardlink_to(self.path)
        except FileExistsError:
            pass  # names are never used twice
        except OSError:  # another file system, or one that has no links
            if not self.path.is_file():
                raise CheckpointError(f"{self.path} is missing, so its rows cannot be saved again; {_FIX}") from None
            temporary = folder / f"{TEMPORARY}{path.name}"
            shutil.copyfile(self.path, temporary)
            flush(temporary)
            os.replace(temporary, path)
        return replace(self, path=path)


class _Arrays(Mapping[str, np.ndarray]):
    """Arrays of one file by name. What is packed, such as parts of frames that only some look at, stays so until it is
    asked for; columns, which their reader holds whole, are unpacked anew each time.
    """

    def __init__(self, path: Path, plain: dict[str, np.ndarray], packed: dict[str, tuple[np.ndarray, Any]]) -> None:
        self._path, self._plain, self._packed = path, plain, packed
        self.unpacked_bytes = sum(math.prod(shape) for name, (_, shape) in packed.items() if not _is_column(name))

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self._plain:
            return self._plain[name]
        try:
            array = unpack(*self._packed[name])
        except ValueError as error:
            raise _broken(self._path, error) from error
        if not _is_column(name):
            self._plain[name] = array
        return array

    def __iter__(self) -> Iterator[str]:
        return iter({**self._plain, **self._packed})

    def __len__(self) -> int:
        return len({**self._plain, **self._packed})


def _is_column(name: str) -> bool:
    return name.startswith("column.")


def unpacked_bytes(arrays: Mapping[str, np.ndarray]) -> int:
    """What the observations of a file that was opened take in memory, once all are read; those that are mapped: 0."""
    return arrays.unpacked_bytes if isinstance(arrays, _Arrays) else 0


def _broken(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is not a segment of rows ({type(error).__name__}: {error}); it was changed, damaged or written by "
        f"something else; {_FIX}"
    )


@dataclass(frozen=True)
class Series:
    """Consecutive segments of one buffer, oldest first."""

    segments: tuple[Segment, ...]

    @property
    def layout(self) -> Layout:
        """Of its rows."""
        return self.segments[0].layout

    @property
    def num_envs(self) -> int:
        """Columns."""
        return int(self.layout["num_envs"])

    @property
    def first(self) -> int:
        """Number of its first row."""
        return self.segments[0].first

    @property
    def end(self) -> int:
        """Number of the row after its last one."""
        return self.segments[-1].end


def write_segment(
    folder: Path, first: int, tensors: Mapping[str, Tensor], layout: Layout, packed: bool = False
) -> Segment:
    """Writes a new segment, ``tensors`` as the head of this file says, under a name that no other one ever has.

    ``packed`` makes it small (see :mod:`.packing`).
    """
    rows = len(tensors["column.age"]) - 1
    large = [name for name, tensor in tensors.items() if packed and is_packable(tensor.numpy())]
    shapes = {_PACKED + name: list(tensors[name].shape) for name in large}
    tensors = {
        **{name: tensor for name, tensor in tensors.items() if name not in large},
        **{_PACKED + name: torch.from_numpy(pack(tensors[name].numpy())) for name in large},
    }
    path = folder / f"{SEGMENTS}{first:012d}_{uuid.uuid4().hex[:12]}.safetensors"
    said = {"format": FORMAT, "version": VERSION, "first": first, "rows": rows, "packed": shapes, **layout}
    facts = write_tensors(path, tensors, {"hakisa": json.dumps(said, allow_nan=False)})
    return Segment(path, facts["size"], facts["sha256"], first, rows, layout)


def tensor_name(kind: str, key: str) -> str:
    """Of a tensor in a segment: ``kind``, or for an entry of a Dict observation ``kind.key``."""
    return f"{kind}.{key}" if key else kind


def finals(arrays: Mapping[str, np.ndarray]) -> dict[int, Any]:
    """The final observations in a segment, by ``row * num_envs + env``."""
    keyed = {name.partition(".")[2]: arrays[name] for name in arrays if name.partition(".")[0] == "final"}
    found = {}
    for index, position in enumerate(arrays["final_position"].tolist() if keyed else ()):
        found[position] = unkeyed({key: array[index] for key, array in keyed.items()})
    return found


# What a document says of a segment besides its file.
_LISTED = ("size", "sha256", "first", "rows")


def to_json(series: Sequence[Series], folder: Path) -> list[dict[str, Any]]:
    """Series as a document in ``folder`` lists them; all their files lie in it."""

    def listed(segment: Segment) -> dict[str, Any]:
        file = segment.path.relative_to(folder).as_posix()
        return {"file": file} | {name: getattr(segment, name) for name in _LISTED}

    return [{**one.layout, "segments": [listed(segment) for segment in one.segments]} for one in series]


def from_json(listed: Sequence[Mapping[str, Any]], folder: Path) -> list[Series]:
    """What :func:`to_json` gave; no file is looked at."""
    found = []
    for one in listed:
        layout = {name: value for name, value in one.items() if name != "segments"}
        for name in (each["file"] for each in one["segments"]):
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise CheckpointError(f"{folder} lists the segment {name!r}, which lies outside of it; it is not ours")
        facts = [{name: each[name] for name in _LISTED} | {"path": folder / each["file"]} for each in one["segments"]]
        found.append(Series(tuple(Segment(layout=layout, **fact) for fact in facts)))
    return found
