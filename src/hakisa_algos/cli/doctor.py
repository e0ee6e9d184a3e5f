"""``hakisa doctor``: what is installed, and what is missing. It needs no extra itself, and presses nothing."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from hakisa_algos.cli.held_keys import held, release
from hakisa_algos.cli.text import bold, dim, green, red
from hakisa_algos.errors import MissingExtraError, require
from hakisa_algos.machine import available_cores, version_of

if TYPE_CHECKING:
    from hakisa_envs.screen.backends.protocols import Backend, Display
    from hakisa_envs.screen.input.client import Link

# Program: what it is good for, the Debian package that brings it.
SERVERS = {
    "Xvfb": ("hidden displays, display='xvfb'", "xvfb"),
    "Xephyr": ("displays in a window, display='nested'", "xserver-xephyr"),
    "Xwayland": ("the same under Wayland", "xwayland"),
}
SIZE = (1920, 1080)
GRABS = 20
TIMEOUT_S = 3.0


def run(arguments: Sequence[str]) -> int:
    """Prints what one would ask for first when something does not work."""
    options = argparse.ArgumentParser("hakisa doctor", description="Show what is installed, and what is missing.")
    options.add_argument(
        "--release",
        metavar="DISPLAY",
        nargs="?",
        const="",
        help="only let go of keys that a killed run left down on an X display (default: that of DISPLAY)",
    )
    chosen = options.parse_args(list(arguments))
    if chosen.release is not None:
        print(release(chosen.release))
        return 0
    for title, lines in (
        ("machine", _machine()),
        ("packages", _packages()),
        ("extras", _extras()),
        ("torch", _torch()),
        ("tools", _tools()),
        ("live games", screen()),
        ("console games", _console_games()),
    ):
        print(bold(title))
        for name, text in lines:
            print(f"  {name:<22}{text}", flush=True)
    return 0


def _machine() -> Iterator[tuple[str, str]]:
    yield "platform", platform.platform()
    yield "python", f"{platform.python_version()} in {sys.prefix}"
    yield "cores", str(available_cores())


def _packages() -> Iterator[tuple[str, str]]:
    yield "hakisa", metadata.version("hakisa")
    for requirement, extra in _requirements():
        if not extra:
            yield requirement, version_of(requirement) or red("missing: pip install --upgrade hakisa")


def _extras() -> Iterator[tuple[str, str]]:
    needs: dict[str, list[str]] = {}
    for requirement, extra in _requirements():
        if extra and extra != "dev" and requirement != "hakisa":
            needs.setdefault(extra, []).append(requirement)
    for extra, names in needs.items():
        missing = [name for name in names if version_of(name) is None]
        if missing:
            line = f'pip install "hakisa[{extra}]"'
            yield extra, f"{red('missing')} {', '.join(missing)}: {bold(line)}"
        else:
            versions = ", ".join(f"{name} {version_of(name)}" for name in names)
            yield extra, f"{green('installed')} {dim(versions)}"


def _requirements() -> Iterator[tuple[str, str | None]]:
    """(distribution, extra or None) of all that hakisa asks for on this platform."""
    for line in metadata.requires("hakisa") or []:
        specifier, _, marker = line.partition(";")
        here = {"sys_platform": sys.platform, "platform_machine": platform.machine()}
        asked = re.findall(r"(sys_platform|platform_machine) ([!=])= ['\"](\w+)['\"]", marker)
        if any((here[name] == wanted) != (sign == "=") for name, sign, wanted in asked):
            continue
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        name = re.match(r"[\w.-]+", specifier.strip())
        if name:
            yield name[0], extra[1] if extra else None


def _torch() -> Iterator[tuple[str, str]]:
    try:
        torch = require("torch", "algos")
    except MissingExtraError as error:
        yield "torch", f"{red('missing')}: {bold(str(error))}"
        return
    yield "threads", str(torch.get_num_threads())
    yield "CPU computes bfloat16", "yes" if torch.cpu._is_avx512_bf16_supported() else "no: precision auto is fp32"
    if torch.cuda.is_available():
        bf16 = "" if torch.cuda.is_bf16_supported() else ", no bfloat16"
        yield "GPU", f"{torch.cuda.get_device_name()}{bf16}"
    else:
        yield "GPU", "none that torch sees: everything runs on the CPU"


def _tools() -> Iterator[tuple[str, str]]:
    try:
        yield "ffmpeg", str(require("imageio_ffmpeg", "video").get_ffmpeg_exe())
    except MissingExtraError as error:
        yield "ffmpeg", f"{red('missing')}, for videos: {bold(str(error))}"
    except RuntimeError as error:
        yield "ffmpeg", red(str(error))


def _console_games() -> Iterator[tuple[str, str]]:
    from hakisa_algos.cli.retro import game_lines
    from hakisa_envs.retro.library import ENVS

    for game in ENVS:
        name = ENVS[game].removeprefix("Hakisa/")
        for what, text in game_lines(game, brief=True):
            if what != "env":
                yield f"{name} {what}", text


def screen() -> Iterator[tuple[str, str]]:
    """Lines (name, text) on what live games need; what fails is a line too."""
    from hakisa_envs.screen.backends.choice import make_backend

    backend = make_backend(None)
    if backend.untested:
        words = f"{backend.untested}: live games are tested on Linux only; --arm needs --untested-platform"
        yield "platform", red(words)
    if backend.name == "portable":
        yield from _portable()
        return
    yield "session", _session()
    yield from _servers()
    if (display := os.environ.get("DISPLAY")) and not _wayland():
        yield f"capture of {display}", _guarded(lambda: _capture(display))
        yield f"keys on {display}", _guarded(lambda: held(display))
    if shutil.which("Xvfb"):
        yield "capture of an Xvfb", _guarded(_hidden_capture)
    yield "input, dry run", _guarded(_dry_run)
    if version_of("pynput") is None:
        line = bold('pip install "hakisa[portable]"')
        yield "portable back end", f"not installed, and not needed here: {line}"
    elif display and not _wayland():
        yield from _portable()


def _portable() -> Iterator[tuple[str, str]]:
    """What the back end on mss and pynput needs of a desktop."""
    from hakisa_envs.screen.backends.portable.backend import PortableBackend
    from hakisa_envs.screen.backends.portable.link import PipeLink

    backend = PortableBackend()

    def permissions() -> str:
        missing = backend.missing_permissions()
        return red(f"to be allowed first: {', '.join(missing)}") if missing else "nothing is left to be allowed"

    def imports() -> str:
        backend.check_devices()
        return f"{green('works')}: pynput {version_of('pynput')} finds keyboard and mouse"

    def opened() -> Display:
        return backend.open_display(backend.default_display, SIZE, backend.programs(), log=None)

    def titles() -> str:
        display = opened()
        thread, finder = backend.thread(display), backend.finder(display, "", None, None)
        try:
            return f"{len(thread.call(finder.titles, TIMEOUT_S))} have a title"
        finally:
            thread.close(finder.close)

    yield "portable, permissions", _guarded(permissions)
    yield "portable, pynput", _guarded(imports)
    yield "portable, capture", _guarded(lambda: _capture_by(backend, opened()))
    yield "portable, windows", _guarded(titles)
    yield "portable, dry run", _guarded(lambda: _dry_run(PipeLink()))


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
    from hakisa_envs.errors import MissingExtraError as MissingEnvExtraError
    from hakisa_envs.screen.errors import ScreenError

    try:
        return check()
    except (ScreenError, MissingEnvExtraError) as error:
        return red(str(error))


def _hidden_capture() -> str:
    from hakisa_envs.screen.display import open_display
    from hakisa_envs.screen.processes import Keeper

    keeper = Keeper()
    try:
        return _capture(open_display("xvfb", SIZE, keeper).name)
    finally:
        keeper.close()


def _capture(display: str) -> str:
    """How fast the whole of an X display, SIZE at most, is grabbed."""
    from hakisa_envs.screen.backends.choice import make_backend
    from hakisa_envs.screen.backends.protocols import Display

    return _capture_by(make_backend("x11"), Display(display, owned=False))


def _capture_by(backend: Backend, display: Display) -> str:
    from hakisa_envs.screen.region import Region

    thread, capture = backend.thread(display), backend.capture(display)
    region = Region(0, 0, *SIZE)
    try:
        first = thread.call(lambda: capture.grab(region), TIMEOUT_S)
        times = sorted(thread.call(lambda: capture.grab(region), TIMEOUT_S).grab_ns for _ in range(GRABS))
        status = capture.performance_status
    finally:
        thread.close(capture.close)
    size = "the part that is on the screen of " if first.clipped else ""
    return f"mss: {times[GRABS // 2] / 1e6:.2f} ms for {size}{SIZE[0]} x {SIZE[1]}. {status}".strip()


def _dry_run(link: Link | None = None) -> str:
    """Start an input server that is connected to no display, and have it press and release."""
    from hakisa_envs.screen.input.client import InputClient

    client = InputClient(None, ["Left"], timeout=TIMEOUT_S, link=link)
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
