"""Writes the rows of a buffer to the disk, and opens folders of them as one view.

    from hakisa_algos.data.dataset import open_rows, write_rows

    write_rows("recordings/monday", buffer)                          # again: appends what is new
    rows = open_rows("recordings/monday", "recordings/tuesday")      # one view, whatever their numbers of columns

A folder holds segments (see :mod:`.segments`) and ``index.json``, which lists them and is replaced last.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hakisa_algos.data.files import TEMPORARY, flush, read_document, write_document
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.segments import (
    SEGMENTS,
    Layout,
    Segment,
    Series,
    check_layout,
    from_json,
    to_json,
    write_segment,
)
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.errors import CheckpointError

INDEX, _FORMAT, _VERSION = "index.json", "hakisa-dataset", 1
# Large enough for disks, small enough to be copied in a few milliseconds.
_SEGMENT_BYTES = 16 << 20


class Snapshot:
    """The newest rows of a buffer as they are now, to be written while the buffer goes on.

    Rows that are on the disk already are not written again, but for the last one of them, which may have been closed
    since. The oldest and the newest of the others are copied at once, so that the buffer hardly ever has to wait: it
    does so before it overwrites a row that is neither copied nor written.

    ``rows`` is how many must be readable again, of a buffer that has some; the folder that they are written to exists;
    ``packed`` makes them small (see :mod:`.packing`).
    """

    def __init__(self, buffer: RolloutBuffer, rows: int, folder: Path, packed: bool = False) -> None:
        guard = buffer.guard
        if guard is not None:
            guard(buffer.rows)  # another snapshot is being written
        self._buffer = buffer
        self._layout = buffer.layout
        self._final = dict(buffer._final)
        first = max(0, max(buffer.oldest, buffer.rows - rows) - buffer.history)
        self._folder, self._packed = folder, packed
        others = (segments for other, segments in buffer.segments.items() if other != folder)
        known = [_useful(segments, first, self._layout) for segments in (buffer.segments.get(folder, ()), *others)]
        self._stored: list[Segment] = next(filter(None, known), [])
        begin = self._stored[-1].end - 1 if self._stored else first
        row_bytes = buffer.nbytes / (buffer.capacity + buffer.history + 1)
        step = max(1, int(_SEGMENT_BYTES / row_bytes))
        self._chunks = [(at, min(step, buffer.rows - at)) for at in range(begin, buffer.rows, step)]
        self._copies = {chunk: buffer.copy(*chunk, self._final) for chunk in {self._chunks[0], self._chunks[-1]}}
        self._safe = begin  # rows before this one may be overwritten
        self._progress = threading.Condition()
        self._advance(0)
        buffer.guard = self._wait

    def write(self) -> Series:
        """Writes what is not on the disk, links what is, and returns both; afterwards nothing waits any more."""
        folder = self._folder
        try:
            segments = [segment.link_into(folder) for segment in self._stored]
            for number, chunk in enumerate(self._chunks):
                tensors = self._copies.pop(chunk, None) or self._buffer.copy(*chunk, self._final)
                self._advance(number + 1)
                segments.append(write_segment(folder, chunk[0], tensors, self._layout, self._packed))
        finally:
            self.release()
        return Series(tuple(segments))

    def found_in(self, series: Series) -> None:
        """Tells the buffer that its rows are on the disk; what was written is to be kept."""
        self._buffer.segments[self._folder] = series.segments

    def release(self) -> None:
        """Lets the buffer overwrite everything."""
        self._copies.clear()
        self._advance(len(self._chunks))
        if self._buffer.guard == self._wait:
            self._buffer.guard = None

    def _advance(self, number: int) -> None:
        """Chunks before ``number`` are not needed any more, nor are those after it that are copied."""
        while number < len(self._chunks) and self._chunks[number] in self._copies:
            number += 1
        with self._progress:
            self._safe = self._chunks[number][0] if number < len(self._chunks) else self._buffer.rows + (1 << 62)
            self._progress.notify_all()

    def _wait(self, row: int) -> None:
        if row >= self._safe:
            with self._progress:
                self._progress.wait_for(lambda: row < self._safe)


def _useful(segments: Sequence[Segment], first: int, layout: Layout) -> list[Segment]:
    """Those that hold all rows from ``first`` to the end of the last one, or none."""
    useful = [s for s in segments if s.end > first and s.layout == layout and s.path.is_file()]
    whole = bool(useful) and useful[0].first <= first
    whole = whole and all(later.first <= earlier.end for earlier, later in itertools.pairwise(useful))
    return useful if whole else []


def write_rows(folder: Path | str, buffer: RolloutBuffer, rows: int | None = None) -> None:
    """Writes rows into a folder, which is made if need be; rows that are in it stay, and only new ones are added.

    Args:
        folder: of a dataset.
        buffer: where the rows are; call again before it has forgotten any that you want. A row that is not the next one
            of those in the folder begins a series of its own.
        rows: how many of the newest; default all.

    Raises:
        CheckpointError: the folder holds rows of another env, or is damaged.
        OSError: the disk failed; the folder is as it was.
    """
    folder = Path(folder)
    if buffer.rows == buffer.oldest:
        return
    listed = list_series(folder) if (folder / INDEX).exists() else []
    if listed:
        check_layout(folder, buffer.layout, listed[0].layout)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{TEMPORARY}*"):
        leftover.unlink()
    before = set(folder.iterdir())
    try:
        snapshot = Snapshot(buffer, buffer.capacity if rows is None else rows, folder)
        series = snapshot.write()
        known = {segment.sha256: segment for segment in (listed[-1].segments if listed else ())}
        if any(segment.sha256 in known for segment in series.segments):
            series = Series((*known.values(), *(s for s in series.segments if s.sha256 not in known)))
            listed.pop()
        flush(folder)
        write_document(folder / INDEX, _FORMAT, _VERSION, {"series": to_json([*listed, series], folder)})
    except BaseException:
        for path in set(folder.iterdir()) - before:  # a full disk should not stay full
            path.unlink()
        raise
    snapshot.found_in(series)


def copy_rows(folder: Path, rows: StoredRows) -> None:
    """Writes stored rows, files or not, into a new folder; which is there whole or not at all."""
    temporary = folder.with_name(TEMPORARY + folder.name)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    copied = [Series(tuple(_copied(segment, temporary) for segment in one.segments)) for one in rows.series]
    flush(temporary)
    write_document(temporary / INDEX, _FORMAT, _VERSION, {"series": to_json(copied, temporary)})
    os.replace(temporary, folder)
    flush(folder.parent)


def _copied(segment: Segment, folder: Path) -> Segment:
    if type(segment) is Segment:
        return segment.link_into(folder)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in segment.open().items()}
    return write_segment(folder, segment.first, tensors, segment.layout, packed=True)


class RowAppender:
    """Writes a buffer's rows into a folder of its own, beside whoever fills the buffer, little by little.

    What was written is there whatever happens afterwards: each time a segment is written, and then the index replaced.
    The newest segments, which are short, are written anew as one with what follows, as long as the buffer has their
    rows; else hours of rows would be thousands of files, and an index of them all would have to be written each time.

    Args:
        folder: of a new dataset; made if need be.
        buffer: where the rows are.
    """

    def __init__(self, folder: Path, buffer: RolloutBuffer) -> None:
        self._folder, self._buffer = folder, buffer
        self._thread = ThreadPoolExecutor(1, "rows")
        self._writing: Future[None] | None = None
        self._rows = 0
        row_bytes = buffer.nbytes / (buffer.capacity + buffer.history + 1)
        self._longest = max(1, min(buffer.capacity // 2, int(_SEGMENT_BYTES / row_bytes)))  # rows of a segment
        self._listed: set[Path] = set()  # by the index
        self._unlisted: set[Path] = set()  # any more; who has read the index before may still open them
        folder.mkdir(parents=True, exist_ok=True)

    def make_room(self) -> None:
        """Before a row is added: waits if it would take the place of one that is not being written yet."""
        if self._buffer.rows - self._rows >= self._buffer.capacity - 1:
            self.flush(wait=True)

    def flush(self, wait: bool = False) -> None:
        """Begins to write what is new, unless it is still at it; with ``wait`` all is on the disk afterwards.

        Raises:
            OSError: the disk failed, now or the time before.
        """
        if self._writing is not None and (wait or self._writing.done()):
            writing, self._writing = self._writing, None
            writing.result()
        if self._writing is None and self._buffer.rows > self._rows:
            self._rows = self._buffer.rows
            before = tuple(self._buffer.segments.get(self._folder, ()))
            self._buffer.segments[self._folder] = lasting = self._lasting(before)
            # Of all rows, so that the index lists all segments; those on the disk are not written again.
            snapshot = Snapshot(self._buffer, self._buffer.rows, self._folder, packed=True)
            writing = self._thread.submit(self._write, snapshot, lasting, before)
            if wait:
                writing.result()
            else:
                self._writing = writing

    def close(self) -> None:
        """Writes the rest; see :meth:`flush`."""
        try:
            self.flush(wait=True)
            self._remove_unlisted()
        finally:
            self._thread.shutdown()

    def _lasting(self, before: Sequence[Segment]) -> tuple[Segment, ...]:
        """The segments that stay as they are. Of those after them each is no longer than all that follows it."""
        segments = list(before)
        begin = segments[-1].end if segments else 0
        while segments and segments[-1].rows - 1 <= self._rows - begin:  # one row is in both of two neighbours
            first = segments[-1].first
            if first < self._buffer.oldest or self._rows - first > self._longest:
                break
            begin = first
            segments.pop()
        return tuple(segments)

    def _write(self, snapshot: Snapshot, lasting: tuple[Segment, ...], before: tuple[Segment, ...]) -> None:
        try:
            series = snapshot.write()
            flush(self._folder)
            series = Series((*(s for s in lasting if s.first < series.first), *series.segments))
            write_document(self._folder / INDEX, _FORMAT, _VERSION, {"series": to_json([series], self._folder)})
        except BaseException:  # what is listed still counts; a full disk should not stay full
            self._buffer.segments[self._folder], self._rows = before, before[-1].end if before else 0
            for path in set(self._folder.glob(f"{SEGMENTS}*")) - self._listed - self._unlisted:
                path.unlink()
            raise
        snapshot.found_in(series)
        self._remove_unlisted()
        listed = {segment.path for segment in series.segments}
        self._listed, self._unlisted = listed, self._listed - listed

    def _remove_unlisted(self) -> None:
        for path in self._unlisted:
            path.unlink(missing_ok=True)
        self._unlisted = set()


def open_rows(*folders: Path | str) -> StoredRows:
    """The rows of folders as one view; see :class:`hakisa_algos.data.stored.StoredRows`.

    Raises:
        CheckpointError: a folder is no dataset, or damaged, or they are of different spaces.
    """
    series = [one for folder in folders for one in list_series(Path(folder))]
    if not series:
        raise CheckpointError(
            f"no rows are in {', '.join(map(str, folders)) or 'no folder'}; pass folders that have some"
        )
    return StoredRows(series)


def list_series(folder: Path) -> list[Series]:
    """The series of a folder, as its index says; no other file is looked at.

    Raises:
        CheckpointError: it is no dataset, or damaged.
    """
    fix = "pass a folder that write_rows wrote, or restore it from a backup"
    document: Any = read_document(folder / INDEX, _FORMAT, _VERSION, fix)
    try:
        return from_json(document["series"], folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / INDEX} does not list segments ({error!r}); {fix}") from error
