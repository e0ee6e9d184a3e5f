"""Runs whose processes die: told, left out of the table, tried again; the rest goes on."""

import json
import signal

import pytest

from hakisa_algos.cli.main import main
from hakisa_algos.comparison.grid import as_text
from hakisa_algos.comparison.summary import rankings
from hakisa_algos.comparison.table import score_grids
from tests.comparison.test_summary import plan_of, results_of

ENV = "tests.comparison.deadly:Deadly-v0"
JOB = "ppo-tests.comparison.deadly-Deadly-v0-1"
ARGUMENTS = (
    *("compare", "--algorithms", "ppo", "--envs", ENV, "Hakisa/Press-v0", "--seeds", "1", "--steps", "1000"),
    *("--final-episodes", "2", "--film-steps", "0", "--workers", "2"),
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV], ids=lambda number: number.name)
def test_a_run_whose_process_dies_is_told_and_left_out_and_tried_again(number, tmp_path, monkeypatch, capfd):
    out, mark = tmp_path / "c", tmp_path / "deadly"
    mark.write_text(str(int(number)))
    monkeypatch.setenv("HAKISA_TEST_DEADLY", str(mark))
    command = [*ARGUMENTS, "--out", str(out)]
    assert main(command) == 1
    log = out / "jobs" / JOB / "log.txt"
    reason = (
        f"its process died: 3 workers were lost with one task, the last with exit code -{int(number)}, {number.name}"
    )
    said = capfd.readouterr().out
    assert said.count(f"ppo on {ENV}, seed 1: failed: {reason}") == 1
    assert str(log) in said
    assert log.read_text().count("== ") == 3  # attempts
    assert (log.read_text().count("Fatal Python error: Segmentation fault") == 3) == (number == signal.SIGSEGV)
    table = (out / "table.txt").read_text()
    assert f"Failed, and left out\n  ppo on {ENV}, seed 1: {reason}" in table
    assert "its process died" in (out / "report.html").read_text()
    scores = json.loads((out / "scores.json").read_text())["scores"]
    assert scores[ENV]["ppo"]["deterministic"] == []
    assert all(len(scores[env][name]["deterministic"]) == 1 for env in scores for name in scores[env] if env != ENV)

    mark.unlink()
    assert main(command) == 0
    said = capfd.readouterr().out
    assert "4 runs, 1 to do" in said
    assert "Failed" not in (out / "table.txt").read_text()
    assert "its process died" not in (out / "report.html").read_text()
    assert not (out / "jobs" / JOB / "error.txt").exists()


def test_a_table_says_of_how_many_runs_some_are_missing():
    plan = plan_of("one", "two")
    results = results_of(plan, one=[1, 2, 3, 4], two=[5, 6, 7])
    (grid,) = score_grids(plan, rankings(plan, results))
    lines = as_text(grid).splitlines()
    assert lines[2].split()[:4] == ["two", "3", "of", "4"]
    assert lines[3].split()[:2] == ["one", "4"]
