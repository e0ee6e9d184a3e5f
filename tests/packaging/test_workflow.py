"""The workflow by which a maintainer's CI tests Windows and macOS."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.module("yaml")
def test_workflow_runs_the_portable_tests_on_windows_and_macos():
    import yaml

    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "portable.yml").read_text(encoding="utf-8"))
    assert {"push", "pull_request", "workflow_dispatch"} <= workflow[True].keys()  # YAML takes "on" for a truth value
    (job,) = workflow["jobs"].values()
    assert set(job["strategy"]["matrix"]["os"]) == {"windows-latest", "macos-latest"}
    assert job["runs-on"] == "${{ matrix.os }}"
    assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    for command in ('--editable ".[portable]"', "hakisa doctor", "python -m pytest -q tests/portable"):
        assert command in commands
    assert (ROOT / "tests" / "portable").is_dir()
