"""What a live game is seen and touched through. Whoever plays knows these, and no window system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hakisa_envs.recording.events import Event
from hakisa_envs.screen.region import Region

if TYPE_CHECKING:
    from hakisa_envs.screen.capture import Frame
    from hakisa_envs.screen.input.client import InputClient
    from hakisa_envs.screen.window_state import WindowState
    from hakisa_envs.screen.xthread import XThread


STARTED = ("xvfb", "nested")  # displays that the env starts for a game
START_S = 30.0  # that a process of ours may take to start, and a display to answer, on a machine that is busy


class Capture(Protocol):
    """Grabs regions of a screen. Used in one thread; nothing is opened before the first `grab`."""

    @property
    def performance_status(self) -> str:
        """What there is to say about the speed of the path that it took."""

    def grab(self, region: Region) -> Frame:
        """Grab ``region`` of the screen, now; it may lie partly or wholly outside, where the picture is black."""

    def close(self) -> None:
        """Close what was opened; may be called twice."""


class Finder(Protocol):
    """Finds and watches the game's window. Used in one thread; nothing is opened before the first call.

    Attributes:
        superseded: Since the last `find` the game has shown another window that fits better: this one was a splash.
    """

    superseded: bool

    def find(self) -> int | None:
        """The number of the game's window, None if it is not there; a WindowError if several may be it."""

    def titles(self) -> list[str]:
        """The titles of all windows on the screen, for messages."""

    def screen(self) -> tuple[int, int]:
        """Width and height of the whole screen, all monitors together."""

    def state(self) -> WindowState:
        """Where the window is now; a WindowError if it is gone."""

    def has_news(self) -> bool | None:
        """True if windows came, went or moved since `state`; None where that is not told without asking."""

    def restore(self, width: int, height: int) -> None:
        """Show the window, give it its size back, and move it onto the screen if it sticks out."""

    def focus(self) -> None:
        """Show the window, put it in front and give it the focus."""

    def pid(self) -> int | None:
        """The window's process, if it is known."""

    def answers(self, timeout: float) -> bool:
        """False if it can be told that the window's program hangs."""

    def is_managed(self) -> bool:
        """True once a window manager is at work."""

    def close(self) -> None:
        """Close what was opened; may be called twice."""


class Program(Protocol):
    """A program that was launched, together with everything that it starts itself."""

    pid: int

    def exit_code(self) -> int | None:
        """None while it runs, or what it started does; then its exit status, negative if a signal ended it."""

    def pause(self) -> None:
        """Stop it, and all that it started."""

    def resume(self) -> None:
        """Let it go on after `pause`."""

    def stop(self) -> None:
        """End it and all that it started; returns when they are gone."""


class Programs(Protocol):
    """Owns what the env launches: all of it is gone within 2 s of this process's death."""

    def launch(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: str | None = None,
        log: Path | None = None,
    ) -> Program:
        """Start a program with this whole environment; its output is appended to ``log``."""

    def launched(self, pid: int) -> bool:
        """Whether a process is one that was launched, or was started by one."""

    def is_stopped(self, pid: int) -> bool:
        """Whether a process was stopped, as by SIGSTOP, as far as that can be told."""

    def make_folder(self) -> Path:
        """A new folder among the temporary files, that is removed after everything has ended."""

    def close(self) -> None:
        """End everything that was launched and wait for it; may be called twice."""


class Listener(Protocol):
    """Hears what a person does with keyboard and mouse, while the game has the focus."""

    @property
    def is_alive(self) -> bool:
        """Whether it still listens."""

    @property
    def held(self) -> list[str]:
        """What is down now, as far as it went down while the game had the focus."""

    def take(self) -> list[Event]:
        """What came since the last call, in order; an InputError if it does not listen any more."""

    def close(self) -> None:
        """Stop listening; may be called twice."""


class Watcher(Protocol):
    """Says, in gaps and their ends, when a person's keys do not reach the display that the game is on."""

    def take(self) -> list[Event]:
        """Gaps and their ends since the last call; an InputError if it does not watch any more."""

    def close(self) -> None:
        """Stop watching; may be called twice."""


class Sign(Protocol):
    """A red dot on the display, beside the game, while a person's input is recorded.

    Attributes:
        beside: Where the game was when it was last shown.
    """

    beside: Region | None

    def show(self, game: Region) -> bool:
        """Show it above all windows, beside the game, whose place on the screen is given; False if there is no room."""

    def close(self) -> None:
        """Remove it; may be called twice."""


@dataclass(frozen=True)
class Display:
    """A display or desktop that games are played on.

    Attributes:
        name: What it is called, such as ``":7"``, which DISPLAY is set to.
        owned: True if the env started it, so that nothing but the game can be hit there.
        server: The X server, if the env started it.
    """

    name: str
    owned: bool
    server: Program | None = None


class Backend(Protocol):
    """All that a live game needs of a window system.

    Attributes:
        name: What ``backend=`` calls it.
        default_display: Where games are played unless somebody says otherwise.
        untested: The operating system's name, where nobody has tried what a press hits; else empty.
    """

    name: str
    default_display: str
    untested: str

    def check_display(self, kind: str) -> str:
        """Return ``kind`` if games can be played there; else a ValueError."""

    def programs(self) -> Programs:
        """What owns the programs that are launched."""

    def open_display(self, kind: str, size: tuple[int, int], programs: Programs, *, log: Path | None) -> Display:
        """Find or start a display; ``size`` is that of one that is started."""

    def environment(self, home: Path, display: Display) -> dict[str, str]:
        """That of a game on a display, with a home of its own."""

    def input(
        self, display: Display, names: Iterable[str], *, dry: bool, timeout: float, programs: Programs
    ) -> InputClient:
        """An input server that is not started yet; ``dry``: it presses nothing."""

    def thread(self, display: Display) -> XThread:
        """In which the display is looked at."""

    def capture(self, display: Display) -> Capture:
        """What grabs the display."""

    def finder(
        self,
        display: Display,
        title: str,
        is_ours: Callable[[int | None], bool] | None,
        size: tuple[int, int] | None,
    ) -> Finder:
        """What finds the game's window.

        Args:
            display: Where it is.
            title: Regular expression that is searched for in the titles.
            is_ours: Whether a window of this process (None: not known) may be the game's; the largest of those is.
                None: a window of any process may be, but there must be only one.
            size: The width and height that it has in the end, if that is known.
        """

    def listener(self, display: Display, names: Iterable[str], window: int) -> Listener:
        """What hears a person play in this window."""

    def watcher(self, kind: str, title: str) -> Watcher | None:
        """What watches over the window that the display itself is shown in, which is then called ``title``."""

    def sign(self, display: Display) -> Sign | None:
        """What shows that a recording runs; None where there is nothing of that sort."""

    def swallows_keys(self, kind: str) -> str:
        """The name of an input method that may swallow a person's keys on a display; empty if none."""
