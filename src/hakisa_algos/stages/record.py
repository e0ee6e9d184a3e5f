"""Records a person's play of a live game: what the agent would see, and what the person did about it."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.errors import ConfigError
from hakisa_algos.stages.action_names import named_by
from hakisa_algos.stages.recording import VIDEO, privately
from hakisa_algos.stages.recording_film import Film
from hakisa_algos.stages.recording_writer import RecordingWriter
from hakisa_envs.contract import FRAME_STACK, MEANING, TRANSITION
from hakisa_envs.recording.events import BAD, BEGIN, END, GAP, HOST, KILL, ON, PAUSE, PRESS, RESUME, Event
from hakisa_envs.recording.inverse import Inverse, Rules
from hakisa_envs.screen.backends.protocols import STARTED, Listener, Sign, Watcher
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import Killed
from hakisa_envs.screen.image import to_rgb
from hakisa_envs.screen.region import Region

# Events take a moment to come.
ARRIVAL_NS = 20_000_000
KILLED = "the kill chord"  # why it ended
_NEVER_SCRIPTED = (GAP, ON, PAUSE, BAD, KILL)  # a person's, though a script runs
_COLUMNS = {
    "t_ns": "when the row's observation was seen, on the clock of events.jsonl",
    "reading.NAME": "what was read off the row's frame; NaN: no reading",
    "keep.NAME": "a part of the row's frame in full resolution, RGB",
    "gap": "what the player did in this row is not known, or went elsewhere: it is not learned from",
    "late": "deadlines that had passed before the frame after the row",
}


@dataclass
class Summary:
    """What was recorded.

    Attributes:
        rows: Transitions.
        episodes: Begun.
        events: Of the person.
        missed: Deadlines.
        gaps: Transitions of which it is not known what the player did, or in which it was paused.
        repeated: Frames of the film that show the one before, as there was no time for them.
        unsaid: What one command could not say, by kind (see `hakisa_envs.recording.inverse`).
        why: Why it ended.
    """

    rows: int = 0
    episodes: int = 0
    events: int = 0
    missed: int = 0
    gaps: int = 0
    repeated: int = 0
    unsaid: Counter[str] = field(default_factory=Counter)
    why: str = ""


@dataclass(eq=False)
class _Row:
    """A row that is not in the buffer yet, as its action may still depend on what comes."""

    observation: Any
    start: bool
    columns: dict[str, Any]
    t_ns: int
    end_ns: int = 0
    values: dict[str, Any] = field(default_factory=dict)


def record(
    env: ScreenGameEnv,
    folder: Path,
    *,
    env_options: dict[str, Any],
    keep: Sequence[str] = (),
    video: bool = False,
    seconds: float | None = None,
    episodes: int | None = None,
    say: Callable[[str], None] = print,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Records until it is told to stop: by Ctrl+C, the kill chord, ``stop``, or when enough is recorded.

    Args:
        env: the game, armed if its scripts press anything; closed by whoever made it.
        folder: for the recording; new, and readable by nobody else.
        env_options: with which the env can be made again.
        keep: more parts of the frame to keep in full resolution: ``"left,top,width,height"``.
        video: film the whole window as well.
        seconds: after which it ends.
        episodes: after which it ends.
        say: tells the player how it stands.
        stop: asked at every step.

    Raises:
        ConfigError: the folder exists, a region that cannot be, or scripts that press in a game that is not armed.
        InputError: nobody listens to the keyboard any more; what was recorded until then is kept.
    """
    scripts = (*env.profile.start, *env.profile.reset)
    if not env.armed and env.display not in STARTED and any(step.do not in ("wait", "look") for step in scripts):
        also = " and --untested-platform" if env.backend.untested else ""
        raise ConfigError(
            f"the scripts of the profile {env.profile.name!r} must press keys to begin an episode: allow it with "
            f"--arm{also}, or leave [[start]] and [[reset]] out and begin episodes yourself"
        )
    with privately(), closing(_Recorder(env, folder, env_options, keep, video, say)) as recorder:
        recorder.run(seconds, episodes, stop)
        return recorder.summary


