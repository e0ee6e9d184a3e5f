"""From what a person did to the actions that do the same: the inverse of `hakisa_envs.screen.actions.ActionMap`.

It is an inverse of *effects*, not of names: from the same keys down and the same place of the pointer, the action that
is found leaves the same presses, the same keys down and the pointer in the same cell. Each step has one command, and a
person does as much as they like in it. The rule:

1. With the command ``hold_only`` keys are *levels*: the step's key is the one that went down in it, else the one that
   was down for most of it; of several, the longest, and of equals the last pressed. None is ``release_all`` (or
   ``noop``, while nothing is held). A key that is up for half of a step or more and goes down again in the next step
   is up in the step of its release.
2. Otherwise a press whose release follows within `Rules.short_ns` is a ``tap``, at the step of its press, and its
   release is no action. A longer one is a ``hold``, and its release a ``release``. Where a profile lacks one of them
   the other stands in.
3. A press of a button is a click at its place, if the profile has one for that button and it is short; else it is a
   key like any other.
4. Of several things in a step the oldest is said first, and the rest in the steps after it, up to `LATE_STEPS` later;
   what is then still unsaid is dropped, but for keys that are still down, and the pointer: these are levels, and
   are set right as soon as a step is free.
5. The pointer's cell is said when nothing else is. Relative motion is the nearest of the profile's steps; the rest is
   carried over.

Everything that could not be said as it was is counted by kind (`Inverse.counts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hakisa_envs.recording.events import BEGIN, END, GAP, MOTION, PAUSE, PRESS, RELEASE, WHEEL, Event, steps

LATE_STEPS = 2
BUTTON = {"left": "button1", "middle": "button2", "right": "button3"}
CLICKS = {"button1": "left_click", "button3": "right_click"}


@dataclass(frozen=True)
class Rules:
    """What an inverse needs to know of a profile.

    Attributes:
        commands, keys, buttons, grid, steps: As in `hakisa_envs.screen.game.Actions`.
        area: Left, top, width and height of what the agent sees, in pixels of the client area.
        period_ns: Of a step.
        tap_ms: How long a tap lasts.
        raw_motion: Relative motion is the mouse's, before any acceleration.
    """

    commands: tuple[str, ...]
    keys: tuple[str, ...] = ()
    buttons: tuple[str, ...] = ()
    grid: tuple[int, int] = (1, 1)
    steps: tuple[int, ...] = ()
    area: tuple[int, int, int, int] = (0, 0, 1, 1)
    period_ns: int = 33_333_333
    tap_ms: float = 50.0
    raw_motion: bool = False

    @property
    def short_ns(self) -> int:
        """Up to which a press is a tap: what is longer than two taps and two steps is meant to be held."""
        return round(2 * max(self.tap_ms * 1e6, self.period_ns))

    @property
    def idle(self) -> str | None:
        """The command that does nothing, if there is one."""
        return next((c for c in ("noop", "release_all") if c in self.commands), None)

    def cell(self, place: tuple[int, int]) -> tuple[int, int]:
        """The cell of the grid that a pixel of the client area lies in; the nearest, if it lies outside."""
        left, top, width, height = self.area
        column = (place[0] - left) * self.grid[0] // max(width, 1)
        row = (place[1] - top) * self.grid[1] // max(height, 1)
        return min(max(column, 0), self.grid[0] - 1), min(max(row, 0), self.grid[1] - 1)

    @classmethod
    def of(cls, profile: Any, rate: float, area: tuple[int, int, int, int]) -> Rules:
        """Of a `hakisa_envs.screen.game.GameProfile`."""
        a = profile.actions
        names = ("commands", "keys", "buttons", "grid", "steps", "tap_ms", "raw_motion")
        return cls(**{n: getattr(a, n) for n in names}, area=area, period_ns=round(1e9 / rate))


@dataclass
class _Unsaid:
    """Something to be said by one command: what it is, and when it was done."""

    t_ns: int
    verb: str
    name: str = ""
    place: tuple[int, int] | None = None
    notches: int = 0
    age: int = 0


@dataclass(eq=False)
class Inverse:
    """Turns the events of one step after the other into actions; it carries what is down, and what is still unsaid.

    Args:
        rules: Of the profile.

    Attributes:
        down: Keys and buttons that the person holds, with the time of their press.
        held: Those that the actions so far have left down.
        cell: Where they have left the pointer.
        said: False where the last action says something that was not done, as the profile has no command that does
            nothing: it is not to be learned from.
        counts: What could not be said as it was, by kind: ``late``, ``dropped KIND``, ``two keys``, ``hold as tap``,
            ``tap as hold``, ``no command``, ``nothing to idle with``.
    """

    rules: Rules
    down: dict[str, int] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    cell: tuple[int, int] | None = None
    said: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    _pointer: tuple[int, int] | None = None
    _moved: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    _unsaid: list[_Unsaid] = field(default_factory=list)
    _length_ns: int = 0
    _taps: set[str] = field(default_factory=set)  # down, but only as a tap: not to be held

    def step(self, events: Sequence[Event], later: Sequence[Event], begin_ns: int, end_ns: int) -> NDArray[np.int64]:
        """The action of a step.

        Args:
            events: Of the step, in order.
            later: What comes after it, as far as it is known: up to `Rules.short_ns` is looked at.
            begin_ns, end_ns: When the step began and ended.
        """
        for thing in self._unsaid:
            thing.age += 1
        self._length_ns = end_ns - begin_ns  # a step that is late is longer
        spent = self._take(events, later, begin_ns, end_ns)
        while self._unsaid and self._unsaid[0].age > LATE_STEPS:
            self.counts[f"dropped {self._unsaid.pop(0).verb}"] += 1
        self.said = True
        action = self._say(spent)
        if action is None:
            self._cannot_idle()
        return np.zeros(3, np.int64) if action is None else action

    def _cannot_idle(self) -> None:
        self.said = False
        self.counts["nothing to idle with"] += 1

    def _take(
        self, events: Sequence[Event], later: Sequence[Event], begin_ns: int, end_ns: int
    ) -> tuple[dict[str, int], list[str]]:
        """Reads events; returns how long each key was down in the step, and which went down in it."""
        spent: Counter[str] = Counter()
        pressed: list[str] = []
        since = dict.fromkeys(self.down, begin_ns)
        for i, event in enumerate(events):
            if event.script:
                continue
            if event.place is not None and event.kind in (PRESS, RELEASE, MOTION, WHEEL):
                self._pointer = event.place
            if event.kind == PRESS and event.name not in self.down:  # repeated by the keyboard it is no press
                self.down[event.name] = event.t_ns
                since[event.name] = event.t_ns
                pressed.append(event.name)
                self._press(event, [*events[i + 1 :], *later])
            elif event.kind == RELEASE and event.name in self.down:
                down_ns = event.t_ns - since.pop(event.name)
                # The next step will say that it went down, so that it was up can be said in this one alone.
                if event.name in pressed or not self._is_up_between(event, later, end_ns):
                    spent[event.name] += down_ns
                self._let_go(event.name)
            elif event.kind in (GAP, PAUSE, BEGIN, END):
                for name in list(self.down):
                    spent[name] += event.t_ns - since.pop(name)
                    self._let_go(name)
                if event.kind in (BEGIN, END):  # the env itself lets go of everything
                    self.held.clear()
                    self._unsaid.clear()
            elif event.kind == MOTION:
                self._moved += event.raw if self.rules.raw_motion else event.by
            elif event.kind == WHEEL:
                self._wheel(event)
        for name, when in since.items():
            spent[name] += end_ns - when
        return dict(spent), pressed

    def _is_up_between(self, release: Event, later: Sequence[Event], end_ns: int) -> bool:
        """Whether the key goes down again in the next step, after it was up for half of a step or more."""
        return any(
            e.kind == PRESS
            and e.name == release.name
            and e.t_ns < end_ns + self._length_ns
            and 2 * (e.t_ns - release.t_ns) >= self._length_ns
            for e in later
        )

    def _press(self, event: Event, following: Iterable[Event]) -> None:
        name, commands = event.name, self.rules.commands
        short = any(
            e.kind in (RELEASE, GAP, PAUSE, END)
            and (e.name == name or e.kind != RELEASE)
            and e.t_ns - event.t_ns <= self.rules.short_ns
            for e in following
        )
        click = CLICKS.get(name)
        if name in BUTTON.values():
            tap, hold = "button_tap", "button_hold"
            if name not in {BUTTON[b] for b in self.rules.buttons}:
                tap = hold = ""
            if click in commands and (short or hold not in commands):
                self._taps.add(name)
                place = event.place or self._pointer or (0, 0)
                self._unsaid.append(_Unsaid(event.t_ns, str(click), name, place))
                self.counts["hold as tap"] += not short
                return
        else:
            tap, hold = "tap", "hold"
            if name not in self.rules.keys:
                tap = hold = ""
            elif "hold_only" in commands and not (tap in commands and short):
                return  # a level
        if tap in commands and (short or hold not in commands):
            self._taps.add(name)
            self._unsaid.append(_Unsaid(event.t_ns, tap, name, event.place or self._pointer))
            self.counts["hold as tap"] += not short
        elif hold in commands:
            # Said at once, or it might be over before a step is free.
            self._unsaid.append(_Unsaid(event.t_ns, hold, name))
            self.counts["tap as hold"] += short
        else:
            self.counts["no command"] += 1

    def _let_go(self, name: str) -> None:
        self.down.pop(name)
        self._taps.discard(name)

    def _wheel(self, event: Event) -> None:
        if "wheel" not in self.rules.commands:
            self.counts["no command"] += 1
            return
        notches = int(event.by[1])
        self._unsaid += [_Unsaid(event.t_ns, "wheel", notches=int(np.sign(notches))) for _ in range(abs(notches))]

    def _say(self, spent: tuple[dict[str, int], list[str]]) -> NDArray[np.int64] | None:
        commands = self.rules.commands
        level = self._find_level(*spent) if "hold_only" in commands else None
        if self._unsaid:
            thing = self._unsaid.pop(0)
            self.counts["late"] += thing.age > 0
            return self._said(thing)
        if "hold_only" in commands:
            return self._say_level(level)
        release = self._say_release()
        held = self._say_hold_again() if release is None else release
        return self._say_motion() if held is None else held

    def _find_level(self, spent: dict[str, int], pressed: list[str]) -> str | None:
        keys = {name: t for name, t in spent.items() if name in self.rules.keys and name not in self._taps}
        went_down = [name for name in pressed if name in keys]
        candidates = went_down or [name for name, t in keys.items() if 2 * t >= self._length_ns]
        if len(set(candidates)) > 1 or len([n for n in self.down if n in self.rules.keys]) > 1:
            self.counts["two keys"] += 1
        order = list(self.down)
        return max(candidates, key=lambda n: (keys[n], order.index(n) if n in order else -1), default=None)

    def _say_level(self, level: str | None) -> NDArray[np.int64] | None:
        keys = set(self.rules.keys)
        if level is not None:
            if self.held & keys != {level}:
                self.held = (self.held - keys) | {level}
                return self._action("hold_only", self.rules.keys.index(level))
            return self._say_motion() if self._is_moved() else self._action("hold_only", self.rules.keys.index(level))
        if self.held & keys and "release_all" in self.rules.commands:
            self.held.clear()
            return self._action("release_all")
        release = self._say_release()
        return self._say_motion() if release is None else release

    def _say_release(self) -> NDArray[np.int64] | None:
        for name in sorted(self.held - (self.down.keys() - self._taps)):
            button = name in BUTTON.values()
            command = "button_release" if button else "release"
            if command in self.rules.commands:
                self.held.discard(name)
                return self._action(command, self._index(name))
            if "release_all" in self.rules.commands:
                self.held.clear()  # what is still down is held again after it
                return self._action("release_all")
        return None

    def _say_hold_again(self) -> NDArray[np.int64] | None:
        """Of keys that are down, though the actions have left them up."""
        for name in self.down:
            command = "button_hold" if name in BUTTON.values() else "hold"
            if name not in self.held and name not in self._taps and command in self.rules.commands:
                if self._index(name) is None:
                    continue
                self.held.add(name)
                return self._action(command, self._index(name))
        return None

    def _is_moved(self) -> bool:
        if "move" in self.rules.commands and self._pointer is not None:
            return self.rules.cell(self._pointer) != self.cell
        return "move_by" in self.rules.commands and bool(self._nearest().any())

    def _say_motion(self) -> NDArray[np.int64] | None:
        if self._is_moved() and "move" in self.rules.commands and self._pointer is not None:
            self.cell = self.rules.cell(self._pointer)
            return self._action("move", *self.cell)
        if self._is_moved():
            nearest = self._nearest()
            self._moved -= nearest
            return self._action("move_by", *(self.rules.steps.index(int(n)) for n in nearest))
        return None if self.rules.idle is None else self._idle()

    def _idle(self) -> NDArray[np.int64]:
        idle = self.rules.idle
        assert idle is not None
        if idle == "release_all" and self.held:  # which would let go of what is to stay down
            self._cannot_idle()
        return self._action(idle)

    def _nearest(self) -> NDArray[np.float64]:
        choices = np.array(self.rules.steps or (0,), float)
        nearest: NDArray[np.float64] = choices[np.abs(choices[None] - self._moved[:, None]).argmin(1)]
        return nearest

    def _said(self, thing: _Unsaid) -> NDArray[np.int64]:
        if thing.verb in CLICKS.values():
            self.cell = self.rules.cell(thing.place or (0, 0))
            return self._action(thing.verb, *self.cell)
        if thing.verb == "wheel":
            return self._action("wheel", 1 if thing.notches > 0 else 0)
        if thing.verb in ("hold", "button_hold"):
            self.held.add(thing.name)
        return self._action(thing.verb, self._index(thing.name))

    def _index(self, name: str) -> int | None:
        names = [BUTTON[b] for b in self.rules.buttons] if name in BUTTON.values() else list(self.rules.keys)
        return names.index(name) if name in names else None

    def _action(self, command: str, *arguments: int | None) -> NDArray[np.int64]:
        given = [self.rules.commands.index(command), *(a or 0 for a in arguments)]
        return np.array([*given, 0, 0][:3], np.int64)


def infer(events: Sequence[Event], times: Sequence[int], rules: Rules) -> tuple[NDArray[np.int64], Counter[str]]:
    """The actions of consecutive steps, int64 ``[steps, 3]``, and what could not be said as it was.

    Args:
        events: In order.
        times: Of the frames, one more than there are steps.
        rules: Of the profile.
    """
    inverse = Inverse(rules)
    binned = list(steps(events, times))
    actions = np.zeros((len(binned), 3), np.int64)
    after = 0
    for i, own in enumerate(binned):
        while after < len(events) and events[after].t_ns < times[i + 1]:
            after += 1
        end = after
        while end < len(events) and events[end].t_ns <= times[i + 1] + rules.short_ns:
            end += 1
        actions[i] = inverse.step(own, events[after:end], times[i], times[i + 1])
    return actions, inverse.counts
