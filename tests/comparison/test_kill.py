"""A comparison that is killed at random moments and started again ends with the same table."""

import json
import os
import random
import signal
import subprocess
import sys
import time

COMMAND = (
    *("compare", "--algorithms", "ppo", "a2c", "--envs", "Hakisa/Press-v0", "--seeds", "2", "--steps", "600"),
    *("--final-episodes", "4", "--film-steps", "0", "--workers", "2"),
)
JOBS = 6  # with the random player
KILLS = 3
SECONDS = 600


def start(out):
    command = [sys.executable, "-m", "hakisa_algos", *COMMAND, "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(out):
    process = start(out)
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return said


def done(out):
    return {path: path.stat().st_mtime_ns for path in out.glob("jobs/*/result.json")}


def figures(out):
    """Everything that depends on the jobs alone: no times, no machine."""
    found = {}
    for path in out.glob("jobs/*/result.json"):
        result = json.loads(path.read_text())
        points = [(point["step"], point["returns"]) for point in result["curve"]]
        found[path.parent.name] = (result["config"], result["steps"], points, result["final"])
    return found


def test_the_same_table_after_kills_at_random_moments(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole)
    assert len(done(whole)) == JOBS

    choice = random.Random(os.urandom(8))
    kept = {}
    for _ in range(KILLS):
        process = start(killed)
        # Somewhere in the work: after the first news of this start, or one more second at most.
        enough = len(kept) + choice.randrange(2)
        deadline = time.monotonic() + SECONDS
        while len(done(killed)) < min(enough, JOBS) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(choice.random() * 2)
        process.send_signal(signal.SIGKILL)
        process.wait(SECONDS)
        process.stdout.close()
        now = done(killed)
        assert kept.items() <= now.items(), "a run that was done has been done again"
        kept = now
    finish(killed)
    assert kept.items() <= done(killed).items()

    assert (killed / "table.txt").read_bytes() == (whole / "table.txt").read_bytes()
    assert json.loads((killed / "scores.json").read_text()) == json.loads((whole / "scores.json").read_text())
    assert figures(killed) == figures(whole)
    assert "0 to do" in finish(killed)


def test_a_half_written_result_is_no_result(tmp_path, capsys):
    """What a power cut leaves: the file beside, and a video without its end."""
    from hakisa_algos.cli.main import main

    small = ("compare", "--algorithms", "ppo", "--envs", "Hakisa/Press-v0", "--seeds", "1", "--steps", "200")
    arguments = [*small, "--final-episodes", "2", "--film-steps", "0", "--workers", "0", "--out", str(tmp_path / "c")]
    assert main(arguments) == 0
    table = (tmp_path / "c" / "table.txt").read_bytes()
    result = tmp_path / "c" / "jobs" / "ppo-Hakisa-Press-v0-1" / "result.json"
    whole = result.read_bytes()
    result.write_bytes(whole[: len(whole) // 2])
    (result.parent / "result.json.part").write_bytes(b"{")
    (result.parent / "video.mp4").write_bytes(b"half")
    capsys.readouterr()
    assert main(arguments) == 0
    assert "1 to do" in capsys.readouterr().out
    assert (tmp_path / "c" / "table.txt").read_bytes() == table
    assert not (result.parent / "video.mp4").exists()
