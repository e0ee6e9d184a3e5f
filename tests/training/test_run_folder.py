"""Run folders: what they record, and that no run ever lands on another."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from hakisa_algos.errors import ConfigError, RunFolderError
from hakisa_algos.training import run_folder
from hakisa_algos.training.run_folder import RunFolder, default_run_path, free_path, system_info

INNER = {"clip": 0.2, "sizes": (64, 64)}


@dataclass(frozen=True)
class Table:
    weight: float = 0.2


def test_a_new_run_records_its_config_and_system(tmp_path):
    run = RunFolder.create(tmp_path / "runs" / "a", {"env": "CartPole-v1", "ppo": INNER, "path": Path("x/y")})
    config = json.loads((run.path / "config.json").read_text())
    assert len(config.pop("run_id")) == 32
    assert config.pop("changes") == []
    assert config == {"env": "CartPole-v1", "ppo": {"clip": 0.2, "sizes": [64, 64]}, "path": "x/y"}
    system = json.loads((run.path / "system.json").read_text())
    assert {"python", "torch", "numpy", "gymnasium", "ale-py", "hakisa", "platform", "cpu", "cores"} <= set(system)
    assert system["threads"] >= 1
    assert run.checkpoints.is_dir()
    assert run.metrics.parent == run.path
    assert RunFolder.open(run.path).config == run.config
    assert RunFolder.create(tmp_path / "b", {}).config["run_id"] != run.config["run_id"]


def test_a_folder_with_something_in_it_is_an_error_with_two_ways_out(tmp_path):
    RunFolder.create(tmp_path / "a", {})
    with pytest.raises(RunFolderError) as error:
        RunFolder.create(tmp_path / "a", {})
    assert f"hakisa resume {tmp_path / 'a'}" in str(error.value)
    assert str(tmp_path / "a-2") in str(error.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="exists"):
        RunFolder.create(tmp_path / "file", {})


def test_an_empty_folder_is_taken_and_numbers_are_counted_up(tmp_path):
    (tmp_path / "a").mkdir()
    paths = [RunFolder.create(free_path(tmp_path / "a"), {}).path.name for _ in range(3)]
    assert paths == ["a", "a-2", "a-3"]


def test_default_paths_are_free_and_plain(tmp_path):
    assert default_run_path("ppo", "CartPole-v1", 1) == Path("runs/ppo-CartPole-v1-1")
    path = default_run_path("ppo", "hakisa_envs:Hakisa/Pong-v0", 3, tmp_path)
    assert path == tmp_path / "ppo-hakisa_envs-Hakisa-Pong-v0-3"
    RunFolder.create(path, {})
    assert default_run_path("ppo", "hakisa_envs:Hakisa/Pong-v0", 3, tmp_path).name == path.name + "-2"
    assert default_run_path("ppo", "../../evil", 1, tmp_path).parent == tmp_path


@pytest.mark.parametrize("value", [float("inf"), float("nan"), object(), len, Table()])
def test_a_config_that_json_cannot_say_is_named_before_anything_is_made(tmp_path, value):
    with pytest.raises(ConfigError, match=r"config\.a\[0\]"):
        RunFolder.create(tmp_path / "a", {"a": [value]})
    assert not (tmp_path / "a").exists()


def test_opening_what_is_no_run_suggests_one(tmp_path):
    RunFolder.create(tmp_path / "ppo-CartPole-v1-1", {})
    with pytest.raises(RunFolderError, match=r"no config.json.*Did you mean 'ppo-CartPole-v1-1'"):
        RunFolder.open(tmp_path / "ppo-Cartpole-v1")
    for damaged in ("{", "[]"):
        (tmp_path / "ppo-CartPole-v1-1" / "config.json").write_text(damaged)
        with pytest.raises(RunFolderError, match=r"config\.json"):
            RunFolder.open(tmp_path / "ppo-CartPole-v1-1")


def test_a_resume_on_another_system_says_so(tmp_path, caplog):
    run = RunFolder.create(tmp_path / "a", {})
    RunFolder.open(run.path)
    assert not caplog.text
    system = json.loads((run.path / "system.json").read_text())
    (run.path / "system.json").write_text(json.dumps(system | {"torch": "0.1"}))
    RunFolder.open(run.path)
    assert "torch 0.1 ->" in caplog.text


def test_the_commit_is_that_of_the_checkout_and_nobody_elses(tmp_path, monkeypatch):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*git, "init", "-q"], check=True)
    module = tmp_path / "run_folder.py"
    module.write_text("")
    monkeypatch.setattr(run_folder, "__file__", str(module))
    assert system_info()["commit"] is None  # not tracked: an installed package in somebody's checkout
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert system_info()["commit"] == commit
    module.write_text("changed")
    assert system_info()["commit"] == commit + "+"
