"""A GA run that was stopped goes on in another process as if it had not been, its population included."""

import subprocess
import sys

import pytest

from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_algos.training.metrics import read_metrics
from tests.helpers.learning import assert_same
from tests.learners import ga_run
from tests.learners.ga_run import play

UPDATES = 18


@pytest.mark.parametrize("stop", [12, 13], ids=["before a generation", "before its validation"])
def test_resumed_in_a_new_process_it_is_the_same_run(tmp_path, stop):
    whole = play(tmp_path / "whole", UPDATES)
    halfway = play(tmp_path / "parts", stop)
    assert bool(halfway.learner._candidates) == (stop == 13)
    command = [sys.executable, "-W", "error", ga_run.__file__, tmp_path / "parts", str(UPDATES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    first, second = (load_checkpoint(tmp_path / name / "checkpoints").state for name in ("whole", "parts"))
    assert_same(second, first)
    assert first["learner"]["generation"] == 9
    assert len(first["learner"]["population"]["lengths"]) == 8
    assert len(halfway.learner.elite) > 1  # a mutant: the policy's weights are not those it began with
    assert whole.learner.elite != halfway.learner.elite
    rows = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "parts")]
    assert len(rows[0]) == len(rows[1]) == UPDATES
    for a, b in zip(*rows, strict=True):
        assert_same(*({k: v for k, v in row.items() if not k.startswith("time/")} for row in (a, b)))
