"""``hakisa doctor``: works whatever is missing, and says how to mend it."""

import sys
from importlib import metadata

import pytest

from hakisa_algos.cli import doctor
from hakisa_algos.cli.main import main


def test_names_versions(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for name in ("gymnasium", "numpy", "torch", "ale-py"):
        assert f"{name} {metadata.version(name)}" in " ".join(said.split())
    for extra in ("algos", "screen", "retro", "atari", "sb3", "tensorboard", "wandb", "video", "ray", "report"):
        assert f"\n  {extra} " in said


def test_a_missing_extra_comes_with_its_line(monkeypatch, capsys):
    version = metadata.version

    def without_wandb(name):
        if name == "wandb":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_wandb)
    assert main(["doctor"]) == 0
    assert 'missing wandb: pip install "hakisa[wandb]"' in capsys.readouterr().out


def test_works_without_torch_and_emulator(monkeypatch, capsys):
    version = doctor.version_of
    absent = ("torch", "ale-py", "imageio-ffmpeg", "tyro", "rich")
    monkeypatch.setattr(doctor, "version_of", lambda name: None if name in absent else version(name))
    for module in ("torch", "tyro", "rich"):
        monkeypatch.setitem(sys.modules, module, None)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert 'pip install "hakisa[algos]"' in said


def test_live_games_without_display_and_servers_name_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    said = dict(doctor.screen())
    assert said["session"].startswith("no desktop")
    assert "sudo apt-get install xvfb" in said["Xvfb"]
    assert "sudo apt-get install xserver-xephyr" in said["Xephyr"]
    assert "Xwayland" not in said
    assert not any(name.startswith("capture") for name in said)
    assert said["input, dry run"].startswith("works")


def test_live_games_under_wayland_stay_off_the_desktop(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("DISPLAY", ":0")
    said = dict(doctor.screen())
    assert said["session"].startswith("Wayland")
    assert "sudo apt-get install xwayland" in said["Xwayland"]
    assert "capture of :0" not in said


@pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning")  # python-xlib's own
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_display_that_is_not_there_is_a_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("XDG_SESSION_TYPE", raising=False)
    monkeypatch.setenv("DISPLAY", ":98765")
    said = dict(doctor.screen())
    assert ":98765 could not be read" in said["capture of :98765"]


class Elsewhere:
    """A system of which the user has allowed nothing."""

    name = untested = "macOS"

    def prepare(self):
        pass

    def check(self, timeout):
        pass

    def missing_permissions(self, press, listen=False):
        return ["System Settings > Privacy & Security > Accessibility"]


def test_live_games_elsewhere_are_untested_and_say_what_must_be_allowed(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("hakisa_envs.screen.backends.portable.backend.this_system", Elsewhere)
    monkeypatch.setitem(sys.modules, "pynput.keyboard", None)
    said = dict(doctor.screen())
    rows = ["permissions", "pynput", "capture", "windows", "dry run"]
    assert list(said) == ["platform", *(f"portable, {row}" for row in rows)]
    assert "macOS: live games are tested on Linux only" in said["platform"]
    assert said["portable, permissions"].endswith("first: System Settings > Privacy & Security > Accessibility")
    assert 'pip install "hakisa[portable]"' in said["portable, pynput"]
    assert "Allow it" in said["portable, capture"]
    assert "Privacy & Security > Accessibility" in said["portable, capture"]
    assert said["portable, dry run"].startswith("works")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_keys_that_hang_are_let_go_of_by_hand_where_there_is_no_x_server(monkeypatch, platform, capsys):
    monkeypatch.setattr(sys, "platform", platform)
    assert main(["doctor", "--release"]) == 2
    assert "press each key that hangs once" in capsys.readouterr().err


def test_the_portable_back_end_is_optional_on_linux(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    version = doctor.version_of
    monkeypatch.setattr(doctor, "version_of", lambda name: None if name == "pynput" else version(name))
    assert "not needed here: pip install" in dict(doctor.screen())["portable back end"]


@pytest.mark.parametrize(
    ("system", "machine", "asked"),
    [("linux", "x86_64", True), ("linux", "aarch64", False), ("darwin", "arm64", True), ("win32", "AMD64", False)],
)
def test_it_asks_for_nothing_that_a_platform_has_no_wheel_of(monkeypatch, system, machine, asked):
    lines = [
        "stable-retro<2,>=1.0; (sys_platform == 'linux' and platform_machine == 'x86_64') and extra == 'retro'",
        'stable-retro<2,>=1.0; (sys_platform == "darwin") and extra == "retro"',
        "opencv-python-headless>=4.11; extra == 'retro'",
    ]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: lines)
    monkeypatch.setattr(doctor.sys, "platform", system)
    monkeypatch.setattr(doctor.platform, "machine", lambda: machine)
    found = list(doctor._requirements())
    assert (("stable-retro", "retro") in found) == asked
    assert ("opencv-python-headless", "retro") in found
