import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap

import pytest
from Xlib.display import Display as XDisplay

from hakisa_envs.screen.display import _start, open_display
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import DisplayError, InputError, ProcessError, ScreenError
from hakisa_envs.screen.input.client import InputClient
from hakisa_envs.screen.keeper import processes
from hakisa_envs.screen.processes import Keeper

from .helpers import gone, open_fds, wait_until


@pytest.fixture
def keeper():
    keeper = Keeper()
    yield keeper
    keeper.close()


def test_xvfb_has_the_size_that_was_asked_for_and_goes_with_the_keeper(keeper):
    display = open_display("xvfb", (400, 300), keeper)
    client = XDisplay(display.name)
    assert (client.screen().width_in_pixels, client.screen().height_in_pixels) == (400, 300)
    client.close()
    assert display.owned
    pid = display.server.pid
    keeper.close()
    keeper.close()
    assert gone(pid)


FOLDERS = textwrap.dedent(
    """
    import sys, tempfile, time
    from pathlib import Path
    from hakisa_envs.screen.processes import Keeper

    keeper = Keeper()
    folder = Path(tempfile.mkdtemp(prefix="hakisa-", dir=sys.argv[1]))
    keeper.remove_in_the_end(folder)
    (folder / "home").mkdir()
    print(keeper.pid, flush=True)
    time.sleep(1000)
    """
)


def test_folder_of_a_killed_keeper_is_removed_by_the_next_one_and_no_other(tmp_path):
    """Its trainer was killed as well, so that nobody else is left to do it."""
    killed, (victim,) = start_trainer(FOLDERS, tmp_path)
    left = set(tmp_path.iterdir())
    alive, _ = start_trainer(FOLDERS, tmp_path)
    (others,) = set(tmp_path.iterdir()) - left
    strange = [tmp_path / "hakisa-notes", tmp_path / "mine"]
    for folder in strange:
        folder.mkdir()
    (tmp_path / "hakisa-link").symlink_to(tmp_path / "mine")
    for pid in (victim, killed.pid):
        os.kill(pid, signal.SIGSTOP)
    for pid in (victim, killed.pid):
        os.kill(pid, signal.SIGKILL)
    killed.wait()
    wait_until(lambda: gone(victim))
    assert left <= set(tmp_path.iterdir())
    third, _ = start_trainer(FOLDERS, tmp_path)
    assert not any(folder.exists() for folder in left)
    assert others.exists()
    assert all(folder.exists() for folder in strange)
    for trainer in (alive, third):
        trainer.kill()
        trainer.wait()
    wait_until(lambda: {path.name for path in tmp_path.iterdir()} == {"hakisa-notes", "mine", "hakisa-link"})
    for trainer in (killed, alive, third):
        trainer.stdout.close()


def test_folder_of_a_killed_keeper_is_removed_by_close(tmp_path):
    keeper, folder = Keeper(), tmp_path / "hakisa-1"
    folder.mkdir()
    keeper.remove_in_the_end(folder)
    os.kill(keeper.pid, signal.SIGKILL)
    keeper.close()
    assert not folder.exists()


def test_program_that_starts_another_and_exits_is_running_as_long_as_that(keeper, tmp_path):
    for detach in ("", "setsid "):
        script = f"{detach}sleep 1000 & echo $! > pid; exit 3"
        program = keeper.launch(["sh", "-c", script], environment=dict(os.environ), folder=str(tmp_path))
        wait_until(lambda pid=program.pid: gone(pid))
        pid = int((tmp_path / "pid").read_text())
        assert program.exit_code() is None
        program.pause()
        wait_until(lambda pid=pid: processes()[pid][2] == "T")
        program.resume()
        wait_until(lambda pid=pid: processes()[pid][2] == "S")
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda program=program: program.exit_code()) == 3


def test_two_displays_never_share_a_number(keeper):
    names = {open_display("xvfb", (64, 64), keeper).name for _ in range(2)}
    assert len(names) == 2


@pytest.mark.skipif(shutil.which("Xephyr") is None, reason="needs Xephyr (scripts/system-packages.sh)")
def test_nested_display_shows_on_the_host(keeper, xserver, monkeypatch):
    monkeypatch.setenv("DISPLAY", xserver)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    display = open_display("nested", (200, 100), keeper)
    client = XDisplay(display.name)
    assert client.screen().width_in_pixels == 200
    client.close()


