"""``Hakisa/ScreenGame-v0``: a live desktop game."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import EzPickle
from numpy.typing import ArrayLike, NDArray

from hakisa_envs import contract
from hakisa_envs.errors import checked_choice, checked_float, refuse_unknown
from hakisa_envs.screen.actions import ActionMap
from hakisa_envs.screen.backends.choice import make_backend
from hakisa_envs.screen.backends.protocols import STARTED
from hakisa_envs.screen.clock import DeadlineClock, Tick
from hakisa_envs.screen.errors import CaptureError, InputError, Killed, PlatformError, ScreenError, WindowError
from hakisa_envs.screen.game import GameProfile
from hakisa_envs.screen.image import Pixels, is_black, to_observation, to_rgb
from hakisa_envs.screen.input.client import Report
from hakisa_envs.screen.input.keys import LAYOUT_CHANGED
from hakisa_envs.screen.meaning import meaning
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.scoring import Scorer
from hakisa_envs.screen.script import ScriptRunner
from hakisa_envs.screen.session import REMADE_S, Session, View
from hakisa_envs.vector import make_process_vec

OPTIONS = ("game", "backend", "display", "armed", "episode", "rate", "timeout", "render_mode", "untested_platform")
SPARE_S = 0.15
LOST_S = 0.1  # a step that lost the game waits no longer for its input server, which lets go by itself
BLACK_S = 2.0  # longer than games fade
FAILURES, FAILURE_WINDOW_S = 3, 600.0


class ScreenGameEnv(gym.Env[NDArray[np.uint8], NDArray[np.int64]], EzPickle):
    """A live desktop game: the screen in, keyboard and mouse out, in real time.

    The game is described by a profile, a TOML file; it is started in an X display of its own unless you ask
    for another. Nothing is opened before the first `reset`.

    **Action** ``(command, argument 1, argument 2)``, a `ConditionalMultiDiscrete` with the profile's commands;
    `describe` says in words what an action does. It is sent at the start of `step`, only ever to the game's
    window. Taps last the profile's ``tap_ms``; holds last until they are released. Whatever is down goes up
    `lease` seconds after the last `step` began: 0.18 s at 30 Hz.

    **Observation** uint8 ``[stack, height, width]`` grey, or ``[3 * stack, height, width]`` RGB; oldest frame
    first, zeros before the episode. The newest was grabbed at the end of the step, one period after the last. Where
    another program's window lies over the game, or did within the last 0.3 s, it is black.

    **Reward** The sum of the profile's parts; each part stands in ``info["reward_parts"]``.

    **Episode** Terminated when the profile says so. Truncated, with ``info["failure"]``, when the window or the
    display is lost; the next `reset` starts the game again, as it does one that was stopped or no longer answers to
    pings. Four failures within ten minutes raise instead.

    **Info** of a step: ``t_act_ns`` and ``t_obs_ns`` (`time.monotonic_ns`), ``frame_age_ms``, ``dt_ms`` since the
    last frame (a pause does not count), ``wait_ms`` for the deadline, ``late_ms``, ``missed`` deadlines,
    ``transition`` (False where dt is over twice the period; where what the agent sees is not the game, because the
    window is minimised, covered by another program's or was 0.3 s ago, or has been black for two seconds;
    where the game is still paused because its pause key was refused; and where a press was refused because the window
    had lost the focus or was covered, or keys went up because the keyboard got another layout: such a row would teach
    that the key does nothing), ``counted`` (False only where the game was lost:
    any other row was played, and its reward belongs to the result), ``duplicate``,
    ``unchanged_s``, ``black``, ``clipped``, ``obscured``, ``resized``, ``focused``, ``held``, ``refused``, ``dropped``,
    ``released``, ``input_restarts``, ``readings``, ``reward_parts``, ``failure``; at an end whose profile says how the
    game has gone, ``outcome``.

    Args:
        game: The name of a profile that ships (``"flash"``, ``"lbreakout2"``, ``"circuslinux"``, ``"xdemineur"``), the
            path of a TOML file, or a `GameProfile`.
        backend: ``"x11"``, or ``"portable"``: mss and pynput, on your desktop only. None: ``"x11"`` on Linux,
            ``"portable"`` on Windows and macOS.
        display: ``"xvfb"`` (hidden), ``"nested"`` (in a window of your desktop), ``"current"`` (your desktop) or an
            X display such as ``":1"``. None: ``"xvfb"`` on X11, else ``"current"``, and nothing else is.
        armed: Really press. None: yes on a display that the env started, no on any other (a dry run).
        episode: A sort of episode that the profile knows; its first if None.
        rate: Steps per second, instead of the profile's.
        timeout: Seconds that the window system may take for anything before a step gives up on it.
        render_mode: ``"rgb_array"`` or None.
        untested_platform: Press on Windows and macOS too, where nobody has tried what happens.

    Raises:
        PlatformError: If it would press on Windows or macOS without ``untested_platform``.
        ProfileError: If the profile breaks a rule.
        UnknownOptionError: For a keyword that is none of these.
        ValueError: For a value that is not allowed.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 30,
        contract.CONTRACT: contract.VERSION,
        contract.REAL_TIME: True,
        # A game's profile names a command: no run folder or checkpoint may choose it.
        contract.LAUNCHES_PROGRAMS: True,
    }

    def __init__(
        self,
        game: str | Path | GameProfile,
        *,
        backend: str | None = None,
        display: str | None = None,
        armed: bool | None = None,
        episode: str | None = None,
        rate: float | None = None,
        timeout: float = 2.0,
        render_mode: str | None = None,
        untested_platform: bool = False,
        **unknown: Any,
    ) -> None:
        refuse_unknown(unknown, OPTIONS, owner="Hakisa/ScreenGame-v0")
        self.backend = make_backend(backend)
        self.display = self.backend.check_display(self.backend.default_display if display is None else display)
        self.armed = checked_choice("armed", armed, (None, True, False))
        if self.backend.untested and self._may_press() and not untested_platform:
            raise PlatformError(
                f"Live games are tested on Linux only, and this is {self.backend.untested}: what a key press hits here "
                "is not known. armed=False only looks; untested_platform=True (--untested-platform) presses all the "
                "same."
            )
        EzPickle.__init__(
            self,
            game,
            backend=backend,
            display=display,
            armed=armed,
            episode=episode,
            rate=rate,
            timeout=timeout,
            render_mode=render_mode,
            untested_platform=untested_platform,
        )
        self.profile = load_profile(game)
        episodes = self.profile.episodes or ("",)
        self.episode: str = checked_choice("episode", episode or episodes[0], episodes)
        self.rate = self.profile.actions.rate if rate is None else checked_float("rate", rate, 0.1, 250.0)
        self.timeout = checked_float("timeout", timeout, 0.01, 60.0)
        self.render_mode = checked_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))

        self.action_map = ActionMap(self.profile)
        self.action_space = self.action_map.space
        shown = self.profile.observation
        channels = 1 if shown.grey else 3
        shape = (shown.stack * channels, shown.size[1], shown.size[0])
        self.observation_space = Box(0, 255, shape, np.uint8)
        self.metadata = {
            **type(self).metadata,
            "render_fps": self.rate,
            contract.FRAME_STACK: (0, shown.stack, "zero"),
            contract.MEANING: meaning(self.profile, self.rate),
            # Another env would find the very game that this one plays, and not one of its own.
            contract.EXCLUSIVE: self.display == "current" or not self.profile.launch.command,
        }
        self._stack = np.zeros(shape, np.uint8)
        self._channels = channels
        self._clock = DeadlineClock(self.rate)
        self._scorer = Scorer(self.profile, self.episode)
        self._session: Session | None = None
        self._view: View | None = None
        self._changed_ns = self._dt_ns = 0
        self._resumed_ns = 0
        self._readings: dict[str, float | None] = {}
        self._black_ns, self._black_said = 0, False
        self._playing = False
        self._fresh = False
        self._broken = False
        self._killed = False
        self._failures: deque[float] = deque(maxlen=FAILURES + 1)

    @property
    def session(self) -> Session | None:
        """What is open while the game runs; None before the first `reset` and after `close`."""
        return self._session

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Start the game if it does not run, and play the profile's scripts. ``options`` are ignored.

        Raises:
            Killed: If somebody pressed Ctrl+Shift+F12 since `close`.
            ScreenError: If the game cannot be started or its script does not come to its end.
        """
        super().reset(seed=seed)
        self._refuse_killed()
        self._playing = False
        if self._session is not None:
            self._session.patience = self.profile.window.timeout
        try:
            view, readings, report = self._begin()
        except ScreenError:
            if self._fresh or self._killed:
                raise
            # A game in a state that the script does not know of is started anew, once.
            view, readings, report = self._begin()
        assert self._session is not None
        self._session.patience = REMADE_S
        self._stack[:] = 0
        self._view, self._resumed_ns, self._readings = None, 0, readings
        self._show(view)
        self._scorer.start(readings)
        self._clock.start()
        self._playing = True
        info = self._info(view, report, Tick(0, 0, 0, 0))
        return self._stack.copy(), info | {"readings": readings, "reward_parts": {}, "failure": ""}

    def step(self, action: ArrayLike) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Act, wait for the deadline, look.

        Raises:
            Killed: If somebody pressed Ctrl+Shift+F12. Everything has been released.
            ReaderError: If a reader of the profile raised.
            gymnasium.error.ResetNeeded: Before the first `reset` and after the end of an episode.
        """
        return self._advance(action)

    def watch(self) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """A step in which the env presses nothing, because a person plays; see `step`."""
        return self._advance(None)

    def _advance(self, action: ArrayLike | None) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        self._refuse_killed()
        if not self._playing or self._session is None:
            raise gym.error.ResetNeeded("There is no episode: call reset() before step().")
        session = self._session
        try:
            commands = [] if action is None else self.action_map.commands(action, self._seen(session.area))
            report = session.act(commands, lease(self.rate))
            if report.killed:
                self._killed, self._playing = True, False
                self._refuse_killed()
            tick = self._clock.wait()
            view = session.look()
            readings = session.read(view)
        except (CaptureError, InputError, WindowError) as error:
            return self._failed(error)
        except BaseException:
            self._let_go(session)  # whatever happened, nothing stays down
            raise
        duplicate, self._readings = self._show(view), readings
        parts, end = self._scorer.step(readings)
        self._playing = end is None
        info = self._info(view, report, tick)
        info |= {"duplicate": duplicate, "readings": readings, "reward_parts": parts, "failure": ""}
        if end is not None and end.outcome:
            info[contract.OUTCOME] = end.outcome
        info["frame_age_ms"] = (time.monotonic_ns() - view.frame.t_grab_ns) / 1e6
        return self._stack.copy(), float(sum(parts.values())), end is not None, False, info

    def pause(self) -> None:
        """Let go of everything and pause the game, as the profile says; for the time of an update.

        A pause key is pressed only while the game has the focus; without it the game plays on.
        """
        if self._session is not None and self._playing and self.profile.pause.how != "none":
            self._session.pause()
        elif self._session is not None and self._playing:
            self._session.input.release_all()

    def resume(self) -> None:
        """End `pause`; the time in between counts as no missed deadline."""
        if self._session is not None and self._playing:
            was_paused = self._session.paused
            self._session.resume()
            if was_paused:
                self._resumed_ns = time.monotonic_ns()  # no time has passed in the game
            self._clock.start()

    def describe(self, action: ArrayLike) -> str:
        """Say in words what an action does, such as ``"press Left for 50 ms"``."""
        size = self.profile.window.size or self.profile.screen_size
        area = Region(0, 0, *size) if self._session is None else self._session.area
        return self.action_map.describe(action, self._seen(area))

    def explain(self) -> dict[str, tuple[float | None, str]]:
        """Each reading of the last frame, and why it is so, with the figures that tolerances are held against."""
        if self._session is None or self._view is None:
            return {}
        return {name: (self._readings[name], words) for name, words in self._session.explain(self._view).items()}

    def render(self) -> Pixels | None:
        """The whole client area as it was last seen: uint8 RGB ``[height, width, 3]``."""
        if self.render_mode is None or self._view is None:
            return None
        return to_rgb(self._view.frame.pixels)

    @property
    def view(self) -> View | None:
        """What was last seen of the whole client area; None before the first `reset`."""
        return self._view

    def close(self) -> None:
        """Let go of everything and end everything that was started; may be called twice."""
        self._playing = self._killed = False
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _may_press(self) -> bool:
        return self.armed if self.armed is not None else self.display in STARTED

    def _begin(self) -> tuple[View, dict[str, float | None], Report]:
        try:
            session = self._opened()
            view = session.look()
            report = session.act([], lease(self.rate))
            self._killed |= report.killed  # where there is no script, nobody else asks
            self._refuse_killed()
            return view, session.read(view), report
        except ScreenError as error:
            self._lost(error)
            raise
        except BaseException:  # Ctrl+C during a script, a mistake in a reader
            self._let_go(self._session)
            raise

    def _opened(self) -> Session:
        """A session that runs, with its scripts played."""
        if self._session is not None and (self._broken or not self._is_running(self._session)):
            self._session.close()
            self._killed |= self._session.input.killed
            self._session = None
            self._refuse_killed()
        self._broken = False
        self._fresh = self._session is None
        if self._session is None:
            self._session = Session(
                self.profile,
                self.action_map.names,
                backend=self.backend,
                display=self.display,
                armed=self.armed,
                timeout=self.timeout,
            )
        else:
            self._session.input.release_all()
            if self.profile.pause.how == "stop":
                self._session.resume()  # stopped, it could not be given its size and the focus
            self._session.focus()
            self._session.resume()
            if self._session.paused:
                raise InputError(f"The game stays paused, whatever its pause key {self.profile.pause.key!r}.")
        runner = ScriptRunner(self._session, self.episode)
        if self._fresh:
            runner.run(self.profile.start, "start")
        runner.run(self.profile.reset, "reset")
        return self._session

    def _is_running(self, session: Session) -> bool:
        try:
            return session.is_running()
        except ScreenError:  # its window or its display is gone
            return False

    def _seen(self, area: Region) -> Region:
        return self.profile.observation.region or area

    def _show(self, view: View) -> bool:
        """Push a frame onto the stack; True if it is the same as the last one."""
        shown = self.profile.observation
        part = self._seen(Region(0, 0, view.frame.pixels.shape[1], view.frame.pixels.shape[0])).of(view.frame.pixels)
        newest = np.moveaxis(to_observation(part, shown.size, shown.grey), 2, 0)
        duplicate = self._view is not None and bool(np.array_equal(newest, self._stack[-self._channels :]))
        self._stack[: -self._channels] = self._stack[self._channels :]
        self._stack[-self._channels :] = newest
        if not duplicate:
            self._changed_ns = view.frame.t_grab_ns
        previous = view.frame.t_grab_ns if self._view is None else self._view.frame.t_grab_ns
        self._dt_ns = view.frame.t_grab_ns - max(previous, self._resumed_ns)
        self._view = view
        return duplicate

    def _info(self, view: View, report: Report, tick: Tick) -> dict[str, Any]:
        frame = view.frame
        assert self._session is not None
        in_time = self._dt_ns <= 2 * self._clock.period_ns
        kept_out = report.refused > 0 and (not report.focused or view.window.obscured)
        kept_out |= LAYOUT_CHANGED in report.released
        black = is_black(self._stack[-self._channels :])
        seen = view.is_clear(self._seen(self._session.area)) and not self._is_left_black(black, frame.t_grab_ns)
        return {
            "t_act_ns": report.t_ns,
            "t_obs_ns": frame.t_grab_ns,
            "frame_age_ms": (time.monotonic_ns() - frame.t_grab_ns) / 1e6,
            "dt_ms": self._dt_ns / 1e6,
            "wait_ms": tick.waited_ns / 1e6,
            "late_ms": tick.late_ns / 1e6,
            "missed": tick.missed,
            # What came too late, or was refused, was played all the same: it is not learnt from, and it counts.
            contract.COUNTED: True,
            contract.TRANSITION: in_time and seen and not kept_out and not self._session.paused,
            "duplicate": False,
            "unchanged_s": (frame.t_grab_ns - self._changed_ns) / 1e9,
            "black": black,
            "clipped": frame.clipped,
            "obscured": view.window.obscured,
            "resized": view.resized,
            "focused": report.focused,
            "held": report.held,
            "refused": report.refused,
            "dropped": report.dropped,
            "released": report.released,
            "input_restarts": self._session.input.restarts,
        }

    def _is_left_black(self, black: bool, now: int) -> bool:
        """Whether there has been nothing to be seen for a while; said once, when that begins."""
        if not black:
            self._black_ns = 0
            return False
        self._black_ns = self._black_ns or now
        black_s = (now - self._black_ns) / 1e9
        if black_s >= BLACK_S and not self._black_said:
            self._black_said = True
            gym.logger.warn(
                f"The picture of {self.profile.name!r} has been black for {black_s:.1f} s, and is no transition until "
                "it is not. Does the game draw in another window, or only on a real GPU (try display='nested')?"
            )
        return black_s >= BLACK_S

    def _failed(self, error: ScreenError) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """The step that lost the game: the episode is truncated, and its last row is no transition."""
        self._lost(error)
        self._failures.append(time.monotonic())
        if len(self._failures) > FAILURES and self._failures[-1] - self._failures[0] < FAILURE_WINDOW_S:
            raise error
        nothing = {contract.TRANSITION: False, contract.COUNTED: False}
        info = {"failure": str(error), **nothing, "readings": {}, "reward_parts": {}}
        return self._stack.copy(), 0.0, False, True, info

    def _lost(self, error: ScreenError) -> None:
        self._killed |= isinstance(error, Killed)
        self._let_go(self._session, LOST_S)

    def _let_go(self, session: Session | None, wait: float = 2.0) -> None:
        self._playing = False
        self._broken = True
        if session is not None:
            session.input.close(wait)
            self._killed |= session.input.killed

    def _refuse_killed(self) -> None:
        if self._killed:
            raise Killed("Ctrl+Shift+F12 was pressed: everything is released. Only after close() does reset() go on.")


def lease(rate: float) -> float:
    """Seconds that keys stay down after the beginning of a step, unless the next one begins.

    Only `step` renews it: a thread of its own would go on in a trainer that hangs. Longer, a hung or stopped trainer
    keeps its keys for longer; shorter, keys come up where a machine is just slow. So a step may be 0.15 s late, and at
    low rates a period, which is as late as a row may be that counts as a transition. From 10 Hz on that is a quarter
    of a second at most.
    """
    return 1 / rate + max(1 / rate, SPARE_S)


# Live games side by side, each in a process and display of its own: `gym.make_vec` with the options of both.
make_screen_vec = partial(make_process_vec, ScreenGameEnv, step_timeout=15.0)
