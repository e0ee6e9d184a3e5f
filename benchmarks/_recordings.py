"""A recording whose actions say nothing: the same pictures and rewards, with actions shuffled within each episode."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np

from hakisa_algos.data.dataset import copy_rows
from hakisa_algos.data.segments import Segment, Series
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.learners.demonstrations import HeldSegment
from hakisa_algos.stages.recording import EVENTS, FACTS, MARKS, Recording


def shuffled(source: Path, folder: Path, seed: int = 0) -> Path:
    """Writes one, unless it lies there; its events are still those of the source.

    Args:
        source: A recording.
        folder: For the new one.
        seed: Of the order of the actions.
    """
    if folder.exists():
        return folder
    recording = Recording.open(source)
    order, rng = np.arange(recording.rows.rows), np.random.default_rng(seed)
    for episode in recording.episodes:
        rows = np.arange(episode.start, episode.stop)
        # The row after an episode's last one has no action; rows of which none is known stay as they are.
        rows = rows[recording.column("transition")[rows] & recording.column("learned")[rows]]
        order[rows] = rng.permutation(rows)
    action = recording.rows.take("action", order)
    (one,) = recording.rows.series
    half = folder.with_name(f"half-{folder.name}")
    shutil.rmtree(half, ignore_errors=True)
    half.parent.mkdir(parents=True, exist_ok=True)
    segments = tuple(_with_actions(segment, action[segment.first - one.first :]) for segment in one.segments)
    copy_rows(half, StoredRows([Series(segments)]))
    for name in (FACTS, EVENTS, MARKS):
        if (source / name).exists():
            shutil.copy(source / name, half / name)
    half.rename(folder)
    return folder


def _with_actions(segment: Segment, action: np.ndarray) -> HeldSegment:
    """The rows of a segment with the first of these actions."""
    arrays = dict(segment.open()) | {"column.action": action[: segment.rows, None]}
    facts = {field.name: getattr(segment, field.name) for field in dataclasses.fields(Segment)}
    return HeldSegment(**facts, arrays=arrays)
