"""``hakisa resume``: exact, extendable, and careful with files."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hakisa_algos.cli.main import main
from hakisa_algos.training import run_folder
from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_algos.training.console import ConsoleView
from hakisa_algos.training.metrics import JsonlSink

TINY = ("--env", "CartPole-v1", "--config.num-envs", "2", "--config.n-steps", "32", "--config.minibatch-size", "16")


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A run of 256 steps with checkpoints at 128, 192 and 256, of which the middle of the run is 128."""
    monkeypatch.chdir(tmp_path)
    assert main(["train", "ppo", *TINY, "--total-steps", "256", "--checkpoint-every", "64", "--run", "whole"]) == 0
    return tmp_path / "whole"


def stopped_at_half(finished):
    """The same run, as a kill after its checkpoint at 128 would have left it."""
    half = finished.with_name("half")
    shutil.copytree(finished, half)
    (half / "checkpoints" / "latest").write_text("step_000000128\n")
    for step in (192, 256):
        shutil.rmtree(half / "checkpoints" / f"step_{step:09d}")
    return half


def same(left, right):
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    return left == right or (left != left and right != right)


def metrics(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if not name.startswith("time/")} for row in rows]


def test_resumed_in_a_new_process_equals_uninterrupted(finished):
    half = stopped_at_half(finished)
    command = [sys.executable, "-W", "error", "-m", "hakisa_algos", "resume", str(half)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "goes on at step 128 of 256" in done.stdout
    assert metrics(half) == metrics(finished)
    whole, resumed = (load_checkpoint(run / "checkpoints").state for run in (finished, half))
    assert whole["step"] == resumed["step"] == 256
    for part in ("learner", "collector", "buffer", "statistics", "identity"):
        assert same(whole[part], resumed[part]), part


def test_a_finished_run_says_how_to_extend_it(finished, capsys):
    assert main(["resume", "whole"]) == 0
    said = capsys.readouterr().out
    assert "finished: 256 of 256 steps" in said
    assert "hakisa resume whole --total-steps 512" in said
    assert main(["resume", "whole", "--total-steps", "320"]) == 0
    assert "320 steps" in capsys.readouterr().out
    assert main(["resume", "whole"]) == 0
    assert "finished: 320 of 320 steps" in capsys.readouterr().out


def test_changes_to_a_finished_run_are_not_dropped_in_silence(finished, capsys):
    before = (finished / "config.json").read_bytes()
    changes = ["--config.learning-rate", "0.5", "--total-steps=200", "--collapse", "off"]
    assert main(["resume", "whole", *changes]) == 0
    said = capsys.readouterr().out
    assert "What you changed was not used" in said
    command = shlex.split(said.splitlines()[-1])
    assert command == shlex.split("hakisa resume whole --config.learning-rate 0.5 --collapse off --total-steps 512")
    assert (finished / "config.json").read_bytes() == before
    assert main(command[1:]) == 0
    assert told(finished)["config"]["learning_rate"] == 0.5


def test_a_generation_that_waits_for_its_validation_is_not_finished(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shape = ["--config.num-envs", "2", "--config.population", "4", "--config.parents", "2", "--total-steps", "1"]
    monkeypatch.setattr(ConsoleView, "update", lambda view, step, metrics: signal.raise_signal(signal.SIGTERM))
    assert main(["train", "ga", "--env", "CartPole-v1", *shape, "--run", "r"]) == 143
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert load_checkpoint(tmp_path / "r" / "checkpoints").state["learner"]["generation"] == 0
    assert main(["resume", "r"]) == 0
    assert "finished" not in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "r" / "checkpoints").state["learner"]["generation"] == 1


def test_another_number_of_envs_is_said(finished, caplog):
    assert main(["resume", "whole", "--config.num-envs", "3", "--total-steps", "400"]) == 0
    assert "3 envs instead of 2: the running episodes are closed as truncated" in caplog.text


def test_the_options_of_the_beginning_are_used_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--total-steps", "64", "--run", "r", "--eval-every", "64", "--eval-episodes", "2"]
    assert main(["train", "ppo", *TINY, *arguments]) == 0
    assert main(["resume", "r", "--total-steps", "128"]) == 0
    evaluated = [row["step"] for row in metrics(tmp_path / "r") if "eval/mean_reward" in row]
    assert evaluated == [64, 128]


def test_a_file_cannot_make_it_log_elsewhere(finished, monkeypatch, capsys):
    logged = []
    monkeypatch.setattr(run_folder, "check_wandb", lambda mode: None)
    monkeypatch.setattr(
        run_folder, "WandbSink", lambda folder, **options: logged.append(options) or JsonlSink(Path("w"))
    )
    path = Path("whole/config.json")
    config = json.loads(path.read_text())
    config["options"] |= {"tensorboard": True, "wandb": "online", "wandb_project": "p; evil"}
    path.write_text(json.dumps(config))
    assert main(["resume", "whole", "--total-steps", "320"]) == 0
    assert not logged
    assert not Path("whole/tensorboard").exists()
    flags = "--tensorboard --wandb online --wandb-project 'p; evil'"
    assert f"add {flags}." in capsys.readouterr().out
    assert main(["resume", "whole", "--total-steps", "384", *shlex.split(flags)]) == 0
    assert [(options["mode"], options["project"], options["run_id"]) for options in logged] == [
        ("online", "p; evil", config["run_id"])
    ]
    assert list(Path("whole/tensorboard").glob("events.*"))
    assert f"hakisa resume whole --total-steps 768 {flags}" in capsys.readouterr().out


def test_runs_of_the_same_name_are_two_to_weights_and_biases(tmp_path, monkeypatch):
    ids = []
    for machine in ("a", "b"):
        (tmp_path / machine).mkdir()
        monkeypatch.chdir(tmp_path / machine)
        assert main(["train", "ppo", *TINY, "--total-steps", "64", "--run", "same"]) == 0
        ids.append(json.loads(Path("same/config.json").read_text())["run_id"])
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (["--total-steps", "-5"], "total_steps=-5 must be greater than 0"),
        (["--total-steps", "0"], "total_steps=0 must be greater than 0"),
        (["--total-steps", "512", "--threads", "0"], "threads=0 must be greater than 0"),
    ],
)
def test_lengths_and_threads_that_cannot_be(finished, arguments, wording, capsys):
    assert main(["resume", "whole", *arguments]) == 2
    assert wording in capsys.readouterr().err


