"""Records a person's play of any env that can be drawn, in a window of our own: emulated games, Pong, Gymnasium's."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from hakisa_algos.data.contract import declared
from hakisa_algos.errors import ConfigError
from hakisa_algos.stages.action_names import action_meanings, named_by
from hakisa_algos.stages.recording import privately
from hakisa_algos.stages.recording_writer import RecordingWriter
from hakisa_algos.stages.window import Window
from hakisa_envs.contract import FRAME_STACK, LEARNED, MEANING, TRANSITION
from hakisa_envs.recording.events import BAD, BEGIN, END, PAUSE, RESUME, Event

NONE = "none"
_ANSWERS = {PAUSE: "paused; F9 goes on", RESUME: "it goes on", BAD: "this episode is marked as bad"}
_FRAMES = 600  # of one step at most that are shown: between two rounds there are many
# Which key stands for a word in the name of an action: "UP", "LEFTFIRE", "DOWN RIGHT X".
WORDS = {
    "UP": "up", "DOWN": "down", "LEFT": "left", "RIGHT": "right", "FIRE": "space", "START": "return",
    "X": "a", "Y": "s", "Z": "d", "A": "z", "B": "x", "C": "c",
}  # fmt: skip
_NOTHING = ("NOOP", "NOTHING", "")


@dataclass(frozen=True)
class KeyMap:
    """Which action the keys that are down stand for.

    Attributes:
        actions: Of sets of keys.
        idle: The action while none of them is down.
        parts: Each key is an entry of a MultiBinary action, which is 1 while the key is down.
    """

    actions: Mapping[frozenset[str], Any]
    idle: Any
    parts: bool = False

    @property
    def keys(self) -> set[str]:
        """All that are looked at."""
        return {key for keys in self.actions for key in keys}

    def action(self, down: Sequence[str]) -> Any:
        """For keys that are down, in the order in which they were pressed: of the largest set that fits the newest."""
        held = set(down)
        if self.parts:
            return np.maximum.reduce([self.idle, *(self.actions[frozenset((k,))] for k in down if k in self.keys)])
        fitting = [keys for keys in self.actions if keys and keys <= held]
        newest = {key: i for i, key in enumerate(down)}
        best = max(fitting, key=lambda keys: (len(keys), max(newest[key] for key in keys)), default=None)
        return self.idle if best is None else self.actions[best]

    @classmethod
    def parse(cls, pairs: Mapping[str, Any], space: spaces.Space[Any]) -> KeyMap:
        """From ``{"left": 0, "left+space": 3, "none": 1}``.

        Raises:
            ConfigError: an action that the env does not have, or no action for ``none``.
        """
        parts = isinstance(space, spaces.MultiBinary)
        found = {}
        for words, said in pairs.items():
            action = np.array(said)
            if parts and words != NONE:
                action = np.zeros(space.shape or (), np.int8)
                if not isinstance(said, int) or not 0 <= said < len(action):
                    raise ConfigError(f"--keys {words}={said} must be the number of a button, 0 to {len(action) - 1}")
                action[said] = 1
            keys = frozenset() if words == NONE else frozenset(words.lower().split("+"))
            fits = np.issubdtype(action.dtype, np.integer)
            found[keys] = action.astype(space.dtype)[()] if fits else said
            if not fits or not space.contains(found[keys]):
                raise ConfigError(f"--keys {words}={said} is no action of this env, whose actions are {space}")
        idle = found.pop(frozenset(), np.zeros(space.shape or (), np.int8) if parts else None)
        if idle is None or not found:
            raise ConfigError(f"--keys must say what each key does, and none: --keys {NONE}=0 left=1 left+space=2")
        return cls(found, idle, parts)

    @classmethod
    def of(cls, env: gym.Env[Any, Any]) -> KeyMap:
        """What the names of the env's actions say.

        Raises:
            ConfigError: they say nothing.
        """
        names = action_meanings(env)
        if not names or not isinstance(env.action_space, spaces.Discrete):
            raise ConfigError(
                f"what each key does must be said for this env, whose actions are {env.action_space}: "
                f"--keys {NONE}=0 left=1 right=2 left+space=3"
            )
        pairs: dict[str, Any] = {}
        for action, name in enumerate(names):
            keys = _keys(name.upper())
            if keys is not None:
                pairs.setdefault("+".join(keys) or NONE, action)
        return cls.parse(pairs, env.action_space)


def _keys(name: str) -> list[str] | None:
    """The keys of an action's name; None if a part of it has none."""
    if name in _NOTHING:
        return []
    found = []
    for word in name.split():
        while word:
            known = next((w for w in sorted(WORDS, key=len, reverse=True) if word.startswith(w)), None)
            if known is None:
                return None
            found.append(WORDS[known])
            word = word.removeprefix(known)
    return found