def test_server_that_does_not_start_is_reported_with_its_own_words(keeper, tmp_path):
    with pytest.raises(DisplayError, match="did not start"):
        open_display("xvfb", (0, 0), keeper, log=tmp_path / "log", timeout=3)


@pytest.mark.parametrize("kind", ["xvbf", "", "wayland"])
def test_unknown_kind_is_refused(kind, keeper):
    with pytest.raises(ValueError, match="xvfb"):
        open_display(kind, (64, 64), keeper)


def test_current_display_is_refused_without_display(keeper, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(DisplayError, match="DISPLAY"):
        open_display("current", (64, 64), keeper)


@pytest.mark.parametrize("kind", ["current", "by its name"])
def test_display_of_ones_own_in_a_wayland_session_is_taken(kind, keeper, xserver, monkeypatch):
    monkeypatch.setenv("XDG_SESSION_TYPE", "wayland")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("DISPLAY", xserver)
    display = open_display("current" if kind == "current" else xserver, (64, 64), keeper)
    assert (display.name, display.owned) == (xserver, False)


@pytest.mark.parametrize("tells", ["extension", "monitor"])
def test_xwayland_is_refused_whatever_its_number(tells, keeper, xserver, monkeypatch):
    """No compositor runs where the tests do: a real server, and what Xwayland adds to its answers."""
    for name in ("XDG_SESSION_TYPE", "WAYLAND_DISPLAY", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    ask = XDisplay.query_extension
    if tells == "extension":
        monkeypatch.setattr(XDisplay, "query_extension", lambda self, name: name == "XWAYLAND" or ask(self, name))
    else:
        monkeypatch.setattr(XDisplay, "get_atom_name", lambda self, atom: "XWAYLAND0")
    with pytest.raises(DisplayError, match=r"Wayland session.*nested"):
        open_display(xserver, (64, 64), keeper)


# python-xlib leaves the sockets of an attempt that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_display_that_is_not_there_or_does_not_answer_is_an_error_of_ours(keeper):
    with pytest.raises(ScreenError, match=":9999 cannot be opened: no X server answers there"):
        open_display(":9999", (64, 64), keeper)
    stopped = open_display("xvfb", (64, 64), keeper)
    stopped.server.pause()
    with pytest.raises(ScreenError, match="did not answer within"):
        open_display(stopped.name, (64, 64), keeper, timeout=0.3)
    stopped.server.resume()


@pytest.fixture
def guarded_display(keeper, tmp_path):
    """A display that wants a cookie, and the file that has it."""
    cookies = tmp_path / "cookies"

    def write(family, host, number):
        parts = (host, number, b"MIT-MAGIC-COOKIE-1", bytes(range(16)))
        words = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
        cookies.write_bytes(family.to_bytes(2, "big") + words)

    write(0xFFFF, b"", b"")  # for any host and display, which python-xlib does not know of
    argv = [shutil.which("Xvfb"), "-screen", "0", "64x64x24", "-noreset", "-nolisten", "tcp", "-auth", str(cookies)]
    name = _start(argv, keeper, None, 10.0).name
    write(256, socket.gethostname().encode(), name[1:].encode())
    return name, cookies


@pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_display_that_wants_a_cookie_says_so_where_there_is_none(keeper, guarded_display, monkeypatch, tmp_path):
    name, cookies = guarded_display
    monkeypatch.setenv("XAUTHORITY", str(cookies))
    assert open_display(name, (64, 64), keeper).name == name
    for file in (tmp_path / "absent", tmp_path / "empty"):
        monkeypatch.setenv("XAUTHORITY", str(file))
        with pytest.raises(DisplayError, match=f"cannot be opened: .*cookie.*{file}") as caught:
            open_display(name, (64, 64), keeper)
        assert "reset" not in str(caught.value)


@pytest.mark.parametrize("depth", [8, 16])
def test_display_of_few_colours_says_so(depth, keeper):
    argv = [shutil.which("Xvfb"), "-screen", "0", f"64x64x{depth}", "-noreset", "-nolisten", "tcp"]
    name = _start(argv, keeper, None, 10.0).name
    with pytest.raises(DisplayError, match=f"{name} has a colour depth of {depth} bits.*1280x720x24"):
        open_display(name, (64, 64), keeper)


def test_display_that_the_env_did_not_start_and_that_is_gone_is_not_promised_to_come_back(xserver):
    keeper = Keeper()
    display = open_display("xvfb", (640, 480), keeper)
    for name, promised in ((display.name, False), ("xvfb", True)):
        env = ScreenGameEnv("flash", display=name, armed=True, timeout=2.0)
        env.reset()
        server = env.session.display.server or display.server
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda server=server: server.exit_code() is not None)
        failure = wait_until(lambda env=env: env.step([0, 0, 0])[4]["failure"])
        assert ("next reset() starts another" in failure) == promised
        assert ("start it again" in failure) != promised
        assert name == "xvfb" or display.name in failure
        env.close()
    keeper.close()


def test_display_that_goes_is_named_by_the_input_server_too(keeper):
    display = open_display("xvfb", (64, 64), keeper)
    client = InputClient(display.name, ["a"], timeout=10.0)
    client.start()
    client.wait_ready()
    os.kill(display.server.pid, signal.SIGKILL)
    wait_until(lambda: display.server.exit_code() is not None)
    with pytest.raises(InputError, match=f"display {display.name} .*start it again"):
        client.act([("tap", "a")], 1.0)
    client.close()


def test_missing_server_names_the_package(keeper, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DisplayError, match="apt-get install xvfb"):
        open_display("xvfb", (64, 64), keeper)


def test_missing_program_is_an_error_of_ours(keeper):
    with pytest.raises(ProcessError, match="no-such-program"):
        keeper.launch(["no-such-program"], environment={})


def test_stop_ends_grandchildren_stopped_and_detached_ones(keeper, tmp_path):
    # A shell whose child detaches itself by setsid and ignores SIGTERM, and which is stopped meanwhile.
    script = "trap '' TERM; setsid sleep 1000 & echo $! > pid; sleep 1000"
    program = keeper.launch(["sh", "-c", script], environment=dict(os.environ), folder=str(tmp_path))
    pid = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    program.pause()
    program.stop()
    wait_until(lambda: gone(pid) and gone(program.pid))
    assert program.exit_code()


def test_keeper_leaves_no_file_descriptors_behind():
    def one_round():
        keeper = Keeper()
        open_display("xvfb", (64, 64), keeper)
        keeper.close()

    one_round()
    before = open_fds()
    one_round()
    assert open_fds() == before


TRAINER = textwrap.dedent(
    """
    import os, sys, time
    from hakisa_envs.screen.display import open_display
    from hakisa_envs.screen.processes import Keeper

    keeper = Keeper()
    display = open_display("xvfb", (64, 64), keeper)
    game = keeper.launch(["sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000"], environment=dict(os.environ))
    stopped = keeper.launch(["sleep", "1000"], environment=dict(os.environ))
    stopped.pause()
    if os.fork() == 0:  # a child that inherits every descriptor must not keep the programs alive
        time.sleep(1000)
    print(display.server.pid, game.pid, stopped.pid, keeper.pid, flush=True)
    time.sleep(1000)
    """
)


def start_trainer(source, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    trainer = subprocess.Popen(
        [sys.executable, "-c", source, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    return trainer, [int(word) for word in trainer.stdout.readline().split()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_everything_launched_is_gone_two_seconds_after_the_trainers_death(number):
    trainer, pids = start_trainer(TRAINER)
    assert len(pids) == 4
    try:
        os.kill(trainer.pid, number)
        trainer.wait()
        wait_until(lambda: all(gone(pid) for pid in pids), 2.0, "what was launched did not go")
    finally:
        os.killpg(trainer.pid, signal.SIGKILL)
        trainer.stdout.close()


def test_x_server_and_children_die_with_a_killed_keeper():
    trainer, (server, game, stopped, keeper) = start_trainer(TRAINER)
    try:
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: gone(server) and gone(game) and gone(stopped), 2.0)
    finally:
        os.killpg(trainer.pid, signal.SIGKILL)
        trainer.wait()
        trainer.stdout.close()