def told(run):
    return json.loads((run / "config.json").read_text())


def test_it_goes_on_with_other_hyperparameters_and_options(finished, capsys):
    changes = ["--config.learning-rate", "3e-4", "--config.num-envs", "4", "--config.total-steps", "512"]
    assert main(["resume", "whole", *changes, "--eval-every", "256", "--eval-episodes=2", "--collapse", "off"]) == 0
    said = capsys.readouterr().out
    assert "goes on at step 256 of 512" in said
    config = told(finished)
    assert (config["config"]["learning_rate"], config["config"]["num_envs"]) == (3e-4, 4)
    assert {entry["field"]: (entry["step"], entry["from"], entry["to"]) for entry in config["changes"]} == {
        "config.learning_rate": (256, 1e-3, 3e-4),
        "config.num_envs": (256, 2, 4),
        "config.total_steps": (256, 256, 512),
        "options.evaluate_every": (256, 0, 256),
        "options.evaluate_episodes": (256, 20, 2),
        "options.collapse": (256, "warn", "off"),
    }
    assert [row["step"] for row in metrics(finished) if "eval/mean_reward" in row] == [512]
    assert main(["resume", "whole", "--total-steps", "640"]) == 0
    assert told(finished)["config"]["learning_rate"] == 3e-4
    assert [entry["to"] for entry in told(finished)["changes"]][-1] == 640


def test_an_edit_of_config_json_counts_and_the_command_line_counts_more(finished):
    config = told(finished)
    config["config"] |= {"gamma": 0.5, "total_steps": 384, "epochs": 2}
    config["options"]["checkpoint_every"] = 96
    (finished / "config.json").write_text(json.dumps(config))
    assert main(["resume", "whole", "--config.gamma", "0.7"]) == 0
    now = told(finished)
    assert (now["config"]["gamma"], now["config"]["epochs"], now["config"]["total_steps"]) == (0.7, 2, 384)
    fields = {entry["field"] for entry in now["changes"]}
    assert fields == {"config.gamma", "config.epochs", "config.total_steps", "options.checkpoint_every"}
    assert load_checkpoint(finished / "checkpoints").state["step"] == 384


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (["--config.hidden-sizes", "32", "32"], "config.hidden_sizes cannot be changed from [64, 64] to [32, 32]"),
        (["--config.normalize-observation"], "config.normalize_observation cannot be changed from False to True"),
    ],
)
def test_what_the_weights_depend_on_is_refused(finished, arguments, wording, capsys):
    before = (finished / "config.json").read_bytes()
    assert main(["resume", "whole", "--total-steps", "512", *arguments]) == 2
    assert wording in capsys.readouterr().err
    assert (finished / "config.json").read_bytes() == before


def test_help_shows_what_the_run_has(finished, capsys):
    with pytest.raises(SystemExit) as end:
        main(["resume", "whole", "--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert end.value.code == 0
    assert "--config.minibatch-size INT" in said
    assert "(default: 16)" in said
    assert "--checkpoint-every" in said
    assert "(default: 64)" in said


def test_the_run_comes_first(finished, capsys):
    assert main(["resume", "--total-steps", "512", "whole"]) == 2
    assert "the run's folder comes first, before --total-steps: hakisa resume" in capsys.readouterr().err


def test_a_corrupt_checkpoint_is_named_with_another(finished, capsys):
    tensors = finished / "checkpoints" / "step_000000256" / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-7])
    assert main(["resume", "whole", "--total-steps", "512"]) == 2
    error = capsys.readouterr().err
    assert "tensors.safetensors" in error
    assert "step_000000192" in error


def test_not_a_run(tmp_path, capsys):
    assert main(["resume", str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_a_file_cannot_name_a_module_to_import(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "ppo", *TINY[2:], "--env", "hakisa_envs:Hakisa/Press-v0", "--total-steps", "64"]) == 0
    run = next((tmp_path / "runs").iterdir())
    assert f"resume runs/{run.name} --env hakisa_envs:Hakisa/Press-v0 --total-steps 128" in capsys.readouterr().out
    assert main(["resume", str(run), "--total-steps", "128"]) == 2
    assert "hakisa_envs:Hakisa/Press-v0" in capsys.readouterr().err
    assert main(["resume", str(run), "--total-steps", "128", "--env", "hakisa_envs:Hakisa/Press-v0"]) == 0


@pytest.mark.parametrize(
    ("options", "wording"),
    [
        ({"checkpoint_evry": 1}, "Did you mean 'checkpoint_every'?"),
        ({"checkpoint_every": "often"}, "checkpoint_every='often' must be a whole number"),
        ([], "must be an object"),
    ],
)
def test_options_that_cannot_be_are_refused(finished, options, wording, capsys):
    path = Path("whole/config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"options": options}))
    assert main(["resume", "whole", "--total-steps", "512"]) == 2
    assert wording in capsys.readouterr().err
