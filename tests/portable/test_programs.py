"""Programs that are launched where there is no keeper of Linux; on whichever system this is."""

import os
import subprocess
import sys
import threading
import time

import pytest

from hakisa_envs.screen.backends.portable.death import _wait_for_handle, wait_for_end
from hakisa_envs.screen.backends.portable.link import PipeLink
from hakisa_envs.screen.backends.portable.programs import PortablePrograms
from hakisa_envs.screen.errors import ProcessError
from hakisa_envs.screen.input.client import InputClient
from tests.helpers.processes import wait_until


def ended(pid, timeout=10.0):
    """Whether a process ends in time, on any system."""
    waiting = threading.Thread(target=wait_for_end, args=(pid,), daemon=True)
    waiting.start()
    waiting.join(timeout)
    return not waiting.is_alive()


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
    assert killed.exit_code() == (9 if sys.platform == "win32" else -9)


def test_program_runs_as_long_as_what_it_started_and_both_are_stopped(programs):
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']).pid)"
    folder = programs.make_folder()
    program = launch(programs, code, log=folder / "log")
    child = int(wait_until(lambda: (folder / "log").read_text().strip()))
    assert ended(program.pid)
    assert program.exit_code() is None
    assert programs.launched(child)
    assert not programs.launched(os.getpid())
    programs.close()
    assert ended(child)
    assert not folder.exists()
    with pytest.raises(ProcessError, match="closed"):
        launch(programs, "")


def test_paused_program_stands_still_and_can_be_stopped(programs, tmp_path):
    log = tmp_path / "log"

    def counted():
        return len(log.read_bytes()) if log.exists() else 0

    def counts_on():
        before = counted()
        return wait_until(lambda: counted() > before)

    def stands_still():
        before = counted()
        time.sleep(0.1)
        return counted() == before

    program = launch(programs, "import time\nwhile True: print(1, flush=True); time.sleep(0.01)", log=log)
    counts_on()
    program.pause()
    wait_until(stands_still)
    program.resume()
    counts_on()
    program.pause()
    program.stop()
    assert ended(program.pid)


def test_program_that_cannot_be_started_says_why(programs, tmp_path):
    with pytest.raises(ProcessError, match=r"no-such-game.*failed: "):
        programs.launch([str(tmp_path / "no-such-game")], environment=dict(os.environ))


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
    assert ended(pid)


def test_end_of_a_process_is_told_at_once_and_of_none_too():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
    assert not ended(child.pid, 0.0)
    child.kill()
    assert ended(child.pid)
    child.wait()
    assert ended(child.pid)


def test_windows_waits_for_the_end_of_a_process_by_a_handle():
    calls = []

    class Kernel32:
        def OpenProcess(self, access, inherit, pid):
            calls.append(("open", access, pid))
            return 0 if pid == 1 else 50

        def WaitForSingleObject(self, handle, timeout):
            calls.append(("wait", handle, timeout))

        def CloseHandle(self, handle):
            calls.append(("close", handle))

    _wait_for_handle(2, Kernel32())
    _wait_for_handle(1, Kernel32())
    assert calls == [("open", 0x100000, 2), ("wait", 50, 0xFFFFFFFF), ("close", 50), ("open", 0x100000, 1)]


def test_dry_run_presses_nothing_and_its_server_ends_with_the_connection():
    client = InputClient(None, ["Left", "button1"], timeout=20.0, link=PipeLink())
    client.start()
    client.wait_ready(60.0)
    report = client.act([("hold", "Left"), ("tap", "button1"), ("move", 3, 4)], 10.0)
    assert (set(report.held), report.focused) == ({"Left", "button1"}, True)
    assert ("move", 3, 4) in report.record
    assert ("release", "Left") in client.release_all().record
    client.close(60.0)
    client.close()
    assert ended(client.pid)
