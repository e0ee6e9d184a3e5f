"""Checkpoints: the whole training state on disk, whole or not at all.

    checkpoints/
        step_000001024/       tensors.safetensors  state.json
        step_000002048/
        rows/                 segments of the replay ring, see hakisa_algos.data.segments; shared by checkpoints
        latest                text: the folder name of the newest good one
        best                  text: likewise, of the best one

A checkpoint is written beside under a temporary name, flushed to the disk and renamed; only then is ``latest``
replaced, which is atomic: whenever the process or the machine dies, ``latest`` names a complete checkpoint. Rows that
are on the disk are not written again, and those that ``latest`` does not need go once it stands: an older checkpoint
has then lost its ring, and a run that goes on from it does not do so bit for bit. Nothing is pickled, and loading
cannot run code: safetensors, and JSON that decodes to plain types (see :mod:`.state_codec`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from hakisa_algos.data.dataset import Snapshot
from hakisa_algos.data.files import TEMPORARY, flush, read_document, verify, write_document, write_tensors, write_text
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.segments import Series, from_json, to_json
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.errors import CheckpointError
from hakisa_algos.training.run_folder import free_path
from hakisa_algos.training.state_codec import decode, encode

FORMAT, VERSION = "hakisa-checkpoint", 2

_TENSORS, _STATE, _ROWS = "tensors.safetensors", "state.json", "rows"
_NAME = re.compile(r"step_\d{9,}(-\d+)?")
# So many of the newest checkpoints stay, and the best besides.
_KEPT = 3


@dataclass(frozen=True)
class Checkpoint:
    """What was saved.

    Attributes:
        path: its folder.
        state: as it was given to :meth:`Checkpoints.save`, tensors on the CPU.
        series: of what the ring held, and of older rows; empty if there were none, or if they went with a newer one.
    """

    path: Path
    state: dict[str, Any]
    series: tuple[Series, ...]

    @property
    def rows(self) -> StoredRows | None:
        """Those rows, which are on the disk and not read yet; None if there are none.

        Raises:
            CheckpointError: a file is missing or cut short.
        """
        return StoredRows(self.series) if self.series else None


class Checkpoints:
    """Writes checkpoints into a folder, made if missing, beside the run: one process at a time may."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._writing: Future[None] | None = None

    def save(
        self,
        state: Mapping[str, Any],
        buffer: RolloutBuffer | None = None,
        rows: int = 0,
        *,
        stored: StoredRows | None = None,
        best: bool = False,
    ) -> Path:
        """Begins a new checkpoint, which becomes the latest one when it is complete; see :meth:`wait`.

        It is of the moment of this call: the run may go on at once. A buffer waits by itself, briefly and hardly ever,
        before it overwrites a row that is not written yet.

        Args:
            state: what :func:`hakisa_algos.training.state_codec.encode` takes. ``state["step"]``, an int >= 0, names
                the checkpoint.
            buffer: whose newest rows are saved with it.
            rows: how many of them must be readable again; 0 saves none.
            stored: rows on the disk that belong to it, too: older ones, or those of a checkpoint that was loaded. They
                are linked, not copied, where the file system can.
            best: it becomes the best one, too.

        Returns:
            The folder that it will be: ``step_000001024``, or ``step_000001024-2`` if that step was saved before.

        Raises:
            CheckpointError: the state holds something else; nothing was written.
            OSError: the disk failed, now or in the save before; what was the latest checkpoint still is.
        """
        self.wait()
        step = state.get("step")
        if type(step) is not int or step < 0:
            raise CheckpointError(f'state["step"] is {step!r}; it must be an int >= 0, to name the checkpoint; add it')
        tensors: dict[str, Tensor] = {}
        encoded = encode(state, tensors)
        self.folder.mkdir(parents=True, exist_ok=True)
        target = free_path(self.folder / f"step_{step:09d}")
        snapshot = None
        if buffer is not None and rows and buffer.rows > buffer.oldest:
            snapshot = Snapshot(buffer, rows, self.folder / _ROWS)
        series = stored.series if stored else ()
        thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing = thread.submit(self._write, target, encoded, tensors, series, snapshot, best)
        thread.shutdown(wait=False)  # it ends when that is written
        return target

    def wait(self) -> None:
        """Returns when what was saved is complete.

        Raises:
            CheckpointError, OSError: it could not be written; the checkpoint before it is still the latest one.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    close = wait  # it may be used again afterwards

    def _write(
        self,
        target: Path,
        encoded: Any,
        tensors: Mapping[str, Tensor],
        older: Sequence[Series],
        snapshot: Snapshot | None,
        best: bool,
    ) -> None:
        folder, rows = self.folder, self.folder / _ROWS
        temporary = folder / f"{TEMPORARY}{target.name}"
        try:
            for path in folder.glob(f"{TEMPORARY}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            _keep_segments(folder)
            rows.mkdir(exist_ok=True)
            series = [Series(tuple(segment.link_into(rows) for segment in one.segments)) for one in older]
            if snapshot:
                series.append(snapshot.write())
            flush(rows)
            temporary.mkdir()
            files = {_TENSORS: write_tensors(temporary / _TENSORS, tensors)}
            listed = {"files": files, "rows": to_json(series, folder), "state": encoded}
            write_document(temporary / _STATE, FORMAT, VERSION, listed)
            temporary.rename(target)
            flush(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)  # a full disk should not stay full
            _keep_segments(folder)
            raise
        finally:
            if snapshot:
                snapshot.release()
        for pointer in ("latest", "best") if best else ("latest",):
            write_text(folder / pointer, target.name + "\n")
        if snapshot:
            snapshot.found_in(series[-1])
        _keep_segments(folder)
        _prune(folder)


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Reads a checkpoint back; its rows are left on the disk until they are asked for.

    Args:
        folder: the ``checkpoints`` folder (its latest one is read), one checkpoint folder, or a pointer file
            such as ``checkpoints/best``.

    Raises:
        CheckpointError: there is none, or it is damaged, not ours, or from another version; says which file,
            what was found, and what to do.
    """
    path = find_checkpoint(Path(folder))
    document, fix = _read_state(path), _another(path)
    try:
        facts = document["files"][_TENSORS]
        verify(path / _TENSORS, facts["size"], facts["sha256"], fix)
        # Cloned, because load_file maps the file: a tensor must not change or vanish with it.
        loaded = safetensors.torch.load_file(path / _TENSORS)
        state = decode(document["state"], {name: tensor.clone() for name, tensor in loaded.items()})
        series = from_json(document["rows"], path.parent)
        if not isinstance(state, dict):
            raise TypeError(f"the state is a {type(state).__name__}, not a dict")
    except CheckpointError:
        raise
    except Exception as error:  # the checksums hold, so no checkpoint was written like this
        raise CheckpointError(
            f"{path} does not decode ({type(error).__name__}: {error}); a checkpoint is what Hakisa wrote, unedited; "
            f"{fix}"
        ) from error
    pointer = path.parent / "latest"
    latest = not pointer.is_file() or _read_pointer(pointer) == path.name
    there = all(segment.path.is_file() for one in series for segment in one.segments)
    # Of the latest one a missing file is damage, which StoredRows names; an older one has lost its rows by rule.
    return Checkpoint(path, state, tuple(series) if there or latest else ())