def record_env(
    env: gym.Env[Any, Any],
    folder: Path,
    *,
    facts: Mapping[str, Any],
    keys: KeyMap,
    rate: float,
    seed: int | None = None,
    seconds: float | None = None,
    episodes: int | None = None,
    say: Callable[[str], None] = print,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Records until the window is closed, or enough is recorded; F9 pauses, F10 marks the episode as bad.

    The env waits for the person and not the person for the env: a step begins when its time has come, and its action
    is what is down then, or went down since the step before. Of an emulated game all frames of a step are shown, one
    after the other, in the time of the next; the last of them is what the agent sees. It does not wait while the focus
    is elsewhere: rows of which some part was played so are marked as gaps, like those with a pause in them, and are not
    learned from.

    Args:
        env: drawn with ``render_mode="rgb_array"``; closed by whoever made it.
        folder: for the recording; new.
        facts: ``name``, ``env`` and ``env_options`` of recording.json.
        keys: what they do.
        rate: steps per second.
        seed: of the first episode.
        seconds: after which it ends; those that are paused do not count.
        episodes: after which it ends.
        say: tells the player how it stands.
        stop: asked at every step, and again and again while it is paused.

    Returns:
        How many rows were recorded.
    """
    stack = env.metadata.get(FRAME_STACK)
    with privately(), closing(RecordingWriter(folder, env.observation_space, env.action_space, stack)) as writer:
        idle = np.asarray(keys.idle).tolist()
        writer.describe({**facts, "rate": rate, "idle": idle, MEANING: declared(env, MEANING), **named_by(env)})

        def hear(events: list[Event]) -> None:
            writer.log(events)
            for event in events:
                if event.kind in _ANSWERS:
                    say(_ANSWERS[event.kind])

        with closing(Window(f"● {facts['name']}", keys.keys, hear)) as window:
            return _play(env, writer, window, keys, rate, seed, seconds, episodes, say, stop)


def _play(
    env: gym.Env[Any, Any],
    writer: RecordingWriter,
    window: Window,
    keys: KeyMap,
    rate: float,
    seed: int | None,
    seconds: float | None,
    episodes: int | None,
    say: Callable[[str], None],
    stop: Callable[[], bool],
) -> int:
    begin, rows, played = time.monotonic(), 0, 0
    frames: deque[Any] = deque(maxlen=_FRAMES)
    show_frames = getattr(env.unwrapped, "show_frames", None)
    if show_frames is not None:
        show_frames(frames.append)

    def over() -> bool:
        late = seconds is not None and time.monotonic() - begin >= seconds
        return window.closed or late or stop()

    while played != episodes and not over():
        played += 1
        seen, _ = env.reset(seed=seed)
        seed = None
        frames.clear()  # of the way to the start
        window.open(env.render())
        writer.log([Event(time.monotonic_ns(), BEGIN)])
        say(f"episode {played}: {rows:,} rows so far")
        ended, start, due = False, True, time.monotonic()
        while not ended:
            shown_ns = time.monotonic_ns()
            due = max(due + 1 / rate, time.monotonic() - 1 / rate)  # a late step is not made up for by a burst
            window.missed = not window.focused
            down = window.wait(due, list(frames) or [env.render()])
            frames.clear()
            while window.paused and not over():
                stood = time.monotonic()
                down = window.wait(stood + 0.05)
                due = time.monotonic()
                begin += due - stood
            gap = window.missed
            action = keys.action(down)
            after, reward, terminated, truncated, info = env.step(action)
            cut = over() and not (terminated or truncated)
            ended = terminated or truncated or cut
            cut_off = bool((truncated or cut) and not terminated)
            values = {
                "reward": np.float32(reward),
                "terminated": bool(terminated),
                "truncated": cut_off,
                "transition": bool(info.get(TRANSITION, True)),
                "learned": bool(info.get(TRANSITION, True) and info.get(LEARNED, True) and not gap),
                "gap": gap,
                "t_ns": shown_ns,
            }
            writer.add(seen, action, values, start=start, following=after, final=cut_off)
            seen, start, rows = after, False, rows + 1
        writer.log([Event(time.monotonic_ns(), END)])
        writer.end(seen, {"t_ns": time.monotonic_ns(), "gap": True})
    return rows
