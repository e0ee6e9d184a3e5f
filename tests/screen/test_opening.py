"""How a game is started and brought to its beginning, and what is said where that fails."""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from hakisa_envs.screen import programs, session
from hakisa_envs.screen.conditions import Condition
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import InputError, ProfileError, ResetError, ScreenError, WindowError
from hakisa_envs.screen.game import Launch, Reading, Step, Window
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.screen.readers import Brightness
from hakisa_envs.screen.region import Region


def test_script_that_gets_nowhere_names_its_step_and_shows_what_was_seen(where):
    profile = load_profile("flash")
    step = Step(do="press", key="space", until=Condition.parse("bar < 0"), again=0.1, timeout=0.5)
    env = ScreenGameEnv(replace(profile, reset=(step,)), **where)
    with pytest.raises(ResetError, match=r"reset\[0\]: 'bar < 0' did not come true; read was .*'bar': 1\.0") as caught:
        env.reset()
    picture = Path(str(caught.value).split()[-1])
    assert cv2.imread(str(picture)).shape == (240, 320, 3)
    picture.unlink()
    env.close()


@pytest.mark.parametrize(
    ("launch", "match"),
    [
        (Launch(command=("no-such-game",)), "not installed"),
        (Launch(command=("sh", "-c", "echo I cannot; exit 3")), "status 3.*I cannot"),
        (Launch(command=("sleep", "60")), "did not show its window"),
        (Launch(), "none on display"),
    ],
)
def test_game_that_does_not_start_is_explained(launch, match, where, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    profile = load_profile("flash")
    profile = replace(profile, launch=launch, window=Window(profile.window.title, timeout=0.3))
    env = ScreenGameEnv(profile, **where)
    with pytest.raises(ScreenError, match=match) as caught:
        env.reset()
    # On a display that was started for it, nobody else can have.
    assert ("Nothing was launched" in str(caught.value)) == (launch == Launch() and not where)
    pictures = list(tmp_path.rglob("*.png"))
    if where or "installed" in match:  # the whole display is saved only if it is the env's own
        assert pictures == []
    else:
        assert pictures == [Path(str(caught.value).split()[-1])]
        assert cv2.imread(str(pictures[0])).shape == (240, 320, 3)
    env.close()


def test_display_of_somebody_else_is_not_saved(on_desktop, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    profile = load_profile("flash")
    env = ScreenGameEnv(replace(profile, window=Window("no such", timeout=0.3)), **on_desktop)
    with pytest.raises(WindowError, match="none of its own on display") as caught:
        env.reset()
    assert "saved" not in str(caught.value)
    assert not list(tmp_path.rglob("*.png"))
    env.close()


def test_screenshot_that_fails_does_not_replace_the_explanation(monkeypatch):
    def no_space(pixels):
        raise OSError("No space left on device")

    monkeypatch.setattr(session, "save_screenshot", no_space)
    env = ScreenGameEnv(replace(load_profile("flash"), window=Window("no such", timeout=0.3)))
    with pytest.raises(WindowError, match=r"did not show its window.*could not be saved \(No space left"):
        env.reset()
    env.close()


def test_window_system_that_is_slow_while_the_game_is_opened_is_waited_for(where, monkeypatch):
    """Its first answers take imports and connections, on a busy machine longer than a step may take."""
    env = ScreenGameEnv("flash", timeout=0.5, **where)
    make, asked = env.backend.finder, []

    def finder(*arguments):
        made = make(*arguments)
        find = made.find

        def late():
            asked.append(made)
            time.sleep(0.0 if asked[1:] else 1.0)
            return find()

        made.find = late
        return made

    monkeypatch.setattr(env.backend, "finder", finder)
    env.reset()
    assert env._session.timeout == 0.5
    env.close()
    assert asked


@pytest.mark.parametrize(("key", "fix"), [("exclam", "'1'"), ("eacute", "not on the keyboard layout")])
def test_key_that_the_layout_lacks_is_named_with_profile_field_and_fix(key, fix, where):
    profile = load_profile("flash")
    script = (*profile.reset, Step(do="press", key=key))
    profile = replace(profile, actions=replace(profile.actions, keys=("space", key)), reset=script)
    env = ScreenGameEnv(profile, **where)
    fields = rf"actions\.keys\[1\] = '{key}': reset\[2\]\.key = '{key}': "
    with pytest.raises(InputError, match=f"'flash' in .*{fields}.*{fix}"):
        env.reset()
    env.close()


def test_region_outside_a_window_whose_size_the_profile_leaves_open_is_named_by_reset(where):
    profile = load_profile("flash")
    far = Reading("far", Brightness(Region(300, 0, 21, 10)))
    profile = replace(profile, window=Window(profile.window.title), readings=(*profile.readings, far))
    env = ScreenGameEnv(profile, **where)
    with pytest.raises(ProfileError, match=r"reading\.far\.region = \[300, 0, 21, 10\] must lie inside.* 320 x 240"):
        env.reset()
    env.close()


PRINTS = '#!/bin/sh\necho "$DATA|$WHO|$0" > {0}/told\nexec {1} {2}\n'


@pytest.mark.parametrize("place", ["PATH", "launch.search", "where distributions put games"])
def test_program_is_found_and_its_environment_knows_the_folder_of_the_profile(place, where, tmp_path, monkeypatch):
    flash = Path(sys.modules[ScreenGameEnv.__module__].__file__).with_name("games") / "flash.py"
    there = tmp_path / "bin"
    there.mkdir()
    program = there / "my-flash"
    program.write_text(PRINTS.format(tmp_path, sys.executable, flash))
    program.chmod(0o755)
    search = ""
    if place == "PATH":
        monkeypatch.setenv("PATH", f"{there}:/usr/bin:/bin")
    elif place == "launch.search":
        search = 'search = ["{profile}/bin"]'
    else:
        monkeypatch.setattr(programs, "GAME_FOLDERS", (str(there),))
    (tmp_path / "mine.toml").write_text(
        f'[launch]\ncommand = ["my-flash"]\n{search}\n'
        'environment = { DATA = "{profile}/data", WHO = "{python}" }\n[window]\ntitle = "flash"\n'
    )
    env = ScreenGameEnv(tmp_path / "mine.toml", **where)
    env.reset()
    assert env.session.program == str(program)
    assert (tmp_path / "told").read_text().strip() == f"{tmp_path}/data|{sys.executable}|{program}"
    env.close()


def test_program_that_is_nowhere_is_named_with_the_folders_that_were_searched(where, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere/bin:/usr/bin")
    launch = Launch(command=("no-such-game",), search=("/opt/here",))
    env = ScreenGameEnv(replace(load_profile("flash"), launch=launch), **where)
    with pytest.raises(ScreenError, match=r"none of /nowhere/bin, /usr/bin, /opt/here, /usr/games, .*launch\.search"):
        env.reset()
    env.close()


@pytest.mark.parametrize("program", ["beside the profile", "in its folder"])
def test_game_is_found_by_a_profile_with_a_relative_path_and_runs_where_it_wants(program, where, tmp_path, monkeypatch):
    """As in docs/your-own-game.md: the shell stands in the profile's folder, the game runs in another."""
    monkeypatch.chdir(tmp_path)
    flash = Path(sys.modules[ScreenGameEnv.__module__].__file__).with_name("games") / "flash.py"
    (tmp_path / "data").mkdir()
    (tmp_path / "play").write_text(f'#!/bin/sh\npwd > "{tmp_path}/ran_in"\nexec {sys.executable} {flash}\n')
    (tmp_path / "play").chmod(0o755)
    command = {"beside the profile": "./play", "in its folder": "{profile}/play"}[program]
    folder = 'folder = "data"' if program == "in its folder" else ""
    (tmp_path / "mine.toml").write_text(f'[launch]\ncommand = ["{command}"]\n{folder}\n[window]\ntitle = "flash"\n')
    env = ScreenGameEnv("mine.toml", **where)
    env.reset()
    ran_in = Path((tmp_path / "ran_in").read_text().strip())
    assert ran_in == (tmp_path / "data" if folder else env.session.folder / "home")
    env.close()
