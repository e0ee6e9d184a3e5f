"""A run folder in use is refused by name, to whoever would train in it; it is free again however its owner ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hakisa_algos.agent import PPO
from hakisa_algos.cli.main import main
from hakisa_algos.errors import RunFolderError
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.training.lock import FolderLock
from hakisa_algos.training.run_folder import RunFolder
from hakisa_algos.training.signals import interrupting
from tests.helpers.processes import gone

SMALL = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16, total_steps=64)
CHILD = Path(__file__).parents[1] / "agent" / "signal_child.py"
BUSY = r"is in use by pid {}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"


@pytest.fixture
def owner(tmp_path):
    """A process that trains in ``run`` for as long as it is let."""
    command = [sys.executable, str(CHILD), str(tmp_path / "run")]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(3):  # updates, of which the first have been saved
        assert child.stdout.readline()
    yield child
    child.kill()
    child.communicate()


def test_whoever_would_train_in_a_run_that_goes_on_is_told_who_has_it(owner, tmp_path, capsys):
    run = tmp_path / "run"
    words = BUSY.format(owner.pid)
    config = (run / "config.json").read_bytes()
    with pytest.raises(RunFolderError, match=words):
        PPO.load(run).learn()
    with pytest.raises(RunFolderError, match=words):
        PPO("CartPole-v1", SMALL).learn(run=run)
    for command in (["resume", str(run)], ["train", "ppo", "--env", "CartPole-v1", "--run", str(run)]):
        assert main(command) == 2
        said = capsys.readouterr()
        assert f"is in use by pid {owner.pid}, since" in said.err
        assert not said.out
    assert (run / "config.json").read_bytes() == config
    assert main(["eval", str(run), "--episodes", "1"]) == 0  # who reads is let in
    steps = [int(owner.stdout.readline()) for _ in range(2)]
    assert steps[1] == steps[0] + 64
    owner.send_signal(signal.SIGTERM)
    output, _ = owner.communicate(timeout=600)
    assert "stopped by SIGTERM" in output
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == int(output.split()[-1]) // 64  # not one is lost


def test_a_run_whose_owner_was_killed_is_free_at_once(owner, tmp_path):
    owner.kill()
    owner.wait()
    step = PPO.load(tmp_path / "run").steps
    assert PPO.load(tmp_path / "run").learn(step + 64).steps == step + 64


FORKS = """
import os, pathlib, sys, time
from hakisa_algos.training.lock import FolderLock
lock = FolderLock(pathlib.Path(sys.argv[1]))
lock.acquire()
child = os.fork()
print(os.getpid(), flush=True) if not child else None
time.sleep(600)
"""


def test_a_child_of_the_owner_does_not_keep_it(tmp_path):
    """Processes of envs are forked while the lock is held, and may live longer than the trainer."""
    owner = subprocess.Popen([sys.executable, "-c", FORKS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    child = int(owner.stdout.readline())
    try:
        with pytest.raises(RunFolderError, match=BUSY.format(owner.pid)):
            FolderLock(tmp_path).acquire()
        owner.kill()
        owner.wait()
        assert not gone(child)
        with FolderLock(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        owner.stdout.close()


def test_in_one_process_two_agents_cannot_train_in_it_either_and_one_after_the_other_can(tmp_path):
    run, refused = tmp_path / "run", []

    def intrude(trainer, metrics):
        trainer.save()
        trainer._saving.wait()
        with pytest.raises(RunFolderError, match=BUSY.format(os.getpid())):
            PPO.load(run).learn(96)
        refused.append(PPO.load(run).evaluate(1))

    agent = PPO("CartPole-v1", SMALL).learn(64, run=run, callbacks=[intrude])
    assert len(refused) == 2
    assert PPO.load(run).learn(96).steps == 96
    assert agent.learn(64, run=tmp_path / "other").steps == 64


def test_it_is_free_after_an_error_and_after_close(tmp_path):
    with pytest.raises(ZeroDivisionError):
        PPO("CartPole-v1", SMALL).learn(64, run=tmp_path / "a", callbacks=[lambda trainer, metrics: 1 / 0])
    begun = PPO("CartPole-v1", SMALL)
    begun.start_run(tmp_path / "b")
    with pytest.raises(RunFolderError, match="is in use"):
        PPO.load(tmp_path / "b").learn()
    begun.close()
    for run in ("a", "b"):
        assert PPO.load(tmp_path / run).learn(96).steps == 96


def test_who_was_loaded_before_another_went_on_does_not_undo_that(tmp_path):
    run = tmp_path / "run"
    PPO("CartPole-v1", SMALL).learn(64, run=run)
    early = PPO.load(run)
    PPO.load(run).learn(128)
    with pytest.raises(RunFolderError, match="has gone on since it was loaded, to step_000000128: load it again"):
        early.learn(96)
    assert PPO.load(run).learn(160).steps == 160


def test_two_that_begin_at_once_in_one_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with FolderLock(tmp_path / "run"), pytest.raises(RunFolderError, match="is in use"):
        RunFolder.create(tmp_path / "run", {})
    assert RunFolder.create(tmp_path / "run", {}).config["changes"] == []  # what one left who was killed at once


def test_nothing_is_put_into_a_folder_that_is_no_run(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(RunFolderError, match="choose another name") as error:
        RunFolder.create(tmp_path, {})
    assert "hakisa resume" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("survives", ["config.json", "config.json and system.json", "all"])
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path, survives, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    RunFolder.create("a run", PPO("CartPole-v1", SMALL, seed=7).identity())
    if survives != "all":
        Path("a run/checkpoints").rmdir()
    if survives == "config.json":
        Path("a run/system.json").unlink()
    Path("a run/metrics.jsonl").write_text('{"step": 32}\n')
    assert main(["eval", "a run"]) == 2
    assert "has no checkpoint yet" in (said := capsys.readouterr().err)
    assert "hakisa resume 'a run'" in said
    assert main(["train", "ppo", "--env", "CartPole-v1", "--run", "a run"]) == 2
    assert "continue that run with hakisa resume 'a run'" in capsys.readouterr().err
    assert main(["resume", "a run", "--config.learning-rate", "0.002"]) == 0
    assert "ended before its first checkpoint: it begins anew" in capsys.readouterr().out
    loaded = PPO.load("a run")
    assert (loaded.steps, loaded.seed, loaded.config.learning_rate) == (64, 7, 0.002)
    same = PPO("CartPole-v1", PPOConfig(**vars(SMALL) | {"learning_rate": 0.002}), seed=7).learn()
    weights = [agent.policy.state_dict()["heads.linear.weight"] for agent in (loaded, same)]
    assert weights[0].equal(weights[1])


def test_who_has_lost_the_pointer_to_checkpoints_does_not_begin_anew(tmp_path):
    PPO("CartPole-v1", SMALL).learn(64, run=tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "latest").unlink()
    with pytest.raises(Exception, match=r"load another one: .*step_000000064"):
        PPO.load(tmp_path / "run")


def test_signals_that_are_to_be_ignored_are(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupting():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
