"""Measures a live game: what a step costs, how well it keeps time, and when the screen shows what was pressed."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from hakisa_envs.screen.backends.protocols import Capture
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import InputError, Killed, ReaderError, ScreenError
from hakisa_envs.screen.image import to_observation
from hakisa_envs.screen.session import Session, View

T = TypeVar("T")
ANSWER_S = 1.0  # a game that has not answered a press by then does not
BETWEEN_S = (0.025, 0.06)  # over 20 ms up before the next tap, and no fixed beat with the game's own frames


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the largest of at least one value."""
    p50, p90, p99 = np.percentile(values, [50, 90, 99]).tolist()
    return {"p50": round(p50, 3), "p90": round(p90, 3), "p99": round(p99, 3), "max": round(max(values), 3)}


class LatencyProbe:
    """Collects times of one live game, in milliseconds.

    `step`, `parts` and `press` may be called in any order and number; between two steps, `parts` costs time of
    the second, so where steps have little of it call them one after the other.

    Args:
        env: The game; reset by the first `step`. Whoever made it closes it.

    Attributes:
        times: What was measured, by name:

            * ``"overhead"``: a step but for its wait for the deadline
            * ``"frame age"``: of the observation, when `step` returns
            * ``"step period error"``: distance of the time between two frames from the period
            * ``"grab"``: the window, by mss alone
            * ``"shrink"``: a grab to an observation
            * ``"readers"``: all of the profile's readers
            * ``"input round trip"``: a request to the input server, which looks up the focus, and its answer
            * ``"action to picture"``: a press of the profile's probe key, from the request to the end of the first
              grab that shows its effect
        steps: How many were made.
        missed: How many deadlines they missed.
        unseen: Presses whose effect did not show within a second.
    """

    def __init__(self, env: ScreenGameEnv) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self.steps = self.missed = self.unseen = 0
        self._env = env
        self._capture: Capture | None = None
        self._playing = False
        self._random = random.Random(0)

    @property
    def capture_status(self) -> str:
        """What mss says about the speed of the path that it took; empty before the first `parts`."""
        return "" if self._capture is None else self._capture.performance_status

    def step(self, action: ArrayLike) -> dict[str, Any]:
        """Step the env, after a reset if there is no episode, and return its info.

        Raises:
            ScreenError: If the game was lost.
        """
        first = not self._playing
        if first:
            self._env.reset()
        start = time.perf_counter()
        _, _, terminated, truncated, info = self._env.step(action)
        cost = (time.perf_counter() - start) * 1e3
        if info["failure"]:
            raise ScreenError(info["failure"])
        self._playing = not (terminated or truncated)
        self.steps += 1
        self.missed += info["missed"]
        self.times["overhead"].append(cost - info["wait_ms"])
        self.times["frame age"].append(info["frame_age_ms"])
        if not first:  # the frame before that belongs to the reset
            self.times["step period error"].append(abs(info["dt_ms"] - 1e3 / self._env.rate))
        return info

    def parts(self) -> None:
        """Do each part of a step by itself, once. The game must run: after a `step`."""
        session = self._session()
        view = session.look()
        place = session.area.shifted(view.window.region.left, view.window.region.top)
        capture = self._capture = self._capture or session.backend.capture(session.display)
        if "grab" not in self.times:
            capture.grab(place)  # opens the connection
        frame = self._timed("grab", lambda: capture.grab(place)).pixels
        shown = self._env.profile.observation
        seen = (shown.region or session.area).of(frame)
        self._timed("shrink", lambda: to_observation(seen, shown.size, shown.grey))
        if self._env.profile.readings:
            self._timed("readers", lambda: session.read(view))
        self._timed("input round trip", session.input.report)

    def press(self) -> None:
        """Press the profile's probe key once and wait until the screen shows it. The game must run: after a `step`.

        Raises:
            InputError: If the press was refused.
            Killed: If somebody pressed Ctrl+Shift+F12.
            ReaderError: If there is no reading to begin with.
        """
        session, target = self._session(), self._env.profile.probe
        if target is None or session.dry:
            raise ValueError("press() needs a profile with [probe], and input that is armed.")
        before = self._reading(session.look(), target.reading)
        if before is None:
            raise ReaderError(f"The probe needs {target.reading!r}, and the screen shows no reading of it.")
        hold_ms = self._env.profile.actions.tap_ms
        asked = time.monotonic_ns()
        report = session.act([("tap", target.key, hold_ms)], ANSWER_S + hold_ms / 1e3)
        if report.killed:
            raise Killed("Ctrl+Shift+F12 was pressed.")
        if report.refused:
            raise InputError(f"The probe's key {target.key!r} was refused: the game has not the focus, or is covered.")
        shown = None
        while shown is None and time.monotonic_ns() - asked < ANSWER_S * 1e9:
            view = session.look()
            value = self._reading(view, target.reading)
            if value is not None and abs(value - before) >= target.change:
                shown = view.frame.t_grab_ns + view.frame.grab_ns
        if shown is None:
            self.unseen += 1
        else:
            self.times["action to picture"].append((shown - asked) / 1e6)
        until = asked + round((hold_ms / 1e3 + session.timeout) * 1e9)
        while target.key in session.input.report().held and time.monotonic_ns() < until:
            time.sleep(0.002)
        time.sleep(self._random.uniform(*BETWEEN_S))

    def close(self) -> None:
        """Close what the probe opened; the env stays open."""
        if self._capture is not None:
            self._capture.close()

    def _session(self) -> Session:
        if self._env.session is None:
            raise ValueError("The game does not run yet: call step() first.")
        return self._env.session

    def _reading(self, view: View, name: str) -> float | None:
        return self._session().read(view)[name]

    def _timed(self, name: str, function: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = function()
        self.times[name].append((time.perf_counter() - start) * 1e3)
        return result
