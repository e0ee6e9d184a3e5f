"""Looks at a recording: statistics, and one HTML page that shows pictures and actions side by side."""

from __future__ import annotations

import base64
import html
import itertools
import struct
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.data.lessons import DROPPED, HELD_OUT
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.policy.observations import keyed
from hakisa_algos.stages.recording import FACTS, Recording
from hakisa_envs.recording.events import BEGIN, END, PAUSE, PRESS, RELEASE, RESUME, Event
from hakisa_envs.recording.inverse import Rules, infer

SHEET = 48  # pictures of the contact sheet
_COLOURS = ("#b9c0c8", "#2f6fb0", "#c2571a", "#3c8d4f", "#8e4fa8", "#a8893c", "#4fa8a0", "#b04f6f")


@dataclass(frozen=True)
class Statistics:
    """What a recording holds.

    Attributes:
        rows: Transitions.
        minutes: Of play, pauses left out.
        episodes: Begun.
        rewards: Of each episode.
        learned: Rows that can be learned from, those left out not counted.
        dropped, held_out: Rows that are marked.
        gaps: Rows of which it is not known what the player did.
        late: Deadlines that were missed.
        commands: How often each was given.
        presses: How often each key and button went down, and how long it was held in the middle, in milliseconds.
        unsaid: What one command could not say, by kind.
        bytes_a_minute: Of all files but the video.
    """

    rows: int
    minutes: float
    episodes: int
    rewards: tuple[float, ...]
    learned: int
    dropped: int
    held_out: int
    gaps: int
    late: int
    commands: dict[str, int]
    presses: dict[str, tuple[int, float]]
    unsaid: dict[str, int]
    bytes_a_minute: float

    @classmethod
    def of(cls, recording: Recording) -> Statistics:
        """Of one recording."""
        facts, marks = recording.facts, recording.marks
        transition, learned = recording.column("transition"), recording.column("learned")
        names = facts.get("commands", [])
        command = recording.column("action").reshape(len(transition), -1)[:, 0]
        count = Counter(command[transition & learned].tolist())
        t = recording.column("t_ns")
        played_ns = sum(int(t[one.stop - 1] - t[one.start]) for one in recording.episodes)
        minutes = (played_ns - _paused_ns(recording.events)) / 6e10
        columns = recording.rows.layout["columns"]
        gap = recording.column("gap")[transition].sum() if "gap" in columns else 0
        late = recording.column("late").sum() if "late" in columns else 0
        reward = recording.column("reward")
        size = sum(path.stat().st_size for path in recording.path.iterdir() if path.suffix != ".mp4")
        return cls(
            int(transition.sum()),
            minutes,
            len(recording.episodes),
            tuple(float(reward[episode].sum()) for episode in recording.episodes),
            int((transition & learned & ~marks[DROPPED]).sum()),
            int((transition & marks[DROPPED]).sum()),
            int((transition & marks[HELD_OUT]).sum()),
            int(gap),
            int(late),
            {names[c] if c < len(names) else str(c): n for c, n in sorted(count.items())},
            _presses(recording),
            unsaid(recording),
            size / max(minutes, 1e-9),
        )

    def lines(self) -> list[str]:
        """In words."""
        returns = np.array(self.rewards or (np.nan,))
        commands = ", ".join(f"{name} {n:,}" for name, n in self.commands.items())
        said = [
            f"{self.rows:,} rows, {self.minutes:.1f} minutes, {self.episodes} episodes",
            f"return of an episode: mean {returns.mean():.4g}, from {returns.min():.4g} to {returns.max():.4g}",
            f"to learn from: {self.learned:,} rows; left out {self.dropped:,}, held out {self.held_out:,}",
            f"without the focus: {self.gaps:,} rows; deadlines missed: {self.late:,}",
            f"commands: {commands or 'none'}",
            f"{self.bytes_a_minute / 1e6:.2f} MB a minute without the video",
        ]
        for name, (n, ms) in self.presses.items():
            said.append(f"{name}: pressed {n:,} times, held {ms:.0f} ms in the middle")
        said += [f"{n:,} x {kind}: what one command cannot say" for kind, n in self.unsaid.items()]
        return said


def _paused_ns(events: Iterable[Event]) -> int:
    """How long it was paused within episodes."""
    total, since = 0, None
    for event in events:
        if event.kind == PAUSE:  # twice before an episode begins: it goes on
            since = event.t_ns if since is None else None
        elif since is not None and event.kind == BEGIN:
            since = event.t_ns
        elif since is not None and event.kind in (RESUME, END):
            total, since = total + event.t_ns - since, None
    return total


