"""The benchmark of learning files each point at the step at which it was measured."""

import importlib
from pathlib import Path


def test_a_point_stands_where_it_was_measured(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    learning = importlib.import_module("learning")
    # Generations of 256 steps: the fourth is finished, beyond the last step.
    small = {"population": 8, "parents": 2, "candidates": 0, "steps_per_individual": 32, "num_envs": 8}
    task = learning.Task("Hakisa/Press-v0", "ga", 1e9, small | {"total_steps": 1_000})
    monkeypatch.setitem(learning.TASKS, "small", task)
    row = learning.play("small", 1)
    assert [step for step, _ in row["curve"]] == [256] * 2 + [512] * 3 + [768] * 2 + [1024] * 3
    assert row["reached"] is None
