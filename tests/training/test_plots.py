"""Curves are drawn without a display, from whatever a run has written so far."""

import sys

import pytest

from hakisa_algos.errors import MissingExtraError
from hakisa_algos.training.plots import Chart, curves


def test_one_curve_with_gaps_is_drawn_without_a_window(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    monkeypatch.delenv("DISPLAY", raising=False)
    returns = [float("nan"), float("nan"), *(step / 10 for step in range(2, 10))]
    output = tmp_path / "report" / "curve.png"
    curves(output, Chart({"mean": (range(10), returns)}, "PPO on Pong [100 %] $x", levels={"random": -20.4}))
    picture = imread(output)
    assert picture.shape[:2] == (900, 1600)
    assert picture[..., :3].std() > 0.02  # something is drawn
    pyplot = sys.modules.get("matplotlib.pyplot")  # perhaps loaded by another test
    assert pyplot is None or not pyplot.get_fignums()  # no global figure, no window


def test_a_run_without_an_episode_is_drawn_too(tmp_path):
    pytest.importorskip("matplotlib")
    curves(tmp_path / "x.png", Chart({"mean": ([1, 2], [float("nan")] * 2)}, levels={"random": 1.0}))
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_is_an_install_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r'^pip install "hakisa\[report\]"$'):
        curves(tmp_path / "x.png", Chart({}))


def test_several_charts_with_bands_levels_are_one_picture(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    monkeypatch.delenv("DISPLAY", raising=False)
    x, y = [1, 2, 4], [0.0, 5.0, 3.0]
    first = Chart({"a": (x, y, [-1, 4, 2], [1, 6, 4]), "b": (x, y)}, "one", levels={"random": 1.0})
    curves(tmp_path / "some" / "three.png", first, Chart({"b": (x, y)}, doubling=True), Chart({}), colours={"b": 9})
    picture = imread(tmp_path / "some" / "three.png")
    assert picture.shape[:2] == (1360, 2000)
    for corner in (picture[:680, :1000], picture[:680, 1000:]):
        assert corner[..., :3].std() > 0.02
