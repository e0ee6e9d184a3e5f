"""A generation gives the same, whoever plays it: this process, or workers, of which some are lost."""

import dataclasses
import os
import signal
from pathlib import Path

import gymnasium as gym
import pytest

from hakisa_algos import GA, GAConfig
from hakisa_algos.learners.generation import Generation, shares
from hakisa_algos.learners.lineage import birth
from tests.helpers.learning import assert_same

CONFIG = GAConfig(
    total_steps=5_000,
    num_envs=3,
    population=9,
    parents=3,
    candidates=2,
    validation_episodes=2,
    hidden_sizes=(4,),
    tasks=4,
)


def result(agent):
    """All that training has decided, but for times."""
    trainer = agent._trainer
    state = trainer.state()
    return {name: state[name] for name in ("step", "learner", "buffer", "statistics", "collector")}


def train(env="CartPole-v1", seed=1, **changes):
    agent = GA(env, dataclasses.replace(CONFIG, **changes), seed=seed)
    agent.learn()
    agent.close()
    return result(agent)


@pytest.fixture(scope="module")
def serial():
    return train()


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_give_what_this_process_gives(serial, workers):
    assert serial["learner"]["generation"] >= 2
    assert_same(train(workers=workers), serial)


class Deadly(gym.Wrapper):
    """Kills its process with SIGKILL in the middle of an episode, once for each file in ``folder``."""

    def __init__(self, folder):
        super().__init__(gym.make("CartPole-v1", disable_env_checker=True))
        self.folder, self.steps, self.home = Path(folder), 0, os.environ["HAKISA_TEST_HOME"]

    def step(self, action):
        self.steps += 1
        if self.steps == 150 and str(os.getpid()) != self.home:
            for mark in self.folder.glob("kill-*"):
                mark.rename(mark.with_name(f"killed-{os.getpid()}"))
                os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)


def test_workers_killed_in_mid_task_change_nothing(serial, tmp_path, monkeypatch):
    monkeypatch.setenv("HAKISA_TEST_HOME", str(os.getpid()))
    for i in range(2):
        (tmp_path / f"kill-{i}").touch()
    assert_same(train(lambda: Deadly(tmp_path), workers=2), serial)
    assert len(list(tmp_path.glob("killed-*"))) == 2


def test_no_worker_is_left_after_learning():
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    before = set(children.read_text().split())
    train(workers=2)
    left = set(children.read_text().split()) - before
    assert all("hakisa" not in Path(f"/proc/{pid}/cmdline").read_text() for pid in left), left


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 15, 40])
def test_shares_hold_every_game_once_and_the_lineages_that_they_need(parts):
    lineages = tuple(birth(seed) for seed in range(5))
    found = shares(Generation(lineages, 3, None, 1.0, (1, 2, 0)), parts)
    assert len(found) == min(parts, 15)
    sizes = [len(share.games) for share in found]
    assert max(sizes) - min(sizes) <= 1
    played = [(share.first + i, k) for share in found for i, k in share.games]
    assert played == [(individual, k) for individual in range(5) for k in range(3)]
    for share in found:
        assert {i for i, _ in share.games} == set(range(len(share.generation.lineages)))
        own = share.generation.lineages
        assert own == lineages[share.first : share.first + len(own)]
