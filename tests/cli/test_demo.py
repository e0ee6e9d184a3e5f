"""``hakisa demo`` in miniature: too short to learn, and it says so; everything else is there."""

import re
import sys

import pytest

from hakisa_algos.cli import demo
from hakisa_algos.cli.main import main

SHORT = ("demo", "--minutes", "0.01", "--games", "1")


@pytest.fixture(autouse=True)
def in_a_hurry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Whole games take seconds; these end after a few rallies.
    monkeypatch.setattr(demo, "ENV_OPTIONS", {"max_episode_steps": 100})
    monkeypatch.setattr(demo, "_MEASURING_SECONDS", 0.01)
    # On cores that other tests use too, two threads wait for each other.
    monkeypatch.setattr(demo, "resolve_threads", lambda threads, space: 1)


def test_leaves_curve_video_checkpoint_and_commands_and_fails_if_nothing_was_learned(tmp_path, capsys):
    assert main(SHORT) == 1
    said = capsys.readouterr().out
    run = tmp_path / "runs" / "demo"
    assert (run / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "videos" / "pong.mp4").read_bytes()[4:8] == b"ftyp"
    assert (run / "checkpoints" / "latest").is_file()
    for path in ("learning_curve.png", "videos/pong.mp4", "checkpoints"):
        assert f"runs/demo/{path}" in said
    assert re.search(r"random player +-?\d", said)
    assert re.search(r"trained agent +-?\d", said)
    assert "not the 3 that it should gain" in said
    assert "hakisa train ppo --env Hakisa/Pong-v0" in said


def test_a_second_demo_gets_a_number_and_the_command_it_prints_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "MARGIN", -100.0)
    assert main(SHORT) == 0
    assert main(SHORT) == 0
    said = capsys.readouterr().out
    assert "it has learned" in said
    command = re.search(r"hakisa resume (runs/demo-2) --total-steps (\d+)", said)
    assert command
    assert main(["resume", command[1], "--total-steps", command[2]]) == 0
    assert f"Done: {int(command[2]):,} steps" in capsys.readouterr().out


def test_missing_extra_is_found_before_training(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(SHORT) == 2
    assert 'pip install "hakisa[report]"' in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--minutes", "0"), ("--minutes", "nan"), ("--games", "0")])
def test_impossible_budgets(arguments, capsys):
    assert main(["demo", *arguments]) == 2
    assert "must be more than 0" in capsys.readouterr().err
