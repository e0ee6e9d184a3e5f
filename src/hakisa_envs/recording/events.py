"""What a person does, event by event, as it is kept in ``events.jsonl``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Of a person's hand: a key or button goes down or up, the pointer or the mouse moves, the wheel turns.
PRESS, RELEASE, MOTION, WHEEL = "press", "release", "motion", "wheel"
# Of the recording: whatever was down is let go of and nothing is known of what follows, until "on"; an episode begins
# (all keys are up for the game), ends, or was bad; the recorder was stopped for a while; the kill chord ended it.
GAP, ON, BEGIN, END, BAD, PAUSE, RESUME, KILL = "gap", "on", "begin", "end", "bad", "pause", "resume", "kill"
HOST = "host"  # the name of gaps in which keys do not reach the display that the game is on
# Of the game's window and keyboard: for whoever looks at a recording.
GEOMETRY, LAYOUT = "geometry", "layout"
KINDS = (PRESS, RELEASE, MOTION, WHEEL, GAP, ON, BEGIN, END, BAD, PAUSE, RESUME, KILL, GEOMETRY, LAYOUT)


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        t_ns: when, on the clock of the frames (`time.monotonic_ns`).
        kind: one of `KINDS`.
        name: the key's or button's name in the profile, or why there is a gap.
        place: of the pointer in the client area, in pixels; None if that is not known.
        by: how far the pointer was moved, which is accelerated; for a wheel ``(0, notches)``, up is positive.
        raw: how far the mouse was moved, before any acceleration.
        script: pressed by the game's scripts and not by the person; it never becomes an action.
    """

    t_ns: int
    kind: str
    name: str = ""
    place: tuple[int, int] | None = None
    by: tuple[float, float] = (0.0, 0.0)
    raw: tuple[float, float] = (0.0, 0.0)
    script: bool = False

    def to_json(self) -> dict[str, Any]:
        """What says something, as one line holds it."""
        said: dict[str, Any] = {"t": self.t_ns, "kind": self.kind}
        if self.name:
            said["name"] = self.name
        if self.place is not None:
            said["place"] = list(self.place)
        for name, moved in (("by", self.by), ("raw", self.raw)):
            if any(moved):
                said[name] = list(moved)
        return said | ({"script": True} if self.script else {})

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Event:
        """What `to_json` gave.

        Raises:
            ValueError: If it is something else.
        """
        try:
            t, kind, place = said["t"], said["kind"], said.get("place")
            by, raw = (tuple(said.get(name, (0.0, 0.0))) for name in ("by", "raw"))
            numbers = [t, *by, *raw, *(place or ())]
            pairs = len(by) == len(raw) == 2 and (place is None or len(place) == 2)
            if kind not in KINDS or not pairs or not all(type(n) in (int, float) for n in numbers):
                raise ValueError(f"{said!r} is no event of a recording")
            where = None if place is None else (int(place[0]), int(place[1]))
            return cls(int(t), kind, str(said.get("name", "")), where, by, raw, said.get("script") is True)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"{said!r} is no event of a recording ({error!r})") from error


def steps(events: Iterable[Event], times: Iterable[int]) -> Iterator[list[Event]]:
    """The events of each step: those in ``[times[i], times[i + 1])``; earlier and later ones are left out.

    Args:
        events: In order.
        times: Of the frames, one more than there are steps.
    """
    edges = list(times)
    binned: list[list[Event]] = [[] for _ in edges[1:]]
    i = 0
    for event in events:
        while i < len(binned) and event.t_ns >= edges[i + 1]:
            i += 1
        if i == len(binned):
            break
        if event.t_ns >= edges[i]:
            binned[i].append(event)
    yield from binned
