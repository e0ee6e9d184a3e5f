"""What ``hakisa play`` shows: the game in a window or on the terminal, and what the agent reads, does and expects."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import gymnasium as gym
import numpy as np

from hakisa_algos.cli.status import Status
from hakisa_algos.cli.watch import REDRAW_S, drawing, draws, newest_frame
from hakisa_algos.errors import MissingExtraError
from hakisa_algos.policy.precision import has_pictures
from hakisa_algos.stages.action_names import action_meanings
from hakisa_algos.stages.play import Moment, See
from hakisa_algos.stages.window import Window
from hakisa_algos.training.now import newest_frames
from hakisa_algos.training.trainer import Trainer
from hakisa_envs.screen.env import ScreenGameEnv

# What is logged of a run that is watched, in words.
_TOLD = {
    "return": "rollout/ep_rew_mean",
    "evaluated": "eval/mean_reward",
    "held to the clone": "train/prior_weight",
    "critic alone": "train/critic_warmup",
    "explained variance": "train/explained_variance",
    "epsilon": "rollout/exploration_rate",
    "margin": "train/margin_loss",
}
_LINE_S = 1.0


@dataclass(frozen=True)
class Said:
    """A moment in words.

    Attributes:
        moment: which.
        words: what its action is called.
        missed: deadlines so far, of a live game.
    """

    moment: Moment
    words: str
    missed: int

    def lines(self, width: int) -> list[str]:
        """In several lines; always as many for one game."""
        live = self._live()
        if live is not None:
            return [*live.lines(width), self._expects()[:width]]
        moment = self.moment
        head = f"step {moment.step}, episode {moment.episode}: {self.words}"
        gained = f"reward {moment.reward:+.4g}, return {moment.total:.4g}"
        return [line[:width] for line in (head, gained, self._numbers(), self._expects())]

    def line(self) -> str:
        """In one line."""
        live = self._live()
        parts = [live.line()] if live is not None else self.lines(1000)[:3]
        return "; ".join(part for part in [*parts, self._expects()] if part)

    def _live(self) -> Status | None:
        moment = self.moment
        if "readings" not in moment.info:
            return None
        numbers = moment.step, moment.episode, self.words, moment.reward, moment.total, self.missed
        return Status(*numbers, dict(moment.info))

    def _numbers(self) -> str:
        """The numbers of the env's info."""
        found = [(k, v) for k, v in self.moment.info.items() if isinstance(v, int | float | np.number | bool)]
        return "  ".join(f"{name} {value:.4g}" for name, value in found[:8])

    def _expects(self) -> str:
        return "" if self.moment.value is None else f"expects {self.moment.value:.4g}"


class Naming:
    """Words for actions, and what is missed of a live game's time."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        inner: Any = env.unwrapped
        self._describe = inner.describe if isinstance(inner, ScreenGameEnv) else None
        self._names = action_meanings(env)
        self._missed = 0

    def __call__(self, moment: Moment) -> Said:
        """The moment in words."""
        self._missed += int(moment.info.get("missed", 0))
        action = moment.action
        if self._describe is not None:
            words = str(self._describe(action))
        elif self._names and np.ndim(action) == 0:
            words = self._names[int(action)]
        else:
            words = f"action {np.asarray(action).tolist()}"
        return Said(moment, words, self._missed)


@contextmanager
def seeing(env: gym.Env[Any, Any], title: str, window: bool) -> Iterator[See]:
    """Shows moments: in a window, else on the terminal; where neither can be drawn on, a line now and then.

    Args:
        env: what is played.
        title: of the window.
        window: may be opened, if pygame is there and a display; a live game has one of its own.
    """
    name, inner = Naming(env), env.unwrapped
    live = inner if isinstance(inner, ScreenGameEnv) else None
    with contextlib.ExitStack() as stack:
        opened = _open(title) if window and live is None and env.render_mode == "rgb_array" else None
        if opened is not None:
            stack.enter_context(closing(opened))
        picture = stack.enter_context(drawing()) if opened is None and draws() else None
        told = -math.inf

        def see(moment: Moment, seconds: float) -> bool:
            nonlocal told
            due, said = time.monotonic() + seconds, name(moment)
            if picture is not None:
                frame = newest_frame(live, moment.observation) if live is not None else _frame(moment)
                picture.show(np.zeros((1, 1, 3), np.uint8) if frame is None else frame, said)
            elif time.monotonic() - told >= _LINE_S:
                told = time.monotonic()
                print(said.line(), flush=True)
            if opened is not None and moment.frames:
                opened.wait(due, moment.frames)
                while opened.paused and not opened.closed:
                    opened.wait(time.monotonic() + 0.05)
                return not opened.closed
            time.sleep(max(0.0, due - time.monotonic()))
            return True

        yield see


def _open(title: str) -> Window | None:
    """A window, where there can be one."""
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")):
        return None
    try:
        return Window(title, set())
    except MissingExtraError:
        return None


def _frame(moment: Moment) -> Any:
    if moment.frames:
        return np.asarray(moment.frames[-1])
    seen = {k: v[None] for k, v in moment.observation.items()} if isinstance(moment.observation, dict) else None
    frames = newest_frames(np.asarray(moment.observation)[None] if seen is None else seen, None)
    return None if frames is None else frames[0]


class LearningView:
    """A :class:`hakisa_algos.training.trainer.View` on the terminal that shows what the first env shows, as it goes.

    Args:
        title: of the run.
        total_steps: that it is to have.
    """

    def __init__(self, title: str, total_steps: int) -> None:
        self._title, self._total = title, total_steps
        self._step = 0
        self._metrics: dict[str, float] = {}
        self._said = ""
        self._trainer: Trainer | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()
        self._thread = threading.Thread(target=self._draw, name="play", daemon=True)

    def watch(self, trainer: Trainer) -> None:
        """From now on there is something to see."""
        self._trainer = trainer

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes in the newest metrics."""
        with self._lock:
            self._step = step
            self._metrics |= metrics

    def notice(self, text: str) -> None:
        """Shows a line of text."""
        self._said = text

    status = notice

    def lines(self, width: int) -> list[str]:
        """What is said below the picture."""
        with self._lock:
            told = [f"{n} {self._metrics[key]:.4g}" for n, key in _TOLD.items() if key in self._metrics]
        words = [f"{self._title}: step {self._step:,} of {self._total:,}", "  ".join(told), self._said]
        return [line[:width] for line in words]

    def __enter__(self) -> Self:
        self._picture = self._stack.enter_context(drawing())
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):  # of a terminal that was closed
            self._stack.close()

    def _draw(self) -> None:
        while not self._ended.wait(REDRAW_S):
            trainer = self._trainer
            frames = None
            if trainer is not None:
                frames = newest_frames(trainer.collector.observation, trainer.buffer.stack)
            try:
                self._picture.show(np.zeros((1, 1, 3), np.uint8) if frames is None else frames[0], self)
            except OSError:  # a terminal that was closed: the training goes on
                return


def shows(space: gym.Space[Any]) -> bool:
    """Whether observations are pictures, and there is a terminal to draw them on."""
    return draws() and has_pictures(space)
