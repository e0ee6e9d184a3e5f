"""``hakisa doctor``: what is installed, and what is missing. Needs no extra itself."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata

from hakisa_algos.cli.doctor_screen import release, screen
from hakisa_algos.cli.text import bold, dim, green, red
from hakisa_algos.cores import available_cores
from hakisa_algos.errors import MissingExtraError, require


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
            yield requirement, _version(requirement) or red("missing: pip install --upgrade hakisa")


def _extras() -> Iterator[tuple[str, str]]:
    needs: dict[str, list[str]] = {}
    for requirement, extra in _requirements():
        if extra and extra != "dev" and requirement != "hakisa":
            needs.setdefault(extra, []).append(requirement)
    for extra, names in needs.items():
        missing = [name for name in names if _version(name) is None]
        if missing:
            line = f'pip install "hakisa[{extra}]"'
            yield extra, f"{red('missing')} {', '.join(missing)}: {bold(line)}"
        else:
            versions = ", ".join(f"{name} {_version(name)}" for name in names)
            yield extra, f"{green('installed')} {dim(versions)}"


def _requirements() -> Iterator[tuple[str, str | None]]:
    """(distribution, extra or None) of all that hakisa asks for on this platform."""
    for line in metadata.requires("hakisa") or []:
        specifier, _, marker = line.partition(";")
        platforms = re.search(r"sys_platform == ['\"](\w+)['\"]", marker)
        if platforms and platforms[1] != sys.platform:
            continue
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        name = re.match(r"[\w.-]+", specifier.strip())
        if name:
            yield name[0], extra[1] if extra else None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


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
    if importlib.util.find_spec("imageio_ffmpeg"):
        import imageio_ffmpeg

        try:
            yield "ffmpeg", str(imageio_ffmpeg.get_ffmpeg_exe())
            return
        except RuntimeError as error:
            yield "ffmpeg", red(str(error))
    line = bold('pip install "hakisa[video]"')
    yield "ffmpeg", shutil.which("ffmpeg") or f"{red('missing')}, for videos: {line}"
