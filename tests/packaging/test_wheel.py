"""The distribution holds our source and nothing else, and says what it needs."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGES = ("hakisa_algos", "hakisa_envs")

# The console games in the wheel, which are ours.
ROMS = {
    "hakisa_envs/retro/homebrew/fighter/HakisaFighter-Genesis-v0/rom.md",
    "hakisa_envs/retro/homebrew/monsters/HakisaMonsters-GbAdvance-v0/rom.gba",
    "hakisa_envs/retro/homebrew/walk/HakisaWalk-GameBoy-v0/rom.gb",
}

# Files of the packages that are neither Python nor py.typed, relative to src: declare each one here.
DATA = frozenset(
    {
        "hakisa_algos/comparison/report.html",
        "hakisa_algos/training/report.html",
        "hakisa_envs/screen/games/flash.toml",
        *(f"hakisa_envs/screen/games/{game}.toml" for game in ("circuslinux", "lbreakout2", "xdemineur")),
        *(f"hakisa_envs/screen/games/{game}/digits.txt" for game in ("circuslinux", "lbreakout2", "xdemineur")),
        *(
            path.relative_to(ROOT / "src").as_posix()
            for folder in ("homebrew", "games")
            for path in (ROOT / "src/hakisa_envs/retro" / folder).rglob("*")
            if path.suffix in {".c", ".h", ".s", ".ld", ".txt", ".json", ".sha", ".state"} or path.name == "Makefile"
        ),
        *ROMS,
    }
)

EXTRAS = {
    "algos": {"torch", "safetensors", "tyro", "rich"},
    "screen": {"mss", "python-xlib", "opencv-python-headless", "tyro", "rich"},
    "retro": {"stable-retro", "opencv-python-headless"},
    "atari": {"ale-py", "opencv-python-headless"},
    "sb3": {"stable-baselines3"},
    "tensorboard": {"tensorboard"},
    "wandb": {"wandb"},
    "video": {"imageio-ffmpeg", "pygame-ce"},
    "ray": {"ray"},
    "report": {"matplotlib"},
    "record": {"imageio-ffmpeg", "pygame-ce"},
}


# Not of "all": on Linux it needs a C compiler, and is of use to few.
PORTABLE = EXTRAS["screen"] | {"pynput"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """A wheel built as a release is: the sdist from the tree, the wheel from the sdist; no network."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(wheel.read("hakisa-0.1.0.dist-info/METADATA").decode())


def required_names(metadata: Message, extra: str | None, platform: str = "linux", machine: str = "x86_64") -> set[str]:
    """Names of the distributions required by `extra`, or by the base install for None."""
    names = set()
    for text in metadata.get_all("Requires-Dist", []):
        parsed = Requirement(text)
        in_base = parsed.marker is None or "extra" not in str(parsed.marker)
        if extra is None:
            wanted = in_base
        else:
            wanted = not in_base and parsed.marker.evaluate(
                {"extra": extra, "sys_platform": platform, "platform_machine": machine}
            )
        if wanted:
            names.add(parsed.name)
    return names


def test_the_wheel_holds_exactly_our_source(wheel):
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for package in PACKAGES
        for path in (ROOT / "src" / package).rglob("*.py")
    }
    marks = {f"{package}/py.typed" for package in PACKAGES}
    info = {
        f"hakisa-0.1.0.dist-info/{name}"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    assert sorted(wheel.namelist()) == sorted(source | marks | DATA | info)


def test_no_test_game_model_or_bytecode_is_in_the_wheel(wheel):
    games_and_models = {
        ".bin",
        ".gb",
        ".gba",
        ".md",
        ".gen",
        ".smd",
        ".npz",
        ".pt",
        ".pth",
        ".safetensors",
        ".zip",
    }
    for name in map(PurePosixPath, wheel.namelist()):
        assert not {"tests", "__pycache__", "runs"} & set(name.parts), name
        assert name.suffix not in games_and_models | {".pyc", ".so"} or str(name) in ROMS, name


def test_only_gymnasium_and_numpy_are_needed(metadata):
    assert required_names(metadata, None) == {"gymnasium", "numpy"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_needs_exactly(metadata, extra):
    assert required_names(metadata, extra) == EXTRAS[extra]


def test_the_extra_all_is_every_extra_of_users(metadata):
    assert set(metadata.get_all("Provides-Extra")) == {*EXTRAS, "portable", "all", "dev"}
    assert required_names(metadata, "all") == set.union(*EXTRAS.values())


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
def test_pynput_comes_with_live_games_where_there_is_no_x11(metadata, platform):
    assert required_names(metadata, "portable", platform) == PORTABLE
    assert ("pynput" in required_names(metadata, "screen", platform)) == (platform != "linux")


@pytest.mark.parametrize(
    ("platform", "machine", "emulated"),
    [("darwin", "arm64", True), ("darwin", "x86_64", True), ("linux", "aarch64", False), ("win32", "AMD64", False)],
)
def test_all_asks_for_the_emulator_only_where_there_is_one(metadata, platform, machine, emulated):
    for extra in ("retro", "all"):
        assert ("stable-retro" in required_names(metadata, extra, platform, machine)) == emulated


def test_licence_python_and_console_script(wheel, metadata):
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert wheel.read("hakisa-0.1.0.dist-info/entry_points.txt").decode().split("\n\n")[0].strip() == (
        "[console_scripts]\nhakisa = hakisa_algos.cli.main:main"
    )
