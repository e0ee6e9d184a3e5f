"""X displays: the user's own, one that is already there, or one that the env starts for itself."""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.backends.protocols import START_S, STARTED, Display
from hakisa_envs.screen.errors import DisplayError
from hakisa_envs.screen.processes import Keeper
from hakisa_envs.screen.xthread import XThread

KINDS = (*STARTED, "current")
DEPTHS = (24, 32)  # which mss reads
EXTENSIONS = ("XTEST", "XInputExtension")


def check_kind(kind: str) -> str:
    """Return ``kind`` if it names a way to get a display.

    Raises:
        ValueError: If it is neither one of `KINDS` nor a display's name such as ``":1"``.
    """
    if kind not in KINDS and not kind.startswith(":"):
        raise ValueError(
            f"display={kind!r} is not allowed: it must be 'xvfb' (hidden), 'nested' (in a window), 'current' "
            "(your desktop) or the name of an X display such as ':1'."
        )
    return kind


def open_display(
    kind: str, size: tuple[int, int], keeper: Keeper, *, log: Path | None = None, timeout: float = START_S
) -> Display:
    """Find or start a display.

    Args:
        kind: ``"xvfb"`` starts a hidden one, ``"nested"`` one in a window of the user's desktop (Xephyr; under
            Wayland Xwayland), ``"current"`` takes the user's own, ``":N"`` one that is already there.
        size: Width and height in pixels of a display that is started.
        keeper: Owner of the server that is started; it dies with it.
        log: File for the server's output.
        timeout: Seconds that the server may take to start.

    Raises:
        DisplayError: If there is no such display, or the server is not installed or does not start.
        ValueError: If ``kind`` is none of these.
    """
    check_kind(kind)
    if kind == "xvfb":
        # -noreset: without it the server forgets everything when its last client leaves, games in between too.
        argv = [_program("Xvfb", "xvfb"), "-screen", "0", f"{size[0]}x{size[1]}x24", "-noreset", "-nolisten", "tcp"]
        return _start(argv, keeper, log, timeout)
    if kind == "nested":
        return _start(_nested(size), keeper, log, timeout)
    if kind == "current":
        if not os.environ.get("DISPLAY"):
            raise DisplayError("display='current' needs DISPLAY, which is not set. Use display='xvfb'.")
        kind = os.environ["DISPLAY"]
    check_display(kind, timeout)
    return Display(kind, owned=False)


def _start(argv: list[str], keeper: Keeper, log: Path | None, timeout: float) -> Display:
    reading, writing = os.pipe()
    try:
        try:
            # The server picks a free number by itself and writes it once it accepts clients.
            server = keeper.launch([*argv, "-displayfd", "{fd}"], environment=dict(os.environ), log=log, fd=writing)
        finally:
            os.close(writing)
        number = _read_line(reading, timeout)
    finally:
        os.close(reading)
    if not number:
        server.stop()
        words = "" if log is None else log.read_text(errors="replace")[-1000:].strip()
        raise DisplayError(f"{Path(argv[0]).name} did not start within {timeout:g} s. It said: {words or 'nothing'}")
    return Display(f":{number}", owned=True, server=server)


def _read_line(fd: int, timeout: float) -> str:
    data, deadline = b"", time.monotonic() + timeout
    while not data.endswith(b"\n"):
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return ""
        more = os.read(fd, 64)
        if not more:
            return ""
        data += more
    return data.decode().strip()


def _nested(size: tuple[int, int]) -> list[str]:
    if os.environ.get("WAYLAND_DISPLAY"):
        return [_program("Xwayland", "xwayland"), "-geometry", f"{size[0]}x{size[1]}", "-noreset", "-decorate"]
    if not os.environ.get("DISPLAY"):
        raise DisplayError("display='nested' needs a desktop to show its window on. Use display='xvfb'.")
    # Else Ctrl+Shift, part of the kill chord, takes the keyboard away from the desktop, and gives it back.
    argv = [_program("Xephyr", "xserver-xephyr"), "-screen", f"{size[0]}x{size[1]}x24", "-noreset"]
    return [*argv, "-no-host-grab", "-name", window_name()]


def window_name() -> str:
    """The resource name of the windows that this process shows nested displays in: their titles tell another number."""
    return f"hakisa-{os.getpid()}"


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise DisplayError(f"{name} is not installed. On Debian and Ubuntu: sudo apt-get install {package}")
    return path


def check_display(name: str, timeout: float) -> None:
    """Refuse a display that was there before if games cannot be seen or played on it, and say why.

    Raises:
        CaptureError: If it does not answer in time.
        DisplayError: If it cannot be opened, has too few colours or extensions, or shows a Wayland desktop.
    """
    if not sys.platform.startswith("linux"):
        raise DisplayError(f"backend='x11' needs Linux, and this is {sys.platform}: use backend='portable'.")
    thread = XThread(name)
    try:
        thread.call(lambda: _check(name), timeout)
    finally:
        thread.close()


def _check(name: str) -> None:
    xdisplay = import_extra("Xlib.display", extra="screen", needed_by="a live game")
    why_closed = ""
    try:
        connection = xdisplay.Display(name)
    except Exception as error:  # python-xlib raises a dozen kinds
        why_closed = _why_closed(error)
    if why_closed:  # without its cause, which would keep the sockets open that python-xlib has left
        raise DisplayError(f"Display {name} cannot be opened: {why_closed}")
    try:
        missing = [extension for extension in EXTENSIONS if connection.query_extension(extension) is None]
        depth = connection.screen().root_depth
        if depth not in DEPTHS:
            raise DisplayError(
                f"Display {name} has a colour depth of {depth} bits, and games are read at 24 or 32. Start it with "
                f"more: Xvfb {name} -screen 0 1280x720x24"
            )
        if missing:
            raise DisplayError(
                f"Display {name} lacks the X extension {', '.join(missing)}: keys cannot be pressed there."
            )
        if _is_xwayland(connection):
            raise DisplayError(
                f"Display {name} belongs to a Wayland session, which lets no program see or press in another's window. "
                "Let the env start the game in an X display of its own: display='nested' (visible) or display='xvfb' "
                "(hidden)."
            )
    finally:
        connection.close()


def _why_closed(error: Exception) -> str:
    words = str(error)
    if any(word in words.lower() for word in ("authoriz", "no protocol", "cookie", "auth")):
        cookies = os.environ.get("XAUTHORITY") or "~/.Xauthority"
        return (
            f"its X server lets nobody in without its cookie, and {cookies} holds none that fits. Run as the user who "
            f"started it, with XAUTHORITY naming that user's file, or let this one in there: xhost "
            f"+si:localuser:$USER. It said: {words}"
        )
    if "display name" in words.lower() or type(error).__name__ == "DisplayNameError":
        return "that is no name of a display; they look like ':1'."
    return (
        f"no X server answers there ({words or type(error).__name__}). Start one, name another display, or let the env "
        "start its own: display='xvfb'."
    )


def _is_xwayland(connection: Any) -> bool:
    """Whether an X server shows its windows on a Wayland desktop: it says so itself.

    Environment variables do not tell: an Xvfb may run in a Wayland session, and Xwayland under any number.
    """
    if connection.query_extension("XWAYLAND") is not None:
        return True
    # Xwayland before 23.1 has no such extension, but gives its monitors names of their own.
    root = connection.screen().root
    monitors = root.xrandr_get_monitors().monitors if hasattr(root, "xrandr_get_monitors") else []
    return any(connection.get_atom_name(monitor.name).startswith("XWAYLAND") for monitor in monitors)
