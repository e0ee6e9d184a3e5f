"""`hakisa watch`, `probe` and `doctor` on a real game, in processes that have neither torch nor tyro."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import cv2
import pytest

from hakisa_algos.cli.main import main
from tests.helpers.backends import arguments

WITHOUT_TRAINERS = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "tyro", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from hakisa_algos.cli.main import main
from tests.helpers.backends import arguments
sys.exit(main(sys.argv[1:]))
"""


def hakisa(*arguments):
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TRAINERS, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_training_needs_what_these_verbs_do_without():
    done = hakisa("train", "ppo", "--env", "CartPole-v1")
    assert done.returncode == 2
    assert 'pip install "hakisa[algos]"' in done.stderr


def test_watch_prints_a_line_per_step(where):
    done = hakisa("watch", "flash", "--seconds", "0.5", *arguments(where))
    assert (done.returncode, done.stderr) == (0, "")
    head, *steps = done.stdout.splitlines()
    assert head.startswith("flash on display :")
    assert "dry run" not in head
    assert [line.split(";")[0] for line in steps] == [f"step {k}" for k in range(1, 11)]
    for line in steps:
        for word in (
            "; flash ",
            "; bar ",
            "; reward ",
            "; focused, held ",
            "; frame age ",
            " dt ",
            "missed deadlines ",
        ):
            assert word in line


def test_watch_with_nobody_playing_presses_nothing():
    done = hakisa("watch", "flash", "--seconds", "0.25", "--policy", "none")
    assert done.returncode == 0
    assert done.stdout.count("; do nothing; flash 20; ") == 5


def test_watch_draws_in_place_on_a_terminal():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 70, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [sys.executable, "-c", WITHOUT_TRAINERS, "watch", "flash", "--seconds", "1"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 1 << 16):
            shown += chunk
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=600) == 0
    head, *pictures = shown.decode().split("\r\n\r")[0], *shown.decode().split("\033[J")[:-1]
    assert "flash on display" in head
    assert len(pictures) >= 3
    for picture in pictures[1:]:
        lines = picture.split("\033[K\r\n")[:-1]
        assert lines[0].startswith(f"\033[{len(lines)}A\r\033[38;2;")  # back to the first line of the last picture
        assert len(lines) < 30
        assert "▀" in lines[0]
        assert "missed deadlines" in picture
    assert shown.endswith(b"\033[?25h")  # the cursor is back


def test_watch_writes_a_film(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "films" / "flash.mp4"
    done = hakisa("watch", "flash", "--seconds", "0.5", "--policy", "none", "--out", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"written to {path}" in done.stdout
    film = cv2.VideoCapture(str(path))
    assert film.get(cv2.CAP_PROP_FPS) == 20
    frames = []
    while (read := film.read())[0]:
        frames.append(read[1])
    film.release()
    assert len(frames) == 10
    picture = frames[-1]  # BGR: what the agent sees in grey, the window in colour, words under both
    assert abs(int(picture[100, 100].mean()) - 20) < 6
    assert picture[360, 100].max() < 100
    red = picture[360, 420 + 8 + 50]
    assert red[2] > 150
    assert red[:2].max() < 80
    assert picture[430:].max() > 150


def test_watch_looks_at_a_display_that_it_did_not_start_and_presses_nothing_there(on_desktop, screen, tmp_path):
    window = screen.window(0, 0, 64, 48, colour=0xFFFFFF, title="somebody's")
    screen.focus(window)
    screen.events()
    game = tmp_path / "somebodys.toml"
    game.write_text('[window]\ntitle = "^somebody"\n[actions]\ncommands = ["tap"]\nkeys = ["a"]\nrate = 20.0\n')
    options = ["--backend", on_desktop.get("backend", "x11"), "--display", "current", "--seconds", "0.25"]
    done = hakisa("watch", game, *options)
    assert done.returncode == 0
    assert "a dry run: nothing is pressed (--arm presses)" in done.stdout
    assert done.stdout.count("press a for 50 ms") == 5
    assert not screen.events()
    done = hakisa("watch", game, *options, "--arm")
    assert "dry run" not in done.stdout
    assert screen.events()
    window.destroy()
    screen.display.sync()


def test_probe_reports_percentiles_and_what_limits(where):
    done = hakisa("probe", "flash", "--steps", "10", *arguments(where))
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines()}
    for name in ("grab", "shrink", "readers", "input round trip", "env overhead per step", "frame age",
                 "step period error", "action to picture"):  # fmt: skip
        p50, p90, p99, most = map(float, lines[name])
        assert 0 <= p50 <= p90 <= p99 <= most
    assert " of 10\n" in done.stdout
    assert "(p99) of the 50.0 ms that it has" in done.stdout
    assert "What is pressed shows" in done.stdout or "The game: what is pressed shows" in done.stdout


def test_probe_without_a_target_says_what_the_profile_would_need(screen, xserver, tmp_path):
    window = screen.window(0, 0, 64, 48, title="still")
    game = tmp_path / "still.toml"
    game.write_text('[window]\ntitle = "^still"\n[actions]\ncommands = ["noop"]\n')
    done = hakisa("probe", game, "--display", xserver, "--steps", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "not measured: the profile has no [probe]" in done.stdout
    assert "readers" not in done.stdout
    window.destroy()
    screen.display.sync()


def test_doctor_measures_capture_and_tries_the_input(xserver, monkeypatch):
    monkeypatch.setenv("DISPLAY", xserver)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("XDG_SESSION_TYPE", raising=False)
    done = hakisa("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"X11, display {xserver}" in done.stdout
    assert "mss: " in done.stdout.partition(f"capture of {xserver}")[2]
    assert "mss: " in done.stdout.partition("capture of an Xvfb")[2]
    assert "works: the input server is up" in done.stdout
    assert 'missing: pip install "hakisa[algos]"' in done.stdout


def test_a_game_that_is_not_installed_is_one_line_for_every_verb(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    game = tmp_path / "absent.toml"
    game.write_text('[launch]\ncommand = ["no-such-game"]\n[window]\ntitle = "none"\n[actions]\ncommands = ["noop"]\n')
    train = ["train", "ppo", "--env", "Hakisa/ScreenGame-v0", "--env-options", f"game={game}", "--config.num-envs", "1"]
    for words in (["watch", str(game)], ["probe", str(game)], train):
        assert main(words) == 2
        error = capfd.readouterr().err
        assert "needs the program 'no-such-game', which is not installed" in error.splitlines()[-1]
        assert "Traceback" not in error
