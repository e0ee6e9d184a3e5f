"""The part of ``hakisa doctor`` about live games: displays, capture, input. It presses nothing."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator

from hakisa_algos.cli.text import bold, green, red
from hakisa_algos.errors import ConfigError

# Program: what it is good for, the Debian package that brings it.
SERVERS = {
    "Xvfb": ("hidden displays, display='xvfb'", "xvfb"),
    "Xephyr": ("displays in a window, display='nested'", "xserver-xephyr"),
    "Xwayland": ("the same under Wayland", "xwayland"),
}
SIZE = (1920, 1080)
GRABS = 20
TIMEOUT_S = 3.0


def screen() -> Iterator[tuple[str, str]]:
    """Lines (name, text) on what live games need; what fails is a line too."""
    if not sys.platform.startswith("linux"):
        yield "platform", red(f"{sys.platform}: live games are tested on Linux only")
        return
    yield "session", _session()
    yield from _servers()
    if (display := os.environ.get("DISPLAY")) and not _wayland():
        yield f"capture of {display}", _guarded(lambda: _capture(display))
        yield f"keys on {display}", _guarded(lambda: _held(display))
    if shutil.which("Xvfb"):
        yield "capture of an Xvfb", _guarded(_hidden_capture)
    yield "input, dry run", _guarded(_dry_run)


def _wayland() -> bool:
    return bool(os.environ.get("WAYLAND_DISPLAY")) or os.environ.get("XDG_SESSION_TYPE") == "wayland"


def _session() -> str:
    if _wayland():
        return "Wayland: games run in an X display of their own, display='nested' or 'xvfb', not on the desktop"
    if os.environ.get("DISPLAY"):
        return f"X11, display {os.environ['DISPLAY']}"
    return "no desktop (DISPLAY is not set): display='xvfb' works without one"


def _servers() -> Iterator[tuple[str, str]]:
    for program, (use, package) in SERVERS.items():
        path = shutil.which(program)
        if path is not None:
            yield program, f"{green('installed')} {path}"
        elif program != "Xwayland" or _wayland():
            yield program, f"{red('missing')}, for {use}: {bold(f'sudo apt-get install {package}')}"


def _guarded(check: Callable[[], str]) -> str:
    from hakisa_envs.errors import MissingExtraError
    from hakisa_envs.screen.errors import ScreenError

    try:
        return check()
    except (ScreenError, MissingExtraError) as error:
        return red(str(error))


def _held(display: str) -> str:
    """What programs hold down on a display, and which run it is, or that it was one which was killed."""
    from hakisa_envs.screen.display import check_display
    from hakisa_envs.screen.input.stuck import held_by_programs, input_servers
    from hakisa_envs.screen.xthread import XThread

    check_display(display, TIMEOUT_S)
    thread = XThread(display)
    try:
        names = ", ".join(contact.name for contact in thread.call(lambda: held_by_programs(display), TIMEOUT_S))
    finally:
        thread.close()
    if not names:
        return "no program holds any down"
    if running := input_servers(display):
        return f"{names} held down while a run plays there (process {', '.join(map(str, running))})"
    line = bold(f"hakisa doctor --release {display}")
    return red(f"{names} held down by a program, and no run plays there: was one killed? Let go of them: ") + line


def release(display: str) -> str:
    """Let go of what programs hold down on a display, unless a run is at work there; say what was done.

    Raises:
        ConfigError: If no display is named, or a run is at work there.
        ScreenError: If the display cannot be opened.
    """
    from hakisa_envs.screen.display import check_display
    from hakisa_envs.screen.input.stuck import held_by_programs, input_servers, let_go
    from hakisa_envs.screen.xthread import XThread

    display = display or os.environ.get("DISPLAY", "")
    if not display:
        raise ConfigError("--release needs a display, since DISPLAY is not set: hakisa doctor --release :1")
    check_display(display, TIMEOUT_S)
    if running := input_servers(display):
        raise ConfigError(f"a run plays on {display} (process {', '.join(map(str, running))}): end that first")
    thread = XThread(display)
    try:
        held = thread.call(lambda: held_by_programs(display), TIMEOUT_S)
        thread.call(lambda: let_go(display, held), TIMEOUT_S)
    finally:
        thread.close()
    return f"{display}: let go of {', '.join(contact.name for contact in held) or 'nothing: no program holds any down'}"


def _hidden_capture() -> str:
    from hakisa_envs.screen.display import open_display
    from hakisa_envs.screen.processes import Keeper

    keeper = Keeper()
    try:
        return _capture(open_display("xvfb", SIZE, keeper).name)
    finally:
        keeper.close()


def _capture(display: str) -> str:
    """How fast the whole of a display, SIZE at most, is grabbed."""
    from hakisa_envs.screen.capture import Capture
    from hakisa_envs.screen.image import Region
    from hakisa_envs.screen.xthread import XThread

    thread, capture = XThread(display), Capture(display)
    region = Region(0, 0, *SIZE)
    try:
        first = thread.call(lambda: capture.grab(region), TIMEOUT_S)
        times = sorted(thread.call(lambda: capture.grab(region), TIMEOUT_S).grab_ns for _ in range(GRABS))
        status = capture.performance_status
    finally:
        thread.close(capture.close)
    size = "the part that is on the screen of " if first.clipped else ""
    return f"mss: {times[GRABS // 2] / 1e6:.2f} ms for {size}{SIZE[0]} x {SIZE[1]}. {status}".strip()


def _dry_run() -> str:
    """Start an input server that is connected to no display, and have it press and release."""
    from hakisa_envs.screen.input.client import InputClient

    client = InputClient(None, ["Left"], timeout=TIMEOUT_S)
    began = time.perf_counter()
    try:
        client.start()
        client.wait_ready()
        ready = time.perf_counter() - began
        pressed = client.act([("hold", "Left")], TIMEOUT_S)
        released = client.release_all()
    finally:
        client.close()
    if pressed.held != ("Left",) or released.held or ("release", "Left") not in released.record:
        return red(f"the input server is wrong: it held {pressed.held}, then {released.held}, {released.record}")
    return f"{green('works')}: the input server is up after {ready:.2f} s, pressed and released a key that is none"
