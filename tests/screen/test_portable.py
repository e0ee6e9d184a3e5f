"""The portable back end itself: finding windows, launching, and what it says where something is missing."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hakisa_envs.errors import MissingExtraError
from hakisa_envs.screen.backends.portable import backend as portable
from hakisa_envs.screen.backends.portable.death import wait_for_end
from hakisa_envs.screen.backends.portable.finder import PortableFinder
from hakisa_envs.screen.backends.portable.programs import PortablePrograms
from hakisa_envs.screen.backends.portable.system import DesktopWindow, Sight
from hakisa_envs.screen.errors import DisplayError, ProcessError, WindowError
from hakisa_envs.screen.image import Region

from .helpers import gone, wait_until

SCREEN, PLACE = Region(0, 0, 1000, 800), Region(10, 20, 640, 480)


class Desktop:
    """Windows that are made up, the frontmost first."""

    def __init__(self, *windows, screen=SCREEN):
        self.stack, self.area, self.above, self.shown = list(windows), screen, (), True
        self.calls = []

    def windows(self):
        return list(self.stack)

    def look(self, number):
        found = [window for window in self.stack if window.number == number]
        return Sight(found[0].region, self.shown, self.above) if found else None

    def screen(self):
        return self.area

    def show(self, number, region):
        self.calls.append(("show", number, region))

    def activate(self, number):
        self.calls.append(("activate", number))

    def answers(self, number, timeout):
        return True

    def close(self):
        self.calls.append("close")


def window(number, title="game", pid=7, region=PLACE):
    return DesktopWindow(number, title, pid, region)


def finder(desktop, **more):
    return PortableFinder(lambda: desktop, "^game", **more)


def test_only_window_that_fits_is_found_and_two_are_named():
    desktop = Desktop(window(1, "mail"), window(2))
    found = finder(desktop)
    assert found.find() == 2
    assert found.titles() == ["mail", "game"]
    desktop.stack.append(window(3, "game two", pid=8))
    with pytest.raises(WindowError, match=r"2 windows on the desktop.*\['game', 'game two'\]"):
        finder(desktop).find()
    assert found.find() == 2  # the other is of another program
    assert finder(Desktop(window(1, "mail"))).find() is None


def test_of_the_launched_programs_windows_the_one_with_the_size_or_the_largest_is_taken():
    small, large = window(1, region=Region(0, 0, 100, 100)), window(2)
    other = window(3, pid=9, region=Region(0, 0, 900, 700))
    assert finder(Desktop(small, large, other), is_ours=lambda pid: pid == 7).find() == 2
    assert finder(Desktop(small, large, other), is_ours=lambda pid: pid == 7, size=(100, 100)).find() == 1


def test_splash_is_superseded_by_the_window_that_comes_after_it(monkeypatch):
    monkeypatch.setattr("hakisa_envs.screen.backends.portable.finder.SEARCH_S", 0.0)
    desktop = Desktop(window(1, region=Region(0, 0, 100, 100)))
    found = finder(desktop, is_ours=lambda pid: True)
    found.find()
    found.state()
    assert not found.superseded
    desktop.stack.append(window(2))
    found.state()
    assert found.superseded
    assert found.find() == 2
    found.state()
    assert not found.superseded


def test_state_tells_what_covers_the_window_in_its_own_coordinates():
    desktop = Desktop(window(1))
    found = finder(desktop)
    found.find()
    assert not found.state().obscured
    desktop.above = (Region(0, 0, 30, 30), Region(900, 700, 10, 10))
    state = found.state()
    assert (state.obscured, state.covers, state.screen) == (True, (Region(0, 0, 20, 10),), (1000, 800))
    desktop.above, desktop.shown = (), False
    assert (found.state().obscured, found.state().shown) == (True, False)
    desktop.stack.clear()
    with pytest.raises(WindowError, match="is gone"):
        found.state()


@pytest.mark.parametrize(
    ("region", "screen", "asked"),
    [
        (Region(10, 20, 640, 480), Region(0, 0, 1000, 800), None),
        (Region(10, 20, 300, 300), Region(0, 0, 1000, 800), Region(10, 20, 640, 480)),
        (Region(500, 20, 640, 480), Region(0, 0, 1000, 800), Region(0, 0, 640, 480)),
        (Region(-900, 20, 640, 480), Region(-1000, 0, 2000, 800), None),  # on a monitor left of the main one
    ],
)
def test_window_gets_its_size_back_and_is_moved_onto_the_screen(region, screen, asked):
    desktop = Desktop(window(1, region=region), screen=screen)
    found = finder(desktop)
    found.find()
    found.restore(640, 480)
    found.focus()
    found.close()
    found.close()
    assert desktop.calls == [("show", 1, asked), ("activate", 1), "close"]


@pytest.fixture
def programs():
    owner = PortablePrograms()
    yield owner
    owner.close()


def launch(programs, code, **more):
    return programs.launch([sys.executable, "-c", code], environment=dict(os.environ), **more)


def test_program_says_how_it_ended_and_where_its_output_went(programs, tmp_path):
    program = launch(programs, "print('hello'); raise SystemExit(3)", log=tmp_path / "log", folder=str(tmp_path))
    wait_until(lambda: program.exit_code() is not None)
    assert program.exit_code() == 3
    assert (tmp_path / "log").read_text() == "hello\n"
    killed = launch(programs, "import os; os.kill(os.getpid(), 9)")
    wait_until(lambda: killed.exit_code() is not None)
    assert killed.exit_code() == -9


def test_program_runs_as_long_as_what_it_started_and_both_are_stopped(programs):
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']).pid)"
    folder = programs.make_folder()
    program = launch(programs, code, log=folder / "log")
    child = int(wait_until(lambda: (folder / "log").read_text().strip()))
    wait_until(lambda: gone(program.pid))
    assert program.exit_code() is None
    assert programs.launched(child)
    assert not programs.launched(os.getpid())
    programs.close()
    assert gone(child)
    assert not folder.exists()
    with pytest.raises(ProcessError, match="closed"):
        launch(programs, "")


def test_paused_program_stands_still_and_can_be_stopped(programs):
    def state():
        with open(f"/proc/{program.pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0]

    program = launch(programs, "import time\nwhile True: time.sleep(0.01)")
    program.pause()
    wait_until(lambda: state() == "T")
    program.resume()
    wait_until(lambda: state() in "SR")
    program.pause()
    program.stop()
    assert gone(program.pid)


def test_program_that_cannot_be_started_says_why(programs, tmp_path):
    with pytest.raises(ProcessError, match=r"no-such-game.*failed: .*No such file"):
        programs.launch([str(tmp_path / "no-such-game")], environment={})


def test_all_that_was_launched_ends_when_the_trainer_is_killed():
    code = (
        "import os, sys, time\n"
        "from hakisa_envs.screen.backends.portable.programs import PortablePrograms\n"
        "program = PortablePrograms().launch([sys.executable, '-c', 'import time; time.sleep(99)'],"
        " environment=dict(os.environ))\n"
        "print(program.pid, flush=True)\n"
        "time.sleep(99)"
    )
    trainer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(trainer.stdout.readline())
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    wait_until(lambda: gone(pid), 2.0)


def test_end_of_a_process_is_told_at_once_and_of_none_too():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
    began = time.monotonic()
    os.kill(child.pid, signal.SIGKILL)
    wait_for_end(child.pid)
    child.wait()
    wait_for_end(child.pid)
    assert time.monotonic() - began < 5.0


def test_windows_waits_for_the_end_of_a_process_by_a_handle(monkeypatch):
    calls = []

    class Kernel32:
        def OpenProcess(self, access, inherit, pid):
            calls.append(("open", access, pid))
            return 0 if pid == 1 else 50

        def WaitForSingleObject(self, handle, timeout):
            calls.append(("wait", handle, timeout))

        def CloseHandle(self, handle):
            calls.append(("close", handle))

    monkeypatch.delattr(os, "pidfd_open")
    wait_for_end(2, Kernel32())
    wait_for_end(1, Kernel32())
    assert calls == [("open", 0x100000, 2), ("wait", 50, 0xFFFFFFFF), ("close", 50), ("open", 0x100000, 1)]


def test_missing_permissions_stop_it_before_anything_is_opened(monkeypatch):
    made = portable.PortableBackend()
    made._system = type("System", (), {
        "prepare": lambda self: None,
        "missing_permissions": lambda self, press: ["Settings > Accessibility"] if press else ["Settings > Screen"],
    })()  # fmt: skip
    with pytest.raises(DisplayError, match=r"Allow it.*under Settings > Screen; then start it again"):
        made.open_display("current", (0, 0), PortablePrograms(), log=None)
    with pytest.raises(DisplayError, match="Settings > Accessibility"):
        made.input(None, [], dry=False, timeout=1.0, programs=PortablePrograms())


def test_desktop_that_is_not_there_is_named(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(DisplayError, match="DISPLAY, which is not set"):
        portable.PortableBackend().open_display("current", (0, 0), PortablePrograms(), log=None)


def test_library_that_is_missing_comes_with_the_line_that_installs_it(desktop, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynput.keyboard", None)
    made = portable.PortableBackend()
    with pytest.raises(MissingExtraError, match=r'pip install "hakisa\[portable\]"'):
        made.listener(made.open_display("current", (0, 0), PortablePrograms(), log=None), ["Left"], 1)


# What Windows lacks; a module that is imported there must do without.
ELSEWHERE = """
import json, sys
for name in {missing}:
    sys.modules[name] = None
sys.platform = "{platform}"
import hakisa_envs.screen.env, hakisa_envs.screen.probe
from hakisa_envs.screen.backends.choice import make_backend
backend = make_backend(None)
import hakisa_envs.screen.backends.portable.server
env = hakisa_envs.screen.env.ScreenGameEnv("flash")
print(json.dumps([backend.name, env.display, backend.untested]))
"""


@pytest.mark.parametrize(
    ("platform", "missing", "name"),
    [("win32", ["fcntl", "pwd", "grp", "resource", "termios", "tty", "pty"], "Windows"), ("darwin", [], "macOS")],
)
def test_modules_are_imported_where_there_is_no_linux(platform, missing, name):
    # Gymnasium first: it is not ours to be tried.
    code = "import gymnasium, numpy, multiprocessing.context, subprocess, selectors, shutil, tempfile\n" + ELSEWHERE
    code = code.format(platform=platform, missing=missing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["portable", "current", name]
