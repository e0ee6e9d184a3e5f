"""The benchmark of whole matches: its states were never trained from, and matches that went alike count once."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

helpers = pytest.importorskip("tests.retro.helpers")
from hakisa_envs.retro.game_files import HOMEBREW  # noqa: E402


@pytest.fixture
def matches(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("_fighter_matches")


def test_whoever_waits_on_the_title_screen_meets_the_same_opponents_with_other_chance(emulator, matches, tmp_path):
    script = HOMEBREW / "fighter" / "record_states.py"
    subprocess.run([sys.executable, script, "--wait", "50", "--into", tmp_path], check=True, timeout=600)
    shipped = {path.name for path in emulator.files.states.glob("*.state")}
    assert {path.name for path in tmp_path.iterdir()} == shipped
    for name in [state for opponent in matches.OPPONENTS for state in matches.states_of(opponent)]:
        seen = []
        for path in (emulator.files.states / f"{name}.state", tmp_path / f"{name}.state"):
            emulator.load(path)
            seen.append({key: emulator.read(variable) for key, variable in emulator.files.variables.items()})
        assert seen[0].pop("random") != seen[1].pop("random")
        assert seen[0] == seen[1]


def test_parts_start_from_states_of_their_own(matches, tmp_path):
    held_out, trained_from = (
        matches.starts(matches.PARTS[name], "zoner hard", tmp_path) for name in ("held out", "trained from")
    )
    assert trained_from == ["zoner.hard.left", "zoner.hard.right"]
    assert len(set(held_out)) == 2 * len(matches.WAITS)
    assert {Path(state).stem for state in held_out} == set(trained_from)
    assert all(Path(state).is_relative_to(tmp_path) for state in held_out)


def test_matches_that_went_alike_count_once(matches):
    alike = {"opponents": ["a"] * 4, "outcomes": ["win"] * 3 + ["loss"], "trajectories": [0, 0, 0, 3], "decisions": 40}
    other = {"opponents": ["b"] * 2, "outcomes": ["win", "draw"], "trajectories": [0, 1], "decisions": 20}
    found = matches.summary([alike, other])
    assert found["all"]["matches"] == 4
    assert found["all"]["won"] == found["by_opponent"]["a"]["won"] == found["by_opponent"]["b"]["won"] == 0.5
    assert found["by_opponent"]["b"]["drawn"] == 0.5
    assert found["all"]["decisions_a_match"] == 10
    least = {"opponents": ["c"], "outcomes": ["loss"], "trajectories": [0], "decisions": 1}
    assert matches.summary([alike, least])["least"] == "c"
