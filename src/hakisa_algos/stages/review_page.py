"""One HTML page that shows the pictures and the actions of a recording side by side."""

from __future__ import annotations

import base64
import html
import itertools
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.data.lessons import DROPPED, HELD_OUT
from hakisa_algos.policy.observations import keyed
from hakisa_algos.stages.action_names import ActionNames
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.review import Statistics

SHEET = 48  # pictures of the contact sheet
_COLOURS = ("#b9c0c8", "#2f6fb0", "#c2571a", "#3c8d4f", "#8e4fa8", "#a8893c", "#4fa8a0", "#b04f6f")
_OTHER = "#22303c"


def write_page(recording: Recording, path: Path, statistics: Statistics) -> None:
    """One HTML page that needs nothing else: figures, a contact sheet, and of each episode its actions in time."""
    facts = recording.facts
    title = f"{html.escape(str(facts['name']))}, {html.escape(str(facts.get('recorded', '')))}"
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in statistics.lines())
    track = _Track(recording, statistics.commands)
    episodes = "".join(_episode(recording, track, number, rows) for number, rows in enumerate(recording.episodes))
    path.write_text(
        f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }}
figure {{ display: inline-block; margin: 2px; font-size: 11px }} img {{ image-rendering: pixelated; display: block }}
svg {{ width: 100%; height: 34px; display: block }} i {{ display: inline-block; width: 1em; height: 1em }}
.dropped {{ opacity: .3 }} h3 {{ margin: .8rem 0 0; font-size: 14px }} small {{ color: #7a8590 }}
.strip img {{ display: inline-block; margin: 1px }}
</style><h1>{title}</h1><ul>{lines}</ul><p>{track.legend()}</p>
<h2>Contact sheet</h2>{_sheet(recording)}<h2>Episodes</h2>{episodes}</html>""",
        encoding="utf-8",
    )


def _sheet(recording: Recording) -> str:
    rows = np.unique(np.linspace(0, max(len(recording.position) - 1, 0), SHEET).astype(int))
    return "".join(
        f"<figure>{_image(recording, int(row))}row {row}</figure>" for row in rows if len(recording.position)
    )


class _Track:
    """The actions of a recording as they were done in time, each kind in a colour; places below them, by their number.

    Rows that are not learned from are left blank: it is not known what was done in them, or no command says it.

    Args:
        recording: of which.
        commands: kinds of actions, the commonest first: these have colours of their own, and the rest shares one.
    """

    def __init__(self, recording: Recording, commands: Mapping[str, int]) -> None:
        names = ActionNames.of(recording)
        actions = recording.column("action").reshape(len(recording.position), -1)
        unique, index = np.unique(actions, axis=0, return_inverse=True)
        known = recording.column("transition") & recording.column("learned")
        self._index = np.where(known, index.reshape(-1), -1)
        self._labels = [names.label(action) for action in unique]
        places = [names.place_words(action) for action in unique]
        self._words = [f"{one} at {at}" if at else one for one, at in zip(self._labels, places, strict=True)]
        self._places = [names.place(action) for action in unique]
        self._sizes = [len(choices) for choices in names.heads().values()]
        told = list(commands)
        self._others = [] if len(told) <= len(_COLOURS) else told[len(_COLOURS) :]
        self._colours = dict(zip(told, _COLOURS, strict=False))

    def legend(self) -> str:
        """Which colour is which."""
        words = dict(self._colours)
        if self._others:
            words[f"other ({len(self._others)} kinds)"] = _OTHER
        return "".join(
            f"<span><i style='background:{colour}'></i> {html.escape(label)}</span> " for label, colour in words.items()
        )

    def draw(self, episode: slice) -> str:
        """The actions of an episode."""
        index = self._index[episode]
        edges = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), len(index)]
        runs = [(a, b, int(index[a])) for a, b in itertools.pairwise(edges) if b > a and index[a] >= 0]
        bars = "".join(self._bar(run, 0.0, 10.0) for run in runs)
        return _svg(len(index), bars) + self._strips(len(index), runs)

    def _bar(self, run: tuple[int, int, int], top: float, height: float) -> str:
        first, last, kind = run
        colour = self._colours.get(self._labels[kind], _OTHER)
        return (
            f"<rect x='{first}' width='{last - first}' y='{top:.3g}' height='{height:.3g}' "
            f"fill='{colour}'><title>{html.escape(self._words[kind])}</title></rect>"
        )

    def _strips(self, rows: int, runs: list[tuple[int, int, int]]) -> str:
        """For each part of places a strip, in which 0 is above."""
        strips = ""
        for head, size in enumerate(self._sizes):
            at = [(run, self._places[run[2]][head]) for run in runs if head in self._places[run[2]]]
            if at and size > 1:
                bars = "".join(self._bar(run, 10 * where / size, 10 / size) for run, where in at)
                strips += f"<small>places, argument {head}: 0 above, {size - 1} below</small>{_svg(rows, bars)}"
        return strips


def _svg(rows: int, bars: str) -> str:
    return f"<svg viewBox='0 0 {max(rows, 1)} 10' preserveAspectRatio='none'>{bars}</svg>"


def _episode(recording: Recording, track: _Track, number: int, rows: slice) -> str:
    """Pictures of an episode in a row, and below them what was done."""
    marks = recording.marks
    dropped = bool(marks[DROPPED][rows].all())
    word = ", left out" if dropped else ", held out" if marks[HELD_OUT][rows].any() else ""
    total = float(recording.column("reward")[rows].sum())
    shown = np.unique(np.linspace(rows.start, rows.stop - 1, 12).astype(int))
    strip = "".join(_image(recording, int(row)) for row in shown)
    return (
        f"<section class='{'dropped' if dropped else ''}'><h3>episode {number}: rows {rows.start} to "
        f"{rows.stop - 1}, return {total:.4g}{word}</h3><div class='strip'>{strip}</div>{track.draw(rows)}</section>"
    )


def _image(recording: Recording, row: int) -> str:
    picture = _picture(recording, row)
    if picture is None:
        return ""
    data = base64.b64encode(to_png(picture)).decode()
    return f"<img alt='row {row}' width='{max(picture.shape[1], 84)}' src='data:image/png;base64,{data}'>"


def _picture(recording: Recording, row: int) -> np.ndarray | None:
    """The newest frame that was seen then, uint8 ``[height, width]`` or ``[height, width, 3]``; None if it is none."""
    entries = keyed(recording.rows.observation(np.array([row])))
    array = next((e[0].numpy() for e in entries.values() if e.ndim == 4 and e.numpy().dtype == np.uint8), None)
    if array is None:
        return None
    stack: Any = recording.rows.layout["stack"]
    channels = len(array) // (stack[1] if stack else 1)
    newest = array[-channels:]
    return np.ascontiguousarray(np.moveaxis(newest[:3], 0, 2)) if channels >= 3 else newest[-1]


def to_png(picture: np.ndarray) -> bytes:
    """A PNG of uint8 ``[height, width]``, grey, or ``[height, width, 3]``, RGB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = picture.shape[:2]
    lines = b"".join(b"\0" + picture[y].tobytes() for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if picture.ndim == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
