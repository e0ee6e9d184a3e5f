"""A comparison on an env whose episodes have no end: a signal ends it within a step, wherever it is."""

import json
import os
import signal
import subprocess
import sys

import pytest

from hakisa_algos.comparison import job as jobs
from hakisa_algos.comparison.plan import Job, Protocol
from hakisa_algos.comparison.players import Interrupted
from tests.comparison import endless
from tests.comparison.endless import wait_for
from tests.helpers.processes import wait_until

ENV = "tests.comparison.endless:Endless-v0"
NEVER = 10**9


@pytest.mark.parametrize(
    ("before", "name", "workers"),
    [
        (20, "SIGTERM", "1"),
        (20, "SIGINT", "0"),
        (1_000, "SIGTERM", "0"),
        (1_000, "SIGTERM", "1"),
        (1_000, "SIGINT", "1"),
    ],
)
def test_a_signal_ends_a_comparison_in_an_evaluation(before, name, workers, tmp_path):
    """With 20 steps it is the evaluation before training that does not end, with 1,000 one along the way."""
    out, mark = tmp_path / "c", tmp_path / "mark"
    arguments = ("--algorithms", "ppo", "--envs", ENV, "--seeds", "1", "--steps", "20000", "--film-steps", "0")
    command = [sys.executable, "-m", "hakisa_algos", "compare", *arguments, "--evaluate-steps", str(NEVER)]
    child = subprocess.Popen(
        [*command, "--workers", workers, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HAKISA_TEST_ENDLESS": f"{before} {mark}"},
    )
    try:
        wait_for(mark, child)
        child.send_signal(signal.Signals[name])
        wait_until(lambda: child.poll() is not None, 20.0)
        said, errors = child.communicate()
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == {"SIGINT": 130, "SIGTERM": 143}[name], errors
    assert "Stopped. To go on:" in said
    assert not errors
    assert {path.name for path in (out / "jobs").glob("*/*")} <= {jobs.LOG}  # nothing is written for the job


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("purpose", ["curve", "final"])
def test_a_signal_ends_any_evaluation_of_a_job_within_a_step(purpose, name, tmp_path, monkeypatch):
    job = Job("ppo", ENV, 1, Protocol(steps=100, points=1, curve_episodes=1, film_steps=0, evaluate_steps=NEVER))
    evaluated, steps = [], []
    real = jobs.evaluate

    def evaluate(policy, envs, **options):
        # The one before training, then the one after the first update, which is the last, and the final ones.
        evaluated.append(options["episodes"])
        if len(evaluated) == {"curve": 2, "final": 3}[purpose]:
            monkeypatch.setenv("HAKISA_TEST_ENDLESS", "0")

            def stop(stop=options["stop"]):
                steps.append(endless.taken)
                if len(steps) == 30:
                    signal.raise_signal(signal.Signals[name])
                return stop()

            options["stop"] = stop
        return real(policy, envs, **options)

    monkeypatch.setenv("HAKISA_TEST_ENDLESS", str(NEVER))
    monkeypatch.setattr(jobs, "evaluate", evaluate)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted, match=f"{name}: stopped after 0 of {1 if purpose == 'curve' else 100} episodes"):
        jobs.run_job(job, tmp_path / "job")
    assert len(steps) == 30
    assert endless.taken == steps[-1]
    assert list((tmp_path / "job").iterdir()) == []
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_that_training_has_heard_ends_the_evaluation_that_follows(name, tmp_path, monkeypatch):
    job = Job("ppo", ENV, 1, Protocol(steps=100, points=1, curve_episodes=1, film_steps=0, evaluate_steps=NEVER))
    made, real = [], jobs.make_envs

    def make_envs(*arguments):
        made.append(arguments)
        if len(made) == 2:  # for the evaluation after the first update, within the trainer's own watch for signals
            monkeypatch.setenv("HAKISA_TEST_ENDLESS", "0")
            signal.raise_signal(signal.Signals[name])
        return real(*arguments)

    monkeypatch.setenv("HAKISA_TEST_ENDLESS", str(NEVER))
    monkeypatch.setattr(jobs, "make_envs", make_envs)
    with pytest.raises(Interrupted, match=f"{name}: stopped after 0 of 1 episodes"):
        jobs.run_job(job, tmp_path / "job")
    assert len(made) == 2


def test_without_a_signal_the_limit_ends_every_evaluation(tmp_path):
    protocol = Protocol(steps=100, points=1, curve_episodes=3, final_episodes=5, film_steps=0, evaluate_steps=15)
    jobs.run_job(Job("dqn", ENV, 1, protocol), tmp_path / "job")
    final = json.loads((tmp_path / "job" / jobs.RESULT).read_text())["final"]["stochastic"]
    assert (final["lengths"], final["cut"], final["limit"]) == ([15] * 5, [True] * 5, 15)
