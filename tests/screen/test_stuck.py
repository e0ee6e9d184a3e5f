"""All processes of a run killed together on a display that lives on: what is down, and how it is let go of."""

import contextlib
import os
import signal

import pytest
from Xlib import XK, X

from hakisa_algos.cli.main import main
from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.input.keys import keysym
from hakisa_envs.screen.input.stuck import held_by_programs, input_servers, let_go
from hakisa_envs.screen.keeper import processes
from hakisa_envs.screen.processes import Keeper
from tests.helpers.backends import BACKENDS

from .faults import Stage
from .helpers import gone, wait_until


@pytest.fixture
def stage():
    keeper = Keeper()
    stage = Stage(open_display("xvfb", (640, 480), keeper).name)
    yield stage
    stage.close()
    keeper.close()


def kill_all(stage):
    """The trainer, the input server and its guardian, none of which can do anything any more."""
    guardian = os.getpgid(stage.trainer.server)
    for pid in (stage.trainer.process.pid, guardian, stage.trainer.server):
        os.kill(pid, signal.SIGSTOP)  # or the first one's death would be noticed
    for pid in (stage.trainer.process.pid, guardian, stage.trainer.server):
        os.kill(pid, signal.SIGKILL)
    stage.trainer.process.wait()
    wait_until(lambda: gone(guardian) and gone(stage.trainer.server))


def stop(stage, *stopped):
    """Stop the trainer, and some of those who could let go or see to it; return who they all are."""
    trainer, worker = stage.trainer.process.pid, stage.trainer.server
    guardian = os.getpgid(worker)
    (keeper,) = {pid for pid, (parent, _, _) in processes().items() if parent == trainer} - {guardian}
    pids = {"guardian": guardian, "worker": worker, "keeper": keeper}
    for pid in (trainer, *(pids[name] for name in stopped)):
        os.kill(pid, signal.SIGSTOP)
    return pids.values()


@pytest.mark.parametrize(
    "stopped",
    [
        ("keeper",),
        ("guardian",),
        ("worker",),
        ("guardian", "keeper"),
        ("guardian", "worker"),
        ("worker", "keeper"),
        ("keeper", "worker"),
        ("guardian", "worker", "keeper"),
    ],
    ids="+".join,
)
def test_guards_that_are_stopped_are_continued_let_go_and_end(stage, stopped):
    stage.ready()
    pids = stop(stage, *stopped)
    stage.trainer.process.kill()
    try:
        wait_until(lambda: not stage.held(), 30.0)
        wait_until(lambda: all(map(gone, pids)), 30.0)
    finally:
        for pid in pids:  # nobody else would
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("trainer_dies", [True, False])
def test_worker_that_is_stopped_and_orphaned_is_continued_lets_go_and_ends(stage, trainer_dies):
    stage.ready()
    trainer, worker = stage.trainer.process, stage.trainer.server
    guardian = os.getpgid(worker)
    os.kill(trainer.pid, signal.SIGSTOP)  # or it would replace them
    os.kill(guardian, signal.SIGSTOP)  # or it would see the worker stop
    os.kill(worker, signal.SIGSTOP)
    os.kill(guardian, signal.SIGKILL)
    if trainer_dies:
        trainer.kill()
    try:
        wait_until(lambda: not stage.held(), 30.0)
        wait_until(lambda: gone(worker), 30.0)
    finally:
        for pid in (worker, trainer.pid):  # nobody else would
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_keys_whose_guards_are_all_stopped_are_let_go_of(stage, capsys):
    stage.ready()
    pids = stop(stage, "guardian", "worker", "keeper")
    assert stage.held() == stage.held_all
    assert main(["doctor", "--release", stage.display]) == 0
    assert "let go of Left, Right, button1" in capsys.readouterr().out
    assert not stage.held()
    stage.trainer.process.kill()
    wait_until(lambda: all(map(gone, pids)), 30.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_keys_of_a_run_that_was_killed_with_all_its_processes_are_found_and_let_go_of(
    stage, backend, monkeypatch, capsys
):
    stage.backend = backend
    monkeypatch.setenv("DISPLAY", stage.display)
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    stage.ready()
    assert {contact.name for contact in held_by_programs(stage.display)} == {"Left", "Right", "button1"}
    assert stage.trainer.server in input_servers(stage.display)
    assert main(["doctor", "--release"]) == 2  # not from a run that plays
    assert "end that first" in capsys.readouterr().err
    assert stage.held() == stage.held_all

    kill_all(stage)
    assert stage.held() == stage.held_all  # nobody is left to let go
    assert input_servers(stage.display + ".0") == []
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out.partition(f"keys on {stage.display}")[2].splitlines()[0]
    assert "Left, Right, button1 held down by a program, and no run plays there" in told
    assert f"hakisa doctor --release {stage.display}" in told

    assert main(["doctor", "--release", stage.display]) == 0
    assert "let go of Left, Right, button1" in capsys.readouterr().out
    assert not stage.screen.held()
    code = stage.screen.keycode(XK.XK_Left)
    assert stage.screen.display.get_keyboard_control().auto_repeats[code // 8] >> (code % 8) & 1  # it repeats again
    assert main(["doctor", "--release"]) == 0
    assert "nothing" in capsys.readouterr().out


def test_whatever_any_program_holds_is_seen_by_its_name(stage):
    screen = stage.screen
    for kind, code in ((X.KeyPress, screen.keycode(keysym("ISO_Level3_Shift"))), (X.ButtonPress, 3)):
        screen.display.xtest_fake_input(kind, code)
    screen.display.sync()
    held = held_by_programs(stage.display)
    assert {(contact.name, contact.kind) for contact in held} == {("ISO_Level3_Shift", "key"), ("button3", "button")}
    let_go(stage.display, held)
    assert not screen.held()


@pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize(("name", "match"), [("", "DISPLAY is not set"), (":9999", "no X server answers")])
def test_release_on_no_display_says_why(name, match, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert main(["doctor", "--release", *filter(None, [name])]) == 2
    assert match in capsys.readouterr().err