def is_empty(folder: Path) -> bool:
    """Whether a ``checkpoints`` folder, which need not be there, has none yet."""
    return not (folder / "latest").exists() and not _checkpoints(folder)


def find_checkpoint(folder: Path) -> Path:
    """The checkpoint folder that ``folder`` (see :func:`load_checkpoint`) stands for."""
    folder = Path(folder)
    if (folder / _STATE).exists() or _NAME.fullmatch(folder.name):
        checkpoint = folder
    else:
        pointer = folder / "latest" if folder.is_dir() else folder
        checkpoint = pointer.parent / _read_pointer(pointer)
    if not (checkpoint / _STATE).is_file():
        raise CheckpointError(
            f"{checkpoint / _STATE} is missing; every checkpoint has this file; {_another(checkpoint)}"
        )
    return checkpoint


def _read_pointer(pointer: Path) -> str:
    try:
        name = pointer.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"no checkpoint in {pointer.parent}: {pointer.name!r} cannot be read ({error}); a folder of "
            f"checkpoints has it after the first save; {_another(pointer)}"
        ) from error
    if not _NAME.fullmatch(name):  # also keeps "../.." from leading outside
        raise CheckpointError(
            f"{pointer} says {name[:60]!r}; it must name a checkpoint beside it, such as 'step_000001024'; "
            f"{_another(pointer)}"
        )
    return name


def _read_state(checkpoint: Path) -> dict[str, Any]:
    return read_document(checkpoint / _STATE, FORMAT, VERSION, _another(checkpoint))


def _another(near: Path) -> str:
    """The fix, in words: the other checkpoints that could be loaded instead."""
    others = [path for path in _checkpoints(near.parent) if path != near]
    if not others:
        return "there is no other checkpoint beside it: train again, or restore it from a backup"
    return f"load another one: {', '.join(str(path) for path in others[-3:])}"


def _checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders, oldest write first (not by step: a run may be resumed from before its latest)."""
    named = [path for path in folder.glob("step_*") if _NAME.fullmatch(path.name)]
    whole = [path for path in named if (path / _STATE).is_file()]
    return sorted(whole, key=lambda path: ((path / _STATE).stat().st_mtime_ns, path.name))


def _keep_segments(folder: Path) -> None:
    """Removes all segments but those of the latest checkpoint."""
    rows, pointer = folder / _ROWS, folder / "latest"
    needed: set[str] = set()
    if pointer.is_file():
        try:
            listed = _read_state(find_checkpoint(folder))["rows"]
        except CheckpointError:
            return  # whoever wants to know why loads it
        needed = {segment["file"] for one in listed for segment in one["segments"]}
    for path in rows.iterdir() if rows.is_dir() else ():
        if path.relative_to(folder).as_posix() not in needed:
            path.unlink()


def _prune(folder: Path) -> None:
    pointers = [path for path in (folder / "latest", folder / "best") if path.exists()]
    pointed = {path.read_text(encoding="utf-8").strip() for path in pointers}
    for path in _checkpoints(folder)[:-_KEPT]:
        if path.name not in pointed:
            # Renamed first: a kill in the middle of the removal must not leave half a checkpoint by its name.
            doomed = path.rename(folder / f"{TEMPORARY}old-{path.name}")
            shutil.rmtree(doomed)
