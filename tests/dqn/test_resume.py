"""A run that was stopped and goes on in another process ends with the same bits as one that was not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.dqn import resume_run
from tests.dqn.resume_run import TOTAL, play


@pytest.mark.parametrize("name", resume_run.CONFIGS)
def test_resumed_in_a_new_process_it_ends_the_same(name, tmp_path):
    uninterrupted = play(name, tmp_path / "whole", TOTAL)
    stopped = play(name, tmp_path / "parts", TOTAL // 2)
    assert stopped[0] == TOTAL // 2
    command = [sys.executable, "-W", "error", Path(resume_run.__file__), name, tmp_path / "parts", str(TOTAL)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    step, digest = result.stdout.split()
    assert (int(step), digest) == uninterrupted
    assert digest != stopped[1]
