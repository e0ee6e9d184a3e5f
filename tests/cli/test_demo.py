"""``hakisa demo`` in miniature: too short to learn, and it says so; everything else is there."""

import dataclasses
import importlib.util
import re
import sys

import pytest

from hakisa_algos.cli import demo
from hakisa_algos.cli.main import main

SHORT = ("--minutes", "0.01", "--games", "2")
needs_emulator = pytest.mark.skipif(
    importlib.util.find_spec("stable_retro") is None, reason='the extra "retro" is not installed'
)


def change(monkeypatch, name, **changes):
    """Another version of a game to show."""
    games = dict(demo.GAMES)
    games[name] = dataclasses.replace(games[name], **changes)
    monkeypatch.setattr(demo, "GAMES", games)


@pytest.fixture(autouse=True)
def in_a_hurry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Whole games, films, rollouts and networks take seconds; these are of a few decisions.
    change(monkeypatch, "pong", env_options={"max_episode_steps": 100}, film_steps=20)
    change(monkeypatch, "fighter", env_options={"max_episode_steps": 30, "states": "versus"}, film_steps=20)
    tiny = dataclasses.replace(demo.FOR_PICTURES, network="small", num_envs=2, minibatch_size=64)
    monkeypatch.setattr(demo, "FOR_PICTURES", tiny)
    monkeypatch.setattr(demo, "_MEASURING_SECONDS", 0.01)
    # On cores that other tests use too, two threads wait for each other.
    monkeypatch.setattr(demo, "resolve_threads", lambda threads, space: 1)


@pytest.mark.parametrize("name", ["pong", pytest.param("fighter", marks=needs_emulator)])
def test_leaves_curve_video_checkpoint_and_commands_and_too_few_steps_are_said_and_no_failure(name, tmp_path, capsys):
    assert main(["demo", "--env", name, *SHORT]) == 0
    said = capsys.readouterr().out
    run = tmp_path / "runs" / "demo"
    assert (run / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "videos" / f"{name}.mp4").read_bytes()[4:8] == b"ftyp"
    assert (run / "checkpoints" / "latest").is_file()
    for path in ("learning_curve.png", f"videos/{name}.mp4", "checkpoints"):
        assert f"runs/demo/{path}" in said
    score = r" +-?\d" if name == "pong" else r" +wins \d+% \[\d+%, \d+%\]"
    assert re.search(rf"random player{score}", said)
    assert re.search(rf"trained agent{score}", said)
    assert f"less than the {demo.GAMES[name].wanted_steps:,} that it wants" in said
    assert "too few steps to tell" in said
    assert f"hakisa train {' '.join(demo.GAMES[name].in_full)}" in said
    if name == "fighter":
        assert re.search(r"fighter\.mp4 \((a match that it won|it won none of 5 matches)", said)


def test_who_had_steps_enough_and_learned_nothing_fails(monkeypatch, capsys):
    change(monkeypatch, "pong", wanted_steps=1, gain=lambda chance, agent: ("+0.1 points", False))
    assert main(["demo", "--env", "pong", *SHORT]) == 1
    assert "not what it should gain" in capsys.readouterr().out


def test_a_second_demo_gets_a_number_and_the_command_it_prints_goes_on(monkeypatch, capsys):
    change(monkeypatch, "pong", gain=lambda chance, agent: ("+9.0 points", True))
    assert main(["demo", "--env", "pong", *SHORT]) == 0
    assert main(["demo", "--env", "pong", *SHORT]) == 0
    said = capsys.readouterr().out
    assert "it has learned" in said
    command = re.search(r"hakisa resume (runs/demo-2) --total-steps (\d+)", said)
    assert command
    assert main(["resume", command[1], "--total-steps", command[2]]) == 0
    assert f"Done: {int(command[2]):,} steps" in capsys.readouterr().out


def test_pong_is_what_is_shown_also_where_there_is_no_emulator(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "stable_retro", None)
    assert main(["demo", *SHORT]) == 0
    assert "videos/pong.mp4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("pong", "matplotlib", "report"), ("fighter", "stable_retro", "retro")]
)
def test_missing_extra_is_found_before_training(name, module, extra, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["demo", "--env", name, *SHORT]) == 2
    assert f'pip install "hakisa[{extra}]"' in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--minutes", "0"), ("--minutes", "nan"), ("--games", "0")])
def test_impossible_budgets(arguments, capsys):
    assert main(["demo", *arguments]) == 2
    assert "must be more than 0" in capsys.readouterr().err
