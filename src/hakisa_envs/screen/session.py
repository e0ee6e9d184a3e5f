"""All that is open while a game is played: processes, display, window, capture, input."""

from __future__ import annotations

import contextlib
import copy
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hakisa_envs.processes import how_it_ended
from hakisa_envs.screen.backends.protocols import Backend, Display, Program
from hakisa_envs.screen.capture import Frame
from hakisa_envs.screen.errors import InputError, ProcessError, ProfileError, ReaderError, WindowError
from hakisa_envs.screen.game import GameProfile, fill, resolve_path
from hakisa_envs.screen.image import blank, pad, save_screenshot
from hakisa_envs.screen.input.client import Command, Report
from hakisa_envs.screen.input.keys import TYPED
from hakisa_envs.screen.input.presses import TAP_NS
from hakisa_envs.screen.programs import find_program, why_not_started
from hakisa_envs.screen.readers import explain
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.starts import second_of_its_own
from hakisa_envs.screen.titles import why_no_match
from hakisa_envs.screen.window_state import WindowState

T = TypeVar("T")
PING_S = 2.0  # a game that does not answer for so long hangs
PAUSE_S, PAUSE_AGAIN_S = 1.0, 0.25  # until a pause is given up, and between presses of a key that was not heard
PAUSE_TAP_S = TAP_NS / 1e9 + 0.5  # in which the pause key is pressed, for its minimum hold
REDRAWN_S = 0.3  # after which a window that was hidden has drawn itself anew, and what hid it has faded out
REMADE_S = 0.5  # within which a game that closes its window in the middle of an episode has made another


@dataclass(frozen=True)
class View:
    """A grab of the game's client area.

    Attributes:
        frame: The grab; black where it may show anything else than the game.
        window: The window at that moment.
        resized: The window has not the size that it began with; the grab has, and is black outside of the window.
        undrawn: The parts of it that were hidden a moment ago, and that the game may not have drawn anew yet.
    """

    frame: Frame
    window: WindowState
    resized: bool
    undrawn: tuple[Region, ...] = ()

    @classmethod
    def of(cls, grab: Frame, window: WindowState, resized: bool, undrawn: tuple[Region, ...]) -> View:
        """Of a grab that may show other windows: they are somebody's mail, and nothing that is kept may hold it."""
        height, width = grab.pixels.shape[:2]
        whole = Region(0, 0, width, height)
        others = (*window.covers, *undrawn) if window.shown else (whole,)
        parts = [part for other in others if (part := whole.intersect(other)) is not None]
        return cls(replace(grab, pixels=blank(grab.pixels, parts)), window, resized, undrawn)

    def is_clear(self, region: Region) -> bool:
        """True if nothing else was grabbed here in place of the game's picture."""
        return self.window.shown and not any(map(region.intersect, (*self.window.covers, *self.undrawn)))

    def shows(self, region: Region) -> bool:
        """True if this part of the client area can be seen: it is clear, in the window, and on the screen."""
        visible = self.frame.visible
        inside = not self.frame.clipped or (visible is not None and region.intersect(visible) == region)
        return inside and self.is_clear(region)


