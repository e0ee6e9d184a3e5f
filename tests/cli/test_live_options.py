"""The options of ``hakisa watch`` and ``hakisa probe`` that are refused before anything is started."""

import sys

import numpy as np
import pytest

from hakisa_algos.cli.live import open_game, parser, player
from hakisa_algos.cli.main import main
from hakisa_algos.errors import ConfigError
from hakisa_envs.screen.errors import PlatformError

GAME = """
[window]
title = "nothing"
[actions]
commands = {commands}
keys = ["Left"]
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["watch", "nope"], "game='nope' is unknown"),
        (["probe", "lbreakout"], "did you mean 'lbreakout2'?"),
        (["watch", "none.toml"], "there is no such file"),
        (["watch", "flash", "--display", "elsewhere"], "display='elsewhere' is not allowed"),
        (["watch", "flash", "--seconds", "0"], "--seconds 0 is not allowed"),
        (["watch", "flash", "--seconds", "nan"], "--seconds nan is not allowed"),
        (["watch", "flash", "--out", "film.gif"], "--out film.gif is not allowed: it must end in .mp4"),
        (["probe", "flash", "--steps", "1"], "--steps 1 is not allowed"),
    ],
)
def test_bad_options_are_one_line(arguments, said, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("verb", ["watch", "probe", "record"])
def test_whoever_wants_to_press_on_an_untested_platform_can_say_so(verb, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    options = parser(verb, "", played=verb == "record")
    with pytest.raises(PlatformError, match=r"this is Windows.*--untested-platform"):
        open_game(options.parse_args(["flash", "--arm"]))
    assert open_game(options.parse_args(["flash", "--arm", "--untested-platform"])).armed


def test_a_film_without_ffmpeg_is_the_line_that_installs_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert main(["watch", "flash", "--out", str(tmp_path / "film.mp4")]) == 2
    assert 'pip install "hakisa[video]"' in capsys.readouterr().err


def make(tmp_path, commands):
    path = tmp_path / "game.toml"
    path.write_text(GAME.format(commands=commands))
    return open_game(parser("watch", "").parse_args([str(path)]))


def test_nobody_plays_with_the_action_that_does_nothing(tmp_path):
    env = make(tmp_path, ["tap", "noop"])
    assert env.describe(player("none", env)()) == "do nothing"


def test_nobody_cannot_play_where_every_action_presses(tmp_path):
    with pytest.raises(ConfigError, match="--policy none needs the command"):
        player("none", make(tmp_path, ["tap"]))


def test_random_actions_are_the_same_every_time(tmp_path):
    env = make(tmp_path, ["tap", "noop"])
    choose = player("random", env)
    drawn = [choose().tolist() for _ in range(20)]
    choose = player("random", env)
    assert [choose().tolist() for _ in range(20)] == drawn
    assert len(np.unique(drawn, axis=0)) == 2


def test_arming():
    options = parser("watch", "")
    assert open_game(options.parse_args(["flash"])).armed is None
    assert open_game(options.parse_args(["flash", "--arm"])).armed is True
