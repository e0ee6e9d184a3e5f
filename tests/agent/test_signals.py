"""Ctrl+C, SIGTERM and SIGHUP end a run cleanly, twice at once; after a kill the latest checkpoint still loads."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hakisa_algos.agent import PPO
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import PoolError
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.pool.pool import Pool
from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.signals import StopSignals
from hakisa_envs.vector import ProcessVectorEnv
from tests.helpers.toy import Toy

CHILD = Path(__file__).with_name("signal_child.py")


@contextlib.contextmanager
def training(*arguments):
    command = [sys.executable, "-W", "error", str(CHILD), *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_saves_at_the_end_of_an_update_and_exits_cleanly(tmp_path, name):
    with training(tmp_path / "run") as child:
        said = [child.stdout.readline() for _ in range(3)]
        child.send_signal(signal.Signals[name])
        output, errors = child.communicate(timeout=600)
    assert child.returncode == 0, errors
    assert errors.strip().startswith(f"{name}: saves and stops after this update")
    assert errors.count("\n") == 2
    *_, last, farewell = "".join([*said, output]).splitlines()
    assert farewell == f"stopped by {name} at {last}"
    assert int(last) % 64 == 0
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == int(last)
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == int(last)
    assert not list((tmp_path / "run" / "checkpoints").glob(".tmp*"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_to_all_processes_is_the_trainers_alone_and_still_saves(tmp_path, name):
    with training(tmp_path / "run", "-", "async") as child:
        assert child.stdout.readline()
        os.killpg(child.pid, signal.Signals[name])
        output, errors = child.communicate(timeout=600)
    assert child.returncode == 0, errors
    assert "Traceback" not in errors
    last = output.split()[-1]
    assert f"stopped by {name} at {last}" in output
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == int(last)


def group_of(task):
    return os.getpgrp()


def test_no_worker_is_in_the_group_of_the_trainer():
    """So that signals to the group are the trainer's alone."""
    groups = set()
    with contextlib.closing(make_envs("CartPole-v1", 2, vectorization="async")) as envs:
        groups |= {os.getpgid(process.pid) for process in envs.processes}
    with contextlib.closing(ProcessVectorEnv([Toy, Toy])) as envs:
        envs.reset()
        groups |= {os.getpgid(pid) for pid in envs.pids}
    with Pool(1) as pool:
        groups |= set(pool.map(group_of, [0]))
    assert len(groups) == 5
    assert os.getpgrp() not in groups


def test_an_env_process_that_dies_is_named_and_what_was_learned_is_saved(tmp_path):
    run = tmp_path / "run"
    agent = PPO("CartPole-v1", PPOConfig(num_envs=3, n_steps=16, minibatch_size=16), vectorization="async")

    def kill(trainer, metrics):
        if trainer.step == 96:
            os.kill(trainer.envs.processes[1].pid, signal.SIGKILL)
            trainer.envs.processes[1].join()

    with pytest.raises(PoolError, match=r"the process of env 1 \(exit code -9\) has died"):
        agent.learn(480, run=run, callbacks=[kill])
    assert load_checkpoint(run / "checkpoints").state["step"] >= 96
    processes = agent.envs.processes
    agent.close()
    assert not any(process.is_alive() for process in processes)
    assert PPO.load(run).learn(480).steps == 480


def test_a_terminal_that_closes_sends_more_than_one_hangup():
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert signals.name == "SIGHUP"
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)


def test_a_hangup_that_is_to_be_ignored_is():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with StopSignals() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signals.name is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("name", "code", "last_words"), [("SIGINT", -2, "KeyboardInterrupt"), ("SIGTERM", 143, "")])
def test_the_second_signal_exits_at_once(tmp_path, name, code, last_words):
    with training(tmp_path / "run", name) as child:
        output, errors = child.communicate(timeout=600)
    assert child.returncode == code, errors
    assert errors.strip().endswith(last_words)
    assert output.split() == ["64", "128"]
    assert (
        load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == 128
    )  # the one before the interrupted update


def test_after_a_kill_at_any_moment_the_latest_checkpoint_loads_and_the_run_goes_on(tmp_path):
    rng = random.Random(0)
    step = 0
    for _ in range(3):
        with training(tmp_path / "run") as child:
            first, second = (int(child.stdout.readline()) for _ in range(2))  # a checkpoint lies between them
            assert first == step + 64
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=rng.uniform(0, 0.3))
            child.kill()
            output, errors = child.communicate(timeout=600)
            assert not errors
        last = max([second, *map(int, output.split())])
        step = load_checkpoint(tmp_path / "run" / "checkpoints").state["step"]
        # Steps are printed just before they are saved, which waits for the save before, and only for that.
        assert last - 128 <= step <= last


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals() as signals:
        assert signals.name is None
        signal.raise_signal(signal.SIGTERM)
        assert signals.name == "SIGTERM"
        with pytest.raises(SystemExit) as caught:
            signal.raise_signal(signal.SIGTERM)
        assert caught.value.code == 143
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_in_another_thread_nothing_is_touched():
    before = signal.getsignal(signal.SIGINT)
    inside = []

    def run():
        with StopSignals() as signals:
            inside.append((signal.getsignal(signal.SIGINT), signals.name))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == [(before, None)]


@pytest.mark.parametrize(
    ("kind", "algorithm", "seconds"),
    [("sync", "ppo", 4), ("async", "ppo", 60), ("async", "dqn", 60), ("sync", "ga", 4)],
)
def test_a_signal_in_a_slow_step_of_the_users_envs_is_answered_at_once_and_saves(tmp_path, kind, algorithm, seconds):
    """As by Ctrl+C, which a terminal sends to the processes of such envs, too."""
    command = [sys.executable, "-m", "tests.agent.slow_child", kind, algorithm, str(seconds), str(tmp_path / "run")]
    root = CHILD.parents[2]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=root
    )
    try:
        assert child.stdout.readline() == "slow\n"
        os.killpg(child.pid, signal.SIGINT)
        said = next(line for line in child.stderr if line.strip())
        assert "SIGINT: saves and stops" in said
        assert "now it waits for a step of the envs; Ctrl+C again: at once, without saving" in said
        output, errors = child.communicate(timeout=600)
    finally:
        child.kill()
        child.communicate()
    step = load_checkpoint(tmp_path / "run" / "checkpoints").state["step"]
    assert f"stopped by SIGINT at {step}" in output, errors
    assert step >= (0 if algorithm == "ga" else 16)
