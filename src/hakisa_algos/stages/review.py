"""Looks at a recording: what it holds, in figures and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hakisa_algos.data.lessons import DROPPED, HELD_OUT
from hakisa_algos.errors import ConfigError
from hakisa_algos.stages.action_names import ActionNames
from hakisa_algos.stages.recording import Recording, rules_of
from hakisa_envs.recording.events import BEGIN, END, PAUSE, PRESS, RELEASE, RESUME, Event
from hakisa_envs.recording.inverse import infer

_TOLD = 12  # kinds of actions that are named, the commonest; the rest is said in one number


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
        commands: How often each action was done, the commonest first; those at places by their command alone.
        places: Of each command that has places, how often each of them was meant.
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
    places: dict[str, Counter[str]]
    presses: dict[str, tuple[int, float]]
    unsaid: dict[str, int]
    bytes_a_minute: float

    @classmethod
    def of(cls, recording: Recording) -> Statistics:
        """Of one recording."""
        marks = recording.marks
        transition, learned = recording.column("transition"), recording.column("learned")
        count = ActionNames.of(recording).count(recording.column("action")[transition & learned])
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
            {label: places.total() for label, places in count.items()},
            {label: places for label, places in count.items() if "" not in places},
            _presses(recording),
            unsaid(recording),
            size / max(minutes, 1e-9),
        )

    def lines(self) -> list[str]:
        """In words."""
        returns = np.array(self.rewards or (np.nan,))
        each = list(self.commands.items())
        commands = ", ".join(f"{name} {n:,}" for name, n in each[:_TOLD])
        if len(each) > _TOLD:
            commands += f", {len(each) - _TOLD} others {sum(n for _, n in each[_TOLD:]):,}"
        said = [
            f"{self.rows:,} rows, {self.minutes:.1f} minutes, {self.episodes} episodes",
            f"return of an episode: mean {returns.mean():.4g}, from {returns.min():.4g} to {returns.max():.4g}",
            f"to learn from: {self.learned:,} rows; left out {self.dropped:,}, held out {self.held_out:,}",
            f"without the focus: {self.gaps:,} rows; deadlines missed: {self.late:,}",
            f"commands: {commands or 'none'}",
            f"{self.bytes_a_minute / 1e6:.2f} MB a minute without the video",
        ]
        for name, places in self.places.items():
            (most, n), *_ = places.most_common(1)
            said.append(f"{name}: at {len(places):,} places, most often at {most} ({n:,} times)")
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
