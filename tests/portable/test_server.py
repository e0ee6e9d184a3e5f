"""The portable back end's input server: its guardian, its pipes, and what listens for the kill chord."""

import errno
import io
import os
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest

from hakisa_envs.screen.backends.portable import link as links
from hakisa_envs.screen.backends.portable import server
from hakisa_envs.screen.backends.portable.chord import start_listener
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.dry_run import DryRunDevice
from hakisa_envs.screen.input.keys import unplaced


@pytest.mark.parametrize(
    ("status", "cleans_up"),
    [(server.CLEAN, False), (0, True), (1, True), (-9, True)],  # Windows' TerminateProcess gives what it is given
)
def test_guardian_lets_go_after_every_end_but_a_clean_one(monkeypatch, status, cleans_up):
    released = []
    device = SimpleNamespace(release_stale=lambda: released.append(True))
    monkeypatch.setattr(server.subprocess, "Popen", lambda *arguments, **options: None)
    monkeypatch.setattr(server, "wait_for", lambda worker, guard: status)
    monkeypatch.setattr(server.signal, "signal", lambda *arguments: None)
    monkeypatch.setattr(server, "this_system", lambda: SimpleNamespace(prepare=lambda: None))
    monkeypatch.setattr(server, "PortableDevice", lambda system, names: device)
    monkeypatch.setattr(server, "call_at_end", lambda *arguments: None)
    server.watch_over(1, '{"display": "desktop", "guard": true, "names": ["Left"]}')
    assert bool(released) is cleans_up


def test_server_lets_go_and_ends_when_nobody_listens_for_the_chord_any_more(monkeypatch):
    chord, device = SimpleNamespace(is_alive=True), DryRunDevice(unplaced(["Left"]))
    monkeypatch.setattr(server, "this_system", lambda: SimpleNamespace(prepare=lambda: None))
    monkeypatch.setattr(server, "PortableDevice", lambda system, names: device)
    monkeypatch.setattr(server, "KillChord", lambda heard: chord)
    monkeypatch.setattr(server, "call_at_end", lambda *arguments: None)
    config = {"display": "desktop", "names": ["Left"], "guard": True, "killed": False}
    worker = server.Worker(1, 2, config, io.BytesIO())
    hold = {"id": 1, "op": "act", "commands": [["hold", "Left"]], "expires": time.monotonic_ns() + 10**12}
    worker._service.answer(hold)
    assert ("release", "Left") not in device.record
    chord.is_alive = False
    with pytest.raises(RuntimeError, match=r"Nobody listens for Ctrl\+Shift\+F12"):
        worker.serve(io.BytesIO())
    assert ("release", "Left") in device.record


NOBODY = 1 << 30  # is no process's number


class Pipe(io.BytesIO):
    """A server's standard input, on which writing does what it is told to."""

    def __init__(self, write=lambda: None):
        super().__init__()
        self.does = write

    def write(self, words):
        self.does()
        return len(words)


@pytest.fixture
def started(monkeypatch):
    """Starts a link to a server that is none; with what its start was asked for."""
    asked = {}

    def start(pipe):
        process = SimpleNamespace(stdin=pipe, stdout=io.BytesIO(), wait=lambda timeout: 0, pid=NOBODY)
        monkeypatch.setattr(links.subprocess, "Popen", lambda command, **options: asked.update(options) or process)
        link = links.PipeLink()
        link.start({})
        return link, asked

    return start


def test_server_has_no_part_in_the_trainers_console(started, monkeypatch):
    monkeypatch.setattr(links, "OWN_CONSOLE", 0x08000200)
    link, asked = started(Pipe())
    assert asked["creationflags"] == 0x08000200
    link.end(1.0)
    here = [getattr(subprocess, name, 0) for name in ("CREATE_NO_WINDOW", "CREATE_NEW_PROCESS_GROUP")]
    monkeypatch.undo()
    assert here[0] | here[1] == links.OWN_CONSOLE


def test_pipe_that_is_broken_is_a_server_that_has_ended_by_whatever_number(started):
    def broken():
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))  # as Windows says it

    link, _ = started(Pipe(broken))
    with pytest.raises(ConnectionError, match="the input server has ended"):
        link.send(b"{}", 10.0)
    link.end(1.0)


def test_pipe_that_is_full_does_not_block_the_trainer(started):
    reads = threading.Event()
    link, _ = started(pipe := Pipe(reads.wait))
    with pytest.raises(TimeoutError):
        link.send(b"{}", 0.05)
    reads.set()
    link.send(b"{}", 10.0)
    link.end(10.0)
    assert pipe.closed


class Deaf(threading.Thread):
    """A listener of pynput's whose thread ends before it listens, as on an X server without the extension RECORD."""

    def __init__(self, **callbacks):
        super().__init__(daemon=True)
        self.ready = threading.Event()

    def run(self):
        raise AttributeError("record_create_context")

    def wait(self):
        assert self.ready.wait(10.0)

    def _mark_ready(self):
        self.ready.set()


def test_listener_that_cannot_listen_says_so_and_is_not_waited_for():
    with pytest.raises(InputError, match=r"Nobody can listen.*record_create_context"):
        start_listener(Deaf)