def _presses(recording: Recording) -> dict[str, tuple[int, float]]:
    down: dict[str, int] = {}
    held: dict[str, list[float]] = {}
    for event in recording.events:
        if event.script:
            continue
        if event.kind == PRESS:
            down.setdefault(event.name, event.t_ns)
        elif event.kind == RELEASE and event.name in down:
            held.setdefault(event.name, []).append((event.t_ns - down.pop(event.name)) / 1e6)
    return {name: (len(times), float(np.median(times))) for name, times in sorted(held.items())}


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


def unsaid(recording: Recording) -> dict[str, int]:
    """What one command could not say, by kind, found anew from the events."""
    rules, counts = rules_of(recording), Counter[str]()
    if rules is None:
        return {}
    t = recording.column("t_ns")
    for episode in recording.episodes:
        times = t[episode]
        if len(times) > 1:
            events = [e for e in recording.events if times[0] <= e.t_ns < times[-1] + rules.short_ns]
            counts += infer(events, times.tolist(), rules)[1]
    return dict(sorted(counts.items()))


def parse_ranges(words: Iterable[str], recording: Recording) -> list[tuple[int, int]]:
    """Rows that somebody named: ``"3"`` is the fourth episode, ``"120:300"`` are rows.

    Raises:
        ConfigError: something else, or what is not there.
    """
    found, episodes, rows = [], recording.episodes, len(recording.position)
    for word in words:
        first, colon, last = word.partition(":")
        try:
            if not colon:
                episode = episodes[int(first)] if int(first) >= 0 else None
                if episode is None:
                    raise IndexError
                found.append((episode.start, episode.stop))
                continue
            begin, end = int(first or 0), int(last or rows)
            if not 0 <= begin < end <= rows:
                raise IndexError
            found.append((begin, end))
        except (ValueError, IndexError):
            raise ConfigError(
                f"{word!r} must be the number of an episode, 0 to {len(episodes) - 1}, or rows as FIRST:LAST, 0:{rows}"
            ) from None
    return found


def write_page(recording: Recording, path: Path, statistics: Statistics) -> None:
    """One HTML page that needs nothing else: figures, a contact sheet, and of each episode its actions in time."""
    facts = recording.facts
    title = f"{html.escape(str(facts['name']))}, {html.escape(str(facts.get('recorded', '')))}"
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in statistics.lines())
    legend = "".join(
        f"<span><i style='background:{_COLOURS[i % len(_COLOURS)]}'></i>{html.escape(str(name))}</span> "
        for i, name in enumerate(facts.get("commands", []))
    )
    tracks = "".join(_track(recording, number, episode) for number, episode in enumerate(recording.episodes))
    path.write_text(
        f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }}
figure {{ display: inline-block; margin: 2px; font-size: 11px }} img {{ image-rendering: pixelated; display: block }}
svg {{ width: 100%; height: 34px; display: block }} i {{ display: inline-block; width: 1em; height: 1em }}
.dropped {{ opacity: .3 }} h3 {{ margin: .8rem 0 0; font-size: 14px }}
.strip img {{ display: inline-block; margin: 1px }}
</style><h1>{title}</h1><ul>{lines}</ul><p>{legend}</p>
<h2>Contact sheet</h2>{_sheet(recording)}<h2>Episodes</h2>{tracks}</html>""",
        encoding="utf-8",
    )


def _sheet(recording: Recording) -> str:
    rows = np.unique(np.linspace(0, max(len(recording.position) - 1, 0), SHEET).astype(int))
    return "".join(
        f"<figure>{_image(recording, int(row))}row {row}</figure>" for row in rows if len(recording.position)
    )


def _track(recording: Recording, number: int, episode: slice) -> str:
    """Pictures of an episode in a row, and below them the commands as they were given."""
    command = recording.column("action").reshape(len(recording.position), -1)[episode, 0]
    marks = recording.marks
    dropped = bool(marks[DROPPED][episode].all())
    word = ", left out" if dropped else ", held out" if marks[HELD_OUT][episode].any() else ""
    total = float(recording.column("reward")[episode].sum())
    edges = [0, *(np.flatnonzero(np.diff(command)) + 1).tolist(), len(command)]
    bars = "".join(
        f"<rect x='{a}' width='{b - a}' y='0' height='10' fill='{_COLOURS[int(command[a]) % len(_COLOURS)]}'/>"
        for a, b in itertools.pairwise(edges)
        if b > a
    )
    shown = np.unique(np.linspace(episode.start, episode.stop - 1, 12).astype(int))
    strip = "".join(_image(recording, int(row)) for row in shown)
    return (
        f"<section class='{'dropped' if dropped else ''}'><h3>episode {number}: rows {episode.start} to "
        f"{episode.stop - 1}, return {total:.4g}{word}</h3><div class='strip'>{strip}</div>"
        f"<svg viewBox='0 0 {max(len(command), 1)} 10' preserveAspectRatio='none'>{bars}</svg></section>"
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