class Session:
    """Opens a game, and closes all of it; used by one thread.

    Args:
        profile: The game.
        names: Keys and buttons that may be pressed.
        backend: How it is seen and touched.
        display: As the back end knows it, such as `hakisa_envs.screen.display.open_display`.
        armed: Press really; None: only on a display that was started for the game.
        timeout: Seconds that the window system may take for anything, once all is open.

    Attributes:
        backend: How the game is seen and touched.
        dry: Nothing is really pressed.
        folder: Where the game has its HOME and the logs are; removed in the end.
        area: The client area as it was found at first, at (0, 0).
        paused: The game is paused, as far as this session did it.
        patience: Seconds within which a window that the game has closed may be followed by another.
        program: The program that was started for the game; empty if none was.
    """

    def __init__(
        self,
        profile: GameProfile,
        names: Iterable[str],
        *,
        backend: Backend,
        display: str,
        armed: bool | None,
        timeout: float,
    ) -> None:
        self.profile = profile
        self.backend = backend
        # Until all is open, as long as the window may take: first calls import and connect, on a busy machine slowly.
        self.timeout = max(timeout, profile.window.timeout)
        self.pid = os.getpid()
        self.area = Region(0, 0, 1, 1)
        self._readers = {reading.name: copy.deepcopy(reading.reader) for reading in profile.readings}
        self._game: Program | None = None
        self.paused = False
        self.patience = profile.window.timeout
        self.program = ""
        self._screen = (0, 0)
        self._hidden: tuple[Region, ...] = ()
        self._aimed_at: WindowState | None = None
        self._undrawn: list[tuple[Region, float]] = []  # with until when to wait
        self._keeper = backend.programs()
        try:
            self.folder = self._keeper.make_folder()
            log = self.folder / "display.log"
            self.display = backend.open_display(display, profile.screen_size, self._keeper, log=log)
            self.dry = not (self.display.owned if armed is None else armed)
            self.input = backend.input(self.display, names, dry=self.dry, timeout=timeout, programs=self._keeper)
            self.input.start()  # it is ready by the time that the window is there
            self._thread = backend.thread(self.display)
            self._capture = backend.capture(self.display)
            is_ours = self._launched if profile.launch.command else None
            self._finder = backend.finder(self.display, profile.window.title, is_ours, profile.window.size)
            alone = second_of_its_own(self.patience) if profile.launch.seeded_by_clock else contextlib.nullcontext()
            with alone:
                self._launch(self.display)
                self._find_window()
            self._await_input()
            self.focus()
            self.timeout = timeout
        except BaseException:
            self.close()
            raise

    def look(self) -> View:
        """Grab the client area, wherever the window is now; of another window, if the game has made itself one.

        Raises:
            ProfileError: If the profile names regions that lie outside of that.
            WindowError: If the window is gone.
            CaptureError: If the server is gone or does not answer in time.
        """
        try:
            view = self._thread.call(self._look, self.timeout)
            if (
                self._aimed_at and view.window.picture != self._aimed_at.picture
            ):  # it has become fullscreen, or is no more
                self._aim(view.window)
            if not self._finder.superseded:
                return view
        except WindowError:
            if not self._find_again():
                raise
        self._thread.call(self._finder.find, self.timeout)
        self._take_window()
        if not self.dry:
            self._thread.call(self._finder.focus, self.timeout)
        if self.input.pid:  # else it is being started, and is told later
            self._aim(self._thread.call(self._finder.state, self.timeout))
        self._hidden = (self.area,)
        return self._thread.call(self._look, self.timeout)

    def read(self, view: View) -> dict[str, float | None]:
        """What the readers make of a grab; no reading of what lies off the screen, nor while the window is hidden.

        Raises:
            ReaderError: If one raises.
        """
        readings: dict[str, float | None] = dict.fromkeys(self._readers)
        for name, reader in self._readers.items():
            if not view.shows(getattr(reader, "region", None) or self.area):
                continue
            try:
                readings[name] = reader.read(view.frame.pixels)
            except Exception as error:
                raise ReaderError(
                    f"The reader of {name!r} in the profile {self.profile.name!r} raised {error!r}."
                ) from error
        return readings

    def explain(self, view: View) -> dict[str, str]:
        """What each reader goes by in a grab, in words."""
        return {
            name: explain(reader, view.frame.pixels)
            if view.shows(getattr(reader, "region", None) or self.area)
            else "it cannot be seen: hidden, covered, outside of the window, or off the screen"
            for name, reader in self._readers.items()
        }

    def act(self, commands: Iterable[Command], lease: float) -> Report:
        """Ask for presses; what is held stays down for ``lease`` seconds."""
        return self.input.act(commands, lease)

    def focus(self) -> None:
        """Bring the window back to its size and to the front, if the env may touch the display, and aim at it.

        Raises:
            WindowError: If it has not its size after that.
        """
        if not self.dry:
            self._on_window(lambda: self._finder.restore(self.area.width, self.area.height))
            self._on_window(self._finder.focus)
        view = self._await(lambda view: not view.undrawn and (not view.resized or self.dry), 2.0)
        if view.resized and not self.dry:
            size = view.window.region
            raise WindowError(
                f"The game's window is {size.width} x {size.height} and cannot be brought back to "
                f"{self.area.width} x {self.area.height}."
            )
        self._aim(view.window)
        deadline = time.monotonic() + 2.0
        # A window manager takes a moment. Where there is none and the pointer lies outside, it need not hold yet.
        while not self.input.report().focused and self.display.owned and time.monotonic() < deadline:
            time.sleep(0.005)

    def _aim(self, window: WindowState) -> None:
        self._aimed_at = window
        self.input.set_target(window.window, window.picture)

    def is_running(self) -> bool:
        """False if the game that was launched, or its X server, has ended; or the game hangs, and not by `pause`."""
        programs = [program for program in (self._game, self.display.server) if program is not None]
        if any(program.exit_code() is not None for program in programs):
            return False
        if self._game is None or self.paused:
            return True
        pid = self._thread.call(self._finder.pid, self.timeout) or self._game.pid
        stopped = self._keeper.is_stopped(pid)
        return not stopped and self._thread.call(lambda: self._finder.answers(PING_S), PING_S + self.timeout)

    def pause(self) -> None:
        """Let go of everything; then pause the game as its profile says, if that can be done."""
        self.input.release_all()
        if self.profile.pause.how == "key":
            self.paused = self.paused or self._turn(True)
        elif self.profile.pause.how == "stop" and self._game is not None and not self.paused:
            self._game.pause()
            self.paused = True

    def resume(self) -> None:
        """End `pause`, unless the pause key cannot be pressed: then the game stays paused."""
        if self.profile.pause.how == "key" and (self.paused or self.profile.pause.until is not None):
            self.paused = not self._turn(False)  # if it can be seen, also one that heard the key too late
        elif self.paused and self._game is not None:
            self._game.resume()
            self.paused = False

    def _turn(self, paused: bool) -> bool:
        """Press the pause key until the game is ``paused``, or is not; True if it came to that."""
        key, until = self.profile.pause.key, self.profile.pause.until
        if until is None:
            return self._toggle(key)
        deadline, again = time.monotonic() + PAUSE_S, 0.0
        while until.holds(self.read(self.look())) != paused:
            if time.monotonic() > deadline:
                return False
            if time.monotonic() > again:
                if not self._toggle(key):
                    return False
                again = time.monotonic() + PAUSE_AGAIN_S
            time.sleep(0.002)
        return True

    def _toggle(self, key: str) -> bool:
        """Tap the pause key; True if it was pressed. A tap that was refused must not count: it would turn all round."""
        deadline = time.monotonic() + PAUSE_TAP_S
        report = self.act([("tap", key)], PAUSE_TAP_S)
        # It waits a moment if the same key has only just come up.
        while not (report.pressed or report.refused or report.dropped or report.killed) and time.monotonic() < deadline:
            time.sleep(0.005)
            report = self.input.report()
        return report.pressed > 0

    def close(self) -> None:
        """Let go of everything, close everything, end everything that was launched; may be called twice."""
        if os.getpid() != self.pid:  # a fork of the trainer must not take the game away from it
            return
        if hasattr(self, "input"):
            self.input.close()
        if hasattr(self, "_finder"):
            self._thread.close(self._close_connections)
        self._keeper.close()

    def _look(self) -> View:
        state = self._finder.state()
        if state.screen != self._screen:
            self._capture.close()  # mss goes by the size that the screen had when it was opened
            self._screen = state.screen
        # The size stays what it was at first, so that shapes and the readers' regions hold whatever happens.
        frame = self._capture.grab(self.area.shifted(state.region.left, state.region.top))
        before, news = state, self._finder.has_news()
        if news is not False:
            state = self._finder.state()
        size = Region(0, 0, state.region.width, state.region.height)
        inside = self.area.intersect(size)
        if inside is not None and inside != self.area:  # what lies there is not the game's
            visible = frame.visible and frame.visible.intersect(inside)
            frame = replace(frame, pixels=pad(inside.of(frame.pixels), inside, self.area), visible=visible)
        undrawn = self._update_undrawn(before, state)
        # Another window may have come and gone meanwhile, though all is as it was.
        changed = news or state != before
        return View.of(frame, state, size != self.area, (self.area,) if changed else undrawn)

    def _update_undrawn(self, before: WindowState, state: WindowState) -> tuple[Region, ...]:
        """What came to light a moment ago.

        At first it shows what was there before, which a desktop may fade out, or nothing until the game has drawn it.
        A game that is covered by nothing has drawn all before the first look.
        """
        now = time.monotonic()
        were, hidden = (one.covers if one.shown else (self.area,) for one in (before, state))
        self._undrawn += [(part, now + REDRAWN_S) for part in {*self._hidden, *were} if part not in hidden]
        self._hidden = hidden
        self._undrawn = [(part, until) for part, until in self._undrawn if now < until]
        return tuple(part for part, _ in self._undrawn)

    def _close_connections(self) -> None:
        self._capture.close()
        self._finder.close()

    def _await(self, condition: Callable[[View], bool], timeout: float) -> View:
        deadline = time.monotonic() + timeout
        while True:
            view = self.look()
            if condition(view) or time.monotonic() > deadline:
                return view
            time.sleep(0.005)

    def _launch(self, display: Display) -> None:
        if self.profile.screen.window_manager and display.owned:
            self._launch_manager(self.profile.screen.window_manager)
        launch = self.profile.launch
        if not launch.command:
            return
        home = self.folder / "home"
        home.mkdir()
        for name, content in launch.files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(content, encoding="latin-1")
        profile = self.profile.folder
        words = [fill(word, profile) for word in launch.command]
        self.program = program = find_program(launch.command[0], profile, launch.search, self.profile.name)
        given = {name: fill(value, profile) for name, value in launch.environment.items()}
        environment = {**self.backend.environment(home, display), **given}
        try:
            self._game = self._keeper.launch(
                [program, *words[1:]],
                environment=environment,
                folder=str(resolve_path(launch.folder, profile) if launch.folder else home),
                log=self.folder / "game.log",
            )
        except ProcessError as error:
            raise ProcessError(
                f"The game {self.profile.name!r} could not be started. {error}{why_not_started(program, error)}"
            ) from error

    def _launch_manager(self, name: str) -> None:
        """Start the window manager, and wait until it is there: one that comes later moves the game's window about."""
        environment = self.backend.environment(Path.home(), self.display)
        program = find_program(name, self.profile.folder, self.profile.launch.search, self.profile.name)
        manager = self._keeper.launch([program], environment=environment, log=self.folder / "wm.log")
        deadline = time.monotonic() + self.profile.window.timeout
        while not self._thread.call(self._finder.is_managed, self.timeout):
            if manager.exit_code() is not None or time.monotonic() > deadline:
                words = (self.folder / "wm.log").read_text(errors="replace")[-500:].strip()
                raise ProcessError(f"The window manager {name!r} did not start. It said: {words or 'nothing'}")
            time.sleep(0.005)

    def _await_input(self) -> None:
        try:
            self.input.wait_ready()
        except InputError as error:  # a key that this layout lacks, most of the time
            fields = [f"{where} = {key!r}: " for where, key in self.profile.key_fields() if key == error.key]
            typed = [where for where, character in self.profile.text_fields() if TYPED + character == error.key]
            fields += [f"{where}: " for where in dict.fromkeys(typed)]
            raise InputError(
                f"The profile {self.profile.name!r} in {self.profile.folder} cannot be played on display "
                f"{self.display.name}: {''.join(fields)}{error}",
                error.key,
            ) from error

    def _launched(self, pid: int | None) -> bool:
        """Whether a process was launched for the game. One that is not known was, on a display that is only for it."""
        return self.display.owned if pid is None else self._keeper.launched(pid)

    def _find_window(self) -> None:
        wanted = self.profile.window
        deadline = time.monotonic() + wanted.timeout
        while self._thread.call(self._finder.find, self.timeout) is None:
            code = self._game.exit_code() if self._game is not None else None
            if code is not None or time.monotonic() > deadline:
                raise WindowError(self._no_window(code))
            time.sleep(0.005)
        self._take_window()
        # Games resize their window while they start.
        view = self._await(lambda view: not view.resized, 2.0)
        if view.resized and self.dry:
            size = view.window.region
            raise WindowError(
                f"The game's window is {size.width} x {size.height}, but the profile {self.profile.name!r} says "
                f"window.size = [{self.area.width}, {self.area.height}]."
            )

    def _on_window(self, function: Callable[[], T]) -> T:
        """Do something with the window, or if it is just gone with the one that comes in its place."""
        try:
            return self._thread.call(function, self.timeout)
        except WindowError:
            self.look()
            return self._thread.call(function, self.timeout)

    def _find_again(self) -> bool:
        """Wait a while for a window that the game makes in place of the one that is gone; False if it does not."""
        deadline = time.monotonic() + self.patience
        while self._thread.call(self._finder.find, self.timeout) is None:
            ended = self._game is not None and self._game.exit_code() is not None
            if ended or time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _take_window(self) -> None:
        """Look at the window that was found, if it is one that the profile fits and the display has room for."""
        state = self._on_window(self._finder.state)
        width, height = self.profile.window.size or (state.region.width, state.region.height)
        self.area = Region(0, 0, width, height)
        if outside := self.profile.outside(width, height):
            where, given = outside
            raise ProfileError(
                f"The profile {self.profile.name!r} in {self.profile.folder}: {where} = {given} must lie inside the "
                f"window, which came up {width} x {height}. If it grows after that, give its size: window.size."
            )
        if width > state.screen[0] or height > state.screen[1]:
            fix = (
                f"Start a larger one: [screen] size = [{width}, {height}] in the profile {self.profile.name!r}."
                if self.display.owned
                else "Give the game a smaller window, or a display of its own: display='xvfb' or 'nested'."
            )
            raise WindowError(
                f"The game's window is {width} x {height}, but the display {self.display.name} only "
                f"{state.screen[0]} x {state.screen[1]}: it would be cut. {fix}"
            )

    def _no_window(self, code: int | None) -> str:
        titles = self._thread.call(self._finder.titles, self.timeout)
        log = self.folder / "game.log"
        words = log.read_text(errors="replace")[-500:].strip() if log.exists() else ""
        what = "The game did not show its window"
        if code is not None:
            what = f"The game ended with {f'status {code}' if code >= 0 else how_it_ended(code)}"
        if self.display.owned and not self.profile.launch.command:
            what = (
                "Nothing was launched: the profile has no launch.command, and this display was started for the game "
                "alone. Give it one, or name the display where the game runs (display='current' or ':1')"
            )
        title = self.profile.window.title
        return (
            f"{what}: none {'of its own ' if self.profile.launch.command else ''}on display {self.display.name} has a "
            f"title with {title!r} after at most {self.profile.window.timeout:g} s; there are {titles or 'none'}."
            f"{why_no_match(title, titles)} The game said: {words or 'nothing'}.{self._picture()}"
        )

    def _picture(self) -> str:
        """Where the whole display has been saved; only one that is for the game alone, and only if that works."""
        if not self.display.owned:
            return ""
        try:
            screen = Region(0, 0, *self._thread.call(self._finder.screen, self.timeout))
            frame = self._thread.call(lambda: self._capture.grab(screen), self.timeout)
            return f" The whole display is saved in {save_screenshot(frame.pixels)}"
        except Exception as error:  # no picture, but the explanation all the same
            return f" The display could not be saved ({error})."
