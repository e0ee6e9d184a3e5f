"""The habits of a contributor: make's help and its errors, and CI's rule that nothing is skipped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SKIPS_TWO_AND_FAILS_ONE_AS_EXPECTED = """
import pytest

@pytest.mark.skip(reason="no such machine")
def test_marked():
    pass

def test_skips_itself():
    pytest.skip("no such game")

@pytest.mark.xfail
def test_expected_to_fail():
    assert False
"""


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=plain, capture_output=True, text=True, timeout=600)


def run_pytest(folder: Path, module: str, ci: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on `module` under the conftest of this suite."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_it.py").write_text(module)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        str(folder),
        "--rootdir",
        str(folder),
    ]
    return subprocess.run(command, cwd=folder, env=os.environ | {"CI": ci}, capture_output=True, text=True, timeout=600)


def test_help_names_every_command():
    done = make("help")
    assert done.returncode == 0
    for name in ("demo", "test", "check", "bench"):
        assert f"make {name} " in done.stdout


def test_a_python_too_old_is_refused_by_name(tmp_path):
    old = tmp_path / "python3.10"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.10.4"\nexit 1\n')
    old.chmod(0o755)
    done = make("demo", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.10.4" in done.stderr
    assert "make demo PYTHON=" in done.stderr


def test_a_python_that_is_not_there_is_refused_by_name(tmp_path):
    done = make("test", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert "there is no 'no-such-python' here" in done.stderr


def test_a_skip_passes_at_home_and_fails_in_ci(tmp_path):
    assert run_pytest(tmp_path, SKIPS_TWO_AND_FAILS_ONE_AS_EXPECTED, ci="").returncode == 0
    in_ci = run_pytest(tmp_path, SKIPS_TWO_AND_FAILS_ONE_AS_EXPECTED, ci="true")
    assert in_ci.returncode == 1
    assert "this was skipped. Skipped: no such machine" in in_ci.stdout
    assert "this was skipped. Skipped: no such game" in in_ci.stdout
    assert "1 failed, 1 xfailed, 1 error" in in_ci.stdout


@pytest.mark.parametrize(("ci", "status"), [("", 5), ("true", 2)])
def test_a_module_skipped_as_a_whole_fails_in_ci(tmp_path, ci, status):
    """At home pytest says 5, no test collected; in CI 2, an error while collecting."""
    done = run_pytest(tmp_path, "import pytest\npytest.importorskip('no_such_module')\n", ci)
    assert done.returncode == status
    assert ("this was skipped" in done.stdout) == bool(ci)


@pytest.fixture
def machine(tmp_path):
    """Runs scripts/system-packages.sh where there are no X servers, and only the given programs."""

    def run(**programs: str) -> str:
        for name, script in programs.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        script = ROOT / "scripts" / "system-packages.sh"
        done = subprocess.run(
            ["/bin/sh", str(script)], env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=600
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_missing_system_packages_are_named_to_those_who_may_not_install_them(machine):
    assert "sudo apt-get update && sudo apt-get install xvfb xserver-xephyr" in machine(id="echo 1000")


def test_root_gets_missing_system_packages_installed_after_an_update_if_that_takes_one(machine, tmp_path):
    log = tmp_path / "log"
    apt = f'echo "$*" >> {log}; [ "$1" = update ] && : > {tmp_path}/updated; [ -e {tmp_path}/updated ]'
    said = machine(id="echo 0", apt_get=apt)
    assert said.count("\n") == 1
    assert said.startswith("Installing xvfb xserver-xephyr")
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["install", "update", "install"]


def test_an_installation_that_fails_ends_no_test_run(machine):
    assert "sudo apt-get install xvfb" in machine(id="echo 0", apt_get="exit 100")


def test_nothing_is_said_where_nothing_is_missing(machine):
    screen = {"Xvfb": "", "Xephyr": "", "openbox": "", "xterm": "", "setxkbmap": ""}
    games = {"lbreakout2": "", "kobodl": "", "circuslinux": "", "xdemineur": ""}
    compilers = {"m68k_linux_gnu_gcc": "", "arm_none_eabi_gcc": ""}
    assert machine(**screen, **games, **compilers, chromium="") == ""
