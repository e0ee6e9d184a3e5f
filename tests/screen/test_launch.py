"""Games that do not start: each says what was started, where it was looked for, what is wrong and what mends it."""

import sys
import time

import pytest

from hakisa_envs.screen.backends.choice import make_backend
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import ProcessError, ScreenError

from . import game_windows
from .helpers import in_time, wait_until


@pytest.fixture
def start(tmp_path, where):
    """Starts the game of a launch table, with files beside its profile."""
    made = []

    def start(launch, title="^game$", files=(), timeout=20.0):
        for name, content in dict(files).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
            (tmp_path / name).chmod(0o644 if name.endswith("locked") else 0o755)
        profile = f"[window]\ntitle = '{title}'\ntimeout = {timeout}\n[launch]\n{launch}"
        (tmp_path / "mine.toml").write_text(profile)
        made.append(ScreenGameEnv(tmp_path / "mine.toml", timeout=10.0, **where))
        made[-1].reset()
        return made[-1]

    yield start
    for env in made:
        env.close()


@pytest.mark.parametrize(
    ("launch", "files", "match"),
    [
        ('command = ["no-such-game"]', {}, "'no-such-game', which is not installed: it is in none of /.*launch.search"),
        ('command = ["my-gaem"]\nsearch = ["bin"]', {"bin/my-game": b""}, r"none of .*/bin, .*Did you mean 'my-game'"),
        ('command = ["sh -c true"]', {}, r"Put each word in quotes of its own: \['sh', '-c', 'true'\]"),
        ('command = ["locked"]\nsearch = ["bin"]', {"bin/locked": b""}, r"/bin/locked cannot be run.*chmod \+x /"),
        ('command = ["./play"]', {"play": b"echo hi\n"}, r"play'\. Its first line must name what runs it"),
        ('command = ["./play"]', {"play": b"#!/no/sh -e\n"}, r"first line names '/no/sh', which is not there"),
        ('command = ["./play"]', {"play": b"#!/bin/sh\r\nexit 0\r\n"}, r"of Windows do; this mends it: sed .*/play"),
        ('command = ["./play"]', {"play": b"\x7fELF" + bytes(60)}, "Is it for this machine"),
        ('command = ["true"]', {}, "ended with status 0: none of its own .*nothing"),
        ("""command = ["sh", "-c", "echo 'no level 7' >&2; exit 3"]""", {}, "ended with status 3.*no level 7"),
        ('command = ["sh", "-c", "kill -SEGV $$"]', {}, "exit code -11, SIGSEGV"),
        ('command = ["sh", "-c", "no-such-thing"]', {}, "status 127.*no-such-thing: not found"),
        ('command = ["{python}", "-m", "no_such_module"]', {}, "status 1.*No module named no_such_module"),
        (f'command = ["sleep", "{"9" * 140_000}"]', {}, "too long"),
    ],
)  # fmt: skip
def test_game_that_does_not_start_says_why(start, launch, files, match):
    began = time.monotonic()
    with pytest.raises(ScreenError, match=f"(?s){match}"):
        start(launch, files=files)
    assert in_time(began, 15.0)  # and not after the window's timeout


@pytest.mark.parametrize(
    ("title", "fix"),
    [("^Game", r"'\(\?i\)\^Game' fits it"), ("game (1+", None), (r"game (1+)", r"'game\\ \\\(1\\\+\\\)'")],
)
def test_title_that_nearly_fits_says_how_it_would(start, title, fix):
    program = game_windows.PLAIN.replace('"game"', '"game (1+)"')
    with pytest.raises(ValueError if fix is None else ScreenError, match=fix or r"write 'game\\ \\\(1\\\+'"):
        start('command = ["{python}", "{profile}/game.py"]', title, {"game.py": program.encode()}, 3.0)


@pytest.mark.parametrize("search", ["bin", "{profile}/bin", "~/bin"])
def test_folders_to_search_are_relative_to_the_profile_as_all_paths_are(start, search, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    files = {"game.py": game_windows.PLAIN.encode(), "bin/my-game": f"#!{sys.executable}\n".encode()}
    files["bin/my-game"] += game_windows.PLAIN.encode()
    env = start(f'command = ["my-game"]\nsearch = ["{search}"]', files=files)
    assert env.session.program == str(tmp_path / "bin" / "my-game")


@pytest.mark.parametrize("environment", [{"A=B": "x"}, {"A": "x\0"}])
def test_what_no_program_can_be_given_is_an_answer_and_not_the_end_of_their_owner(environment, where):
    programs = make_backend(where.get("backend")).programs()
    with pytest.raises(ProcessError, match=r"sleep.*failed"):
        programs.launch(["sleep", "60"], environment=environment)
    program = programs.launch(["sleep", "60"], environment={"PATH": "/usr/bin:/bin"})
    wait_until(lambda: program.exit_code() is None)
    programs.close()
