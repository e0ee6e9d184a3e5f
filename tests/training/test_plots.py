"""The learning curve is drawn without a display, from whatever a run has written so far."""

import sys

import pytest

from hakisa_algos.errors import MissingExtraError, RunFolderError
from hakisa_algos.training.metrics import JsonlSink
from hakisa_algos.training.plots import Chart, curves, learning_curve


def run(tmp_path, rows):
    sink = JsonlSink(tmp_path / "metrics.jsonl")
    for step, metrics in rows:
        sink.write(step, metrics)
    sink.close()
    return tmp_path / "metrics.jsonl"


@pytest.mark.parametrize("baseline", [None, -20.4])
def test_a_curve_with_gaps_and_evaluations(tmp_path, monkeypatch, baseline):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    monkeypatch.delenv("DISPLAY", raising=False)
    rows = [(step, {"rollout/ep_rew_mean": step / 10 if step > 2 else float("nan")}) for step in range(10)]
    rows.append((10, {"eval/mean_reward": 1.5}))
    output = tmp_path / "report" / "curve.png"
    learning_curve(run(tmp_path, rows), output, baseline=baseline, title="PPO on Pong [100 %] $x")
    picture = imread(output)
    assert picture.shape[:2] == (900, 1600)
    assert picture[..., :3].std() > 0.02  # something is drawn
    pyplot = sys.modules.get("matplotlib.pyplot")  # perhaps loaded by another test
    assert pyplot is None or not pyplot.get_fignums()  # no global figure, no window


def test_a_run_without_an_episode_says_so(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(RunFolderError, match="one finished episode"):
        learning_curve(run(tmp_path, [(1, {"train/loss": 1.0})]), tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_without_matplotlib_it_is_an_install_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r'^pip install "hakisa\[report\]"$'):
        learning_curve(tmp_path / "m", tmp_path / "x.png")


def test_several_charts_with_bands_levels_and_dots_are_one_picture(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    monkeypatch.delenv("DISPLAY", raising=False)
    x, y = [1, 2, 4], [0.0, 5.0, 3.0]
    first = Chart({"a": (x, y, [-1, 4, 2], [1, 6, 4]), "b": (x, y)}, "one", levels={"random": 1.0}, dots=["b"])
    curves(tmp_path / "some" / "three.png", first, Chart({"b": (x, y)}, doubling=True), Chart({}), colours={"b": 9})
    picture = imread(tmp_path / "some" / "three.png")
    assert picture.shape[:2] == (1360, 2000)
    for corner in (picture[:680, :1000], picture[:680, 1000:]):
        assert corner[..., :3].std() > 0.02
