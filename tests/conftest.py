"""What holds for every test: one thread per worker, no window, no sound, no wait for the disk; in CI no silent skip."""

import multiprocessing
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# Before anything imports torch or SDL, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # more are processes, each of which imports torch
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")

# Else each of the processes that tests start, some thousands, would compile whatever it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Tests kill processes, not the machine: nothing need reach the disk, for which thousands of checkpoints would wait.
os.fsync = lambda descriptor: None

# Modules that make envs for processes import these, which takes seconds; the fork server does it once for all of them.
if hasattr(os, "fork"):
    multiprocessing.set_forkserver_preload(["__main__", "hakisa_envs.worker", "pytest", "torch"])


def fail_skip_in_ci(report):
    """With CI set, turn the report of a skip (of a test or a whole module) into one of a failure."""
    expected_failure = hasattr(report, "wasxfail")  # which pytest also reports as skipped
    if os.environ.get("CI") and report.skipped and not expected_failure:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"CI runs every test, but this was skipped. {reason}"
    return report


# By the package that has it. The ROMs are in the tree, so that nobody needs them for anything else.
COMPILERS = {"gcc-m68k-linux-gnu": "m68k-linux-gnu-gcc", "gcc-arm-none-eabi": "arm-none-eabi-gcc"}


# The suite is over when its last file is, so what lasts longest is begun first.
LONGEST = (
    "screen/test_faults.py",
    "agent/test_collapse_in_training.py",
    "cli/test_demo.py",
    "learners/test_compile.py",
    "screen/test_script.py",
    "screen/test_game_windows.py",
    "screen/test_input.py",
    "screen/test_verbs.py",
    "screen/test_shot.py",
    "agent/test_action_masks.py",
    "screen/test_lbreakout2.py",
    "screen/test_circuslinux.py",
    "screen/test_guide.py",
)


def place(path):
    """When a file comes: by its place among the longest, or after them."""
    name = Path(os.path.relpath(path, Path(__file__).parent)).as_posix()
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def pytest_collection_modifyitems(config, items):
    """Sorts files, and leaves out what needs a compiler or a package that is missing; the summary says so."""
    items.sort(key=lambda item: place(item.path))
    left_out = [
        item
        for item in items
        if any(shutil.which(mark.args[0]) is None for mark in item.iter_markers("compiler"))
        or any(find_spec(mark.args[0]) is None for mark in item.iter_markers("module"))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter):
    """Said at the end, since what is not collected is not seen to be missing."""
    if find_spec("pynput") is None:
        terminalreporter.write_line("No pynput here (extra portable): the portable back end was not tested.")
    reports = (report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ()))
    if any("tests/retro/" in report.nodeid for report in reports):
        from tests.helpers.roms import journeys, users_rom_is_there

        if not users_rom_is_there():
            terminalreporter.write_line("No ROM of Street Fighter II here: its tests ran on the Fighter's only.")
        if len(journeys()) == 1:
            terminalreporter.write_line("No ROM and start state of Emerald here: its tests ran on Monsters' only.")
        for package, compiler in COMPILERS.items():
            if shutil.which(compiler) is None:
                terminalreporter.write_line(f"No {compiler} here ({package}): a ROM was not built anew.")


# Outermost, because pytest's own wrapper marks expected failures.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport():
    return fail_skip_in_ci((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report():
    return fail_skip_in_ci((yield))
