"""The benchmark of learning on Monsters keeps what a run says, and runs nothing twice."""

import importlib
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stable_retro", reason='the extra "retro" is not installed')

ROOT = Path(__file__).parents[3]
SMALL = {"num_envs": 2, "n_steps": 16, "minibatch_size": 32, "memory_size": 8, "epochs": 1}


@pytest.fixture
def modules(monkeypatch, tmp_path):
    """The benchmark's modules by name, with results of their own."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(importlib.import_module("_results"), "RESULTS", tmp_path / "results")
    return importlib.import_module


def test_what_is_told_of_milestones(modules):
    monsters = modules("monsters")
    said = {"columns": 4, "milestones": {"monster": {"step": 80, "minutes": 1.26, "columns": [0, 2], "start": "start"}}}
    found = monsters.milestones(said)
    assert found == {"monster": {"step": 80, "minutes": 1.3, "share": 0.5, "began_at": "start"}}
    late = {"monster": {**found["monster"], "step": 120, "share": 1.0}}
    results = [{"arm": "memory", "milestones": each} for each in (found, late, {})]
    results.append({"arm": "no_map", "milestones": {}})
    lines = monsters.table(results).splitlines()
    assert lines[0] == "| milestone | memory | no_map |"
    assert lines[2] == "| the first monster | 100, 1.3 min, 50% of envs, 2 of 3 | 0 of 1 |"
    assert len(lines) == 2 + len(monsters.MILESTONES)


def test_a_run_is_stored_goes_on_after_a_stop_and_is_not_run_again(modules, monkeypatch, tmp_path, capsys):
    monsters = modules("monsters")
    arguments = ["--arms", "no_map", "--seeds", "1", "--steps", "128", "--episodes", "1", "--longest", "8"]
    arguments += ["--config", json.dumps(SMALL), "--home", str(tmp_path / "home"), "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["monsters.py", *arguments])
    learn = monsters.Agent.learn

    def stopped(agent, callbacks):
        """As a signal would."""

        def stop(trainer, metrics):
            trainer.stopped_by = "SIGTERM"

        return learn(agent, callbacks=[*callbacks, stop])

    with monkeypatch.context() as patched:
        patched.setattr(monsters.Agent, "learn", stopped)
        monsters.main()
    assert "the same command goes on" in capsys.readouterr().out
    assert not list((tmp_path / "results").glob("*"))
    monsters.main()
    capsys.readouterr()
    record = json.loads((tmp_path / "results" / "monsters_no_map_seed1.json").read_text())
    assert (record["steps"], record["reached"], record["ended_early"]) == (128, False, False)
    assert record["env_options"]["visited_map"] is False
    assert record["assists"] == []
    assert record["evaluation"]["games"] == 1
    assert [point["step"] for point in record["curve"]] == [32, 64, 96, 128]
    monsters.main()
    assert "is done" in capsys.readouterr().out


def test_the_picture_of_the_world_is_drawn_from_what_the_rom_is_built_from(modules):
    drawing = modules("draw_monsters")
    picture = drawing.PICTURE.read_bytes()
    assert len(picture) < 100_000
    world = drawing.world()
    lines = zlib.decompressobj().decompress(picture[picture.index(b"IDAT") + 4 :])  # each begins with its filter
    kept = np.frombuffer(lines, np.uint8).reshape(len(world), -1)[:, 1:].reshape(world.shape)
    assert (kept == world).all()
    assert set(drawing.PLACES) == set(sys.modules["maps"].MAPS)