class _Recorder:
    def __init__(
        self,
        env: ScreenGameEnv,
        folder: Path,
        env_options: dict[str, Any],
        keep: Sequence[str],
        video: bool,
        say: Callable[[str], None],
    ) -> None:
        self.env, self.say, self.summary = env, say, Summary()
        self._options = env_options
        self._kept = _regions(env, keep)
        self._rows: deque[_Row] = deque()
        self._events: deque[Event] = deque()
        self._listener: Listener | None = None
        self._listens_to = 0
        self._host: Watcher | None = None
        self._sign: Sign | None = None
        self._gaps = {""}  # why nothing is known of the person now; at first nobody has looked
        self._script = True
        self._paused = False
        self._until: float | None = None  # when the time is over
        self._writer = RecordingWriter(folder, env.observation_space, env.action_space, env.metadata[FRAME_STACK])
        self._video = Film(folder / VIDEO, env.rate) if video else None
        self._inverse: Inverse | None = None
        self._newest: _Row | None = None  # the last frame, whose row is not over

    def run(self, seconds: float | None, episodes: int | None, stop: Callable[[], bool]) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds
        try:
            while self.summary.episodes != episodes and not self._is_over(stop):
                self._begin()
                while not self._is_over(stop):
                    if self._step():
                        break
                else:
                    self._end(cut=True)
        except KeyboardInterrupt:
            self.summary.why = "Ctrl+C"
        except Killed:
            self.summary.why = KILLED
        finally:
            with contextlib.suppress(Exception):
                self._take()
            self._end(cut=True)

    def _is_over(self, stop: Callable[[], bool]) -> bool:
        if stop():
            self.summary.why = "it was told to"
        elif self._until is not None and time.monotonic() >= self._until:
            self.summary.why = "the time is over"
        return bool(self.summary.why)

    def _begin(self) -> None:
        """A new episode; what its scripts press is theirs."""
        self._script = True
        observation, info = self.env.reset()
        session = self.env.session
        assert session is not None
        self._listen()
        if self._inverse is None:
            self._write_facts()
        session.input.set_repeat(False)
        self._take()
        self._script = False
        self._add_event(Event(time.monotonic_ns(), BEGIN))
        self._hold_again()
        self.summary.episodes += 1
        self._newest = self._row(observation, info, True)
        self.say(f"episode {self.summary.episodes}: {self.summary.rows:,} rows so far")

    def _step(self) -> bool:
        """One step; whether the episode ended with it."""
        row = self._newest
        assert row is not None
        observation, reward, terminated, truncated, info = self.env.watch()
        lost = "t_obs_ns" not in info
        row.end_ns = time.monotonic_ns() if lost else info["t_obs_ns"]
        row.values = {
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "transition": bool(info[TRANSITION]),
            "late": info.get("missed", 0),
        }
        self.summary.missed += info.get("missed", 0)
        self._rows.append(row)
        self._newest = self._row(observation, {"t_obs_ns": row.end_ns} if lost else info, False)
        view = self.env.view
        if self._sign is not None and view is not None and view.window.region != self._sign.beside:
            self._show_sign()
        self._take()
        if terminated or truncated:
            self._end()
            return True
        self._commit(time.monotonic_ns())
        if self._paused:
            self._pause()
        return False

    def _end(self, cut: bool = False) -> None:
        """Ends the episode, if one is running, and puts all of it into the buffer."""
        newest = self._newest
        if newest is None:
            return
        self._add_event(Event(time.monotonic_ns(), END))
        if self._rows:
            last = self._rows[-1]
            if cut:
                last.values["truncated"] = True
        self._commit(None)
        self._newest = None
        if not newest.start:  # else the episode has no row
            self._writer.end(newest.observation, newest.columns | {"t_ns": newest.t_ns, "gap": True, "late": 0})

    def close(self) -> None:
        """Everything that was recorded is on the disk afterwards."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._writer.close)
            if self._video is not None:
                stack.callback(self._video.close)
                self.summary.repeated = self._video.repeated
            for part in (self._listener, self._host, self._sign):
                if part is not None:
                    stack.callback(part.close)

    def _listen(self) -> None:
        """To the window that the game has now."""
        session, view = self.env.session, self.env.view
        assert session is not None
        assert view is not None
        window = view.window.window
        self._show_sign()
        if self._listener is not None and window == self._listens_to and self._listener.is_alive:
            return
        if self._listener is not None:
            self._listener.close()
        actions = self.env.profile.actions
        buttons = {"left": "button1", "middle": "button2", "right": "button3"}
        clicks = {"left_click": "left", "right_click": "right"}
        used: set[str] = {*actions.buttons} if any(c.startswith("button_") for c in actions.commands) else set()
        used |= {button for command, button in clicks.items() if command in actions.commands}
        names = [*actions.keys, *(buttons[b] for b in used)]
        self._listener = session.backend.listener(session.display, names, window)
        self._listens_to = window
        if self._host is not None:
            self._host.close()
        self._host = session.backend.watcher(self.env.display, f"● recording {self.env.profile.name}")

    def _show_sign(self) -> None:
        """Beside the game, where others than the recorder look on; a nested display's own window says it."""
        session, view = self.env.session, self.env.view
        assert session is not None
        assert view is not None
        if session.display.owned:
            return
        if self._sign is None:
            self._sign = session.backend.sign(session.display)
        if self._sign is None:
            if not self.summary.episodes:
                self.say("nothing on the screen shows that it is recorded: on this system there is no red dot")
        elif not self._sign.show(view.window.region) and not self.summary.episodes:
            self.say("the game leaves no room on the screen for the red dot that shows that it is recorded")

    def _take(self) -> None:
        """Takes what the person did since the last time."""
        assert self._listener is not None
        for event in self._heard():
            self._paused ^= event.kind == PAUSE
            self._add_event(dataclasses.replace(event, script=self._script and event.kind not in _NEVER_SCRIPTED))

    def _heard(self) -> list[Event]:
        assert self._listener is not None
        events = self._listener.take()
        if self._host is not None:
            events = sorted([*events, *self._host.take()], key=lambda event: event.t_ns)
        if any(event.kind == KILL for event in events):  # where the env presses nothing it does not hear of it itself
            self.summary.why = KILLED
        return events

    def _hold_again(self) -> None:
        """What the person holds now goes on being held, though the game or the recording has begun anew."""
        assert self._listener is not None
        for name in self._listener.held:
            self._add_event(Event(time.monotonic_ns(), PRESS, name))

    def _add_event(self, event: Event) -> None:
        self._writer.log([event])
        self._events.append(event)
        self.summary.events += not event.script
        if event.kind == BAD:
            self.say("this episode is marked as bad")

    def _row(self, observation: Any, info: dict[str, Any], start: bool) -> _Row:
        view = self.env.view
        columns: dict[str, Any] = {}
        readings = info.get("readings", {})
        for reading in self.env.profile.readings:
            value = readings.get(reading.name)
            columns[f"reading.{reading.name}"] = np.float32(np.nan if value is None else value)
        if view is not None:
            for name, region in self._kept.items():
                columns[f"keep.{name}"] = to_rgb(region.of(view.frame.pixels))
            if self._video is not None:
                self._video.add(view.frame.pixels)
        return _Row(observation, start, columns, int(info["t_obs_ns"]))

    def _commit(self, now: int | None) -> None:
        """Puts rows into the buffer whose actions are certain by now; None: all."""
        assert self._inverse is not None
        wait = self._inverse.rules.short_ns + ARRIVAL_NS
        while self._rows and (now is None or self._rows[0].end_ns + wait <= now):
            row = self._rows.popleft()
            own = []
            while self._events and self._events[0].t_ns < row.end_ns:
                event = self._events.popleft()
                own.append(event)  # those before the row, such as the beginning of the episode, too
            action = self._inverse.step(own, list(self._events), row.t_ns, row.end_ns)
            before = [event for event in own if event.t_ns < row.t_ns]
            self._know(before)
            # A row that it was paused in goes on until the frame after the pause.
            gap = bool(self._gaps) or any(event.kind in (GAP, PAUSE, RESUME) for event in own[len(before) :])
            self._know(own[len(before) :])
            self.summary.gaps += gap and row.values["transition"]
            self.summary.rows += row.values["transition"]
            self.summary.unsaid = self._inverse.counts
            learned = row.values["transition"] and not gap and self._inverse.said
            following = self._rows[0] if self._rows else self._newest
            assert following is not None
            self._writer.add(
                row.observation,
                action,
                {**row.columns, **row.values, "t_ns": row.t_ns, "learned": learned, "gap": gap},
                start=row.start,
                following=following.observation,
                final=row.values["truncated"],
            )

    def _know(self, events: Sequence[Event]) -> None:
        """Keeps account of whether it is known what the person does."""
        for event in events:
            source = event.name if event.name == HOST else ""
            if event.kind == GAP:
                self._gaps.add(source)
            elif event.kind == ON:
                self._gaps.discard(source)

    def _pause(self) -> None:
        """Waits for the chord that goes on; what is done meanwhile is not kept."""
        assert self._listener is not None
        self.say("paused; Ctrl+Shift+F9 goes on")
        began = time.monotonic()
        self.env.pause()
        while self._paused and not self.summary.why:
            time.sleep(0.02)
            for event in self._heard():
                self._paused ^= event.kind == PAUSE
                if event.kind in (GAP, ON, BAD, KILL):
                    self._add_event(event)
        if self.summary.why:
            return
        if self._until is not None:
            self._until += time.monotonic() - began
        self.env.resume()
        self._add_event(Event(time.monotonic_ns(), RESUME))
        self._hold_again()
        self.say("it goes on")

    def _write_facts(self) -> None:
        env, session = self.env, self.env.session
        assert session is not None
        outside = {name: r for name, r in self._kept.items() if session.area.intersect(r) != r}
        for name, region in outside.items():
            raise ConfigError(
                f"--keep: {name} is {dataclasses.astuple(region)}, which does not lie inside the window of "
                f"{session.area.width} x {session.area.height} pixels"
            )
        seen = env.profile.observation.region or session.area
        area = seen.left, seen.top, seen.width, seen.height
        rules = Rules.of(env.profile, env.rate, area)
        self._inverse = Inverse(rules)
        idle = None if rules.idle is None else rules.commands.index(rules.idle)
        facts = {
            "name": env.profile.name,
            "env": "Hakisa/ScreenGame-v0",
            "env_options": self._options,
            "rate": env.rate,
            "columns": _COLUMNS,
            MEANING: env.metadata[MEANING],
            "rules": dataclasses.asdict(rules),
            "idle": idle,
            **named_by(env),
            "keep": {name: [r.left, r.top, r.width, r.height] for name, r in self._kept.items()},
        }
        self._writer.describe(facts)


def _regions(env: ScreenGameEnv, keep: Sequence[str]) -> dict[str, Region]:
    """The parts of the frame that are kept: those of all readings, and those that were asked for."""
    found = {}
    for reading in env.profile.readings:
        region = getattr(reading.reader, "region", None)
        if region is not None:
            found[reading.name] = region
        for i, place in enumerate(getattr(reading.reader, "places", ())):
            found[f"{reading.name}.{i}"] = place
    for i, words in enumerate(keep):
        try:
            left, top, width, height = (int(word) for word in words.split(","))
        except ValueError:
            raise ConfigError(f"--keep {words} must be left,top,width,height in pixels of the window") from None
        if left < 0 or top < 0 or width < 1 or height < 1:
            raise ConfigError(f"--keep {words} must lie inside the window")
        found[f"region{i}"] = Region(left, top, width, height)
    return found
