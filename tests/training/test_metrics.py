"""Sinks: strict JSON lines that survive kills and resumes, TensorBoard files, W&B without a network."""

import json
import math
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from hakisa_algos.errors import ConfigError, MissingExtraError, RunFolderError
from hakisa_algos.training.metrics import JsonlSink, TensorBoardSink, read_metrics
from hakisa_algos.training.weights_and_biases import WandbSink


def strict(text):
    """Parse JSON that has no NaN or Infinity in it."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def write(path, steps, resume_step=None):
    sink = JsonlSink(path, resume_step)
    for step in steps:
        sink.write(step, {"train/loss": step / 2})
    sink.close()


def test_a_line_per_write_in_strict_json_and_at_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    sink = JsonlSink(path)
    sink.write(8, {"a": math.nan, "b": math.inf, "c": np.float32(0.5), "d": torch.tensor(2.0), "e": 3, "f": True})
    row = strict(path.read_text())  # before close: it is flushed
    assert row == {"step": 8, "a": None, "b": None, "c": 0.5, "d": 2.0, "e": 3, "f": 1}
    sink.close()
    sink.close()
    (back,) = read_metrics(path)
    assert math.isnan(back["a"])
    assert back["e"] == 3


@pytest.mark.parametrize("value", [True, 3, 2.5, np.bool_(True), np.int64(3), np.float32(2.5), np.array(2.5)])
def test_every_kind_of_number_is_taken(tmp_path, value):
    sink = JsonlSink(tmp_path / "m")
    sink.write(1, {"mine/score": value})
    sink.close()
    assert strict((tmp_path / "m").read_text())["mine/score"] == value


@pytest.mark.parametrize("value", ["high", "3", None, [1.0], np.zeros(2), torch.zeros(2), 1j])
@pytest.mark.parametrize("kind", ["jsonl", "tensorboard"])
def test_what_is_no_number_is_named_and_nothing_is_written(tmp_path, kind, value):
    if kind == "tensorboard":
        pytest.importorskip("tensorboard")
    sink = JsonlSink(tmp_path / "m") if kind == "jsonl" else TensorBoardSink(tmp_path / "t")
    with pytest.raises(ConfigError, match=r"metric 'mine/score' is .*; a metric is one number"):
        sink.write(1, {"train/loss": 1.0, "mine/score": value})
    sink.close()
    assert kind == "tensorboard" or (tmp_path / "m").read_text() == ""


def test_a_metric_does_not_take_the_name_of_the_steps(tmp_path):
    sink = JsonlSink(tmp_path / "m")
    with pytest.raises(ConfigError, match="'step' is the name of the env steps"):
        sink.write(1, {"step": 5.0})
    sink.close()


def test_appending_keeps_what_is_there(tmp_path):
    write(tmp_path / "m", [1, 2])
    write(tmp_path / "m", [3])
    assert [row["step"] for row in read_metrics(tmp_path / "m")] == [1, 2, 3]


def test_a_resume_drops_the_lines_after_its_checkpoint(tmp_path):
    write(tmp_path / "m", [10, 20, 30])
    write(tmp_path / "m", [25, 35], resume_step=20)
    assert [row["step"] for row in read_metrics(tmp_path / "m")] == [10, 20, 25, 35]


@pytest.mark.parametrize("torn", ['{"step": 3, "train/lo', '{"step": 3}', "\u2603", "{", '{"other": 1}\n'])
def test_a_torn_last_line_is_left_out_and_then_mended(tmp_path, torn, caplog):
    path = tmp_path / "m"
    write(path, [1, 2])
    whole = path.read_text()
    path.write_bytes((whole + torn).encode()[: len(whole) + len(torn)])
    if not torn.endswith("\n") and torn != '{"step": 3}':
        assert [row["step"] for row in read_metrics(path)] == [1, 2]
    write(path, [4])
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 4]
    assert "damaged" in caplog.text


def test_a_damaged_middle_line_and_a_missing_file_are_named(tmp_path):
    path = tmp_path / "m"
    path.write_text('{"step": 1}\ngarbage\n{"step": 2}\n')
    with pytest.raises(RunFolderError, match=r"line 2.*garbage"):
        read_metrics(path)
    with pytest.raises(RunFolderError, match="is missing"):
        read_metrics(tmp_path / "none")


def test_tensorboard_reads_what_was_written_and_forgets_after_a_resume(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sink = TensorBoardSink(tmp_path)
    for step in (1, 2, 3):
        sink.write(step, {"rollout/ep_rew_mean": step * 1.5})
    sink.close()
    written = int(time.time())
    while int(time.time()) == written:  # TensorBoard reads files by name, which begins with the second
        time.sleep(0.01)
    sink = TensorBoardSink(tmp_path, resume_step=2)
    sink.write(4, {"rollout/ep_rew_mean": 9.0})
    sink.close()
    sink.close()
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("rollout/ep_rew_mean")
    assert [(event.step, event.value) for event in events] == [(1, 1.5), (2, 3.0), (4, 9.0)]


WANDB_OFFLINE = """
import sys
from pathlib import Path
import numpy as np
import hakisa_algos.training.weights_and_biases as module
from hakisa_algos.training.chronicle import Chronicle, Milestone
from hakisa_algos.training.pictures import write_png
folder = Path(sys.argv[1])
(folder / "videos").mkdir(parents=True)
write_png(folder / "now.png", lambda: np.zeros((8, 8, 3), np.uint8))
assert "wandb" not in sys.modules, "imported before it was asked for"
sink = module.WandbSink(folder, project="p", name="n", config={"lr": 0.1}, mode="offline")
sink.write(1, {"train/loss": 0.5, "train/approx_kl": float("nan")})
write_png(folder / "map.png", lambda: np.zeros((8, 8, 3), np.uint8))
(folder / "videos" / "begun.mp4").write_bytes(b"half")
chronicle = Chronicle(2)
chronicle.is_empty = False
chronicle.milestones["badge"] = Milestone(1, 0.5, None, {1})
chronicle.write(folder)
sink.write(2, {"train/loss": 0.4})
sink.write(3, {"train/loss": 0.4})
sink.close()
sink.close()
"""


def test_wandb_offline_works_with_no_network_no_noise_and_no_warning(tmp_path):
    pytest.importorskip("wandb")
    nowhere = "http://127.0.0.1:9"
    keep = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    blocked = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "WANDB_BASE_URL"), nowhere)
    env = {**keep, **blocked, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    theirs = "ignore:Implicitly cleaning up:ResourceWarning"  # folders of W&B's own, for its media
    command = [sys.executable, "-W", "error", "-W", theirs, "-c", WANDB_OFFLINE, str(tmp_path / "run")]
    # Where the kernel allows it, in a network of its own, which has nothing in it.
    alone = ["unshare", "-rn"]
    if shutil.which("unshare") and subprocess.run([*alone, "true"], capture_output=True).returncode == 0:
        command = alone + command
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    (recorded,) = (tmp_path / "run").glob("wandb/offline-run-*/run-*.wandb")
    assert b"train/loss" in recorded.read_bytes()
    media = tmp_path / "run" / "wandb" / recorded.parent.name / "files" / "media"
    # Each once, what was there before not at all, and the video only at the end, as it might still be written.
    shown = sorted(path.name.split("_")[0] for path in media.rglob("*.*"))
    assert shown == ["begun", "map", "milestones"]


@pytest.mark.parametrize(
    ("module", "make"),
    [
        ("tensorboard", lambda path: TensorBoardSink(path)),
        ("wandb", lambda path: WandbSink(path, project="p", name="n", config={})),
    ],
)
def test_a_missing_package_is_an_install_line(tmp_path, monkeypatch, module, make):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as error:
        make(tmp_path)
    assert str(error.value) == f'pip install "hakisa[{module}]"'
