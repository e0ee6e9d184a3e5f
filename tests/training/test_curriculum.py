"""Envs that begin at milestones: which, where, from where these are, and that nothing else does."""

import json
from pathlib import Path
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from hakisa_algos import PPO, PPOConfig
from hakisa_algos.cli.main import main
from hakisa_algos.errors import ConfigError
from hakisa_envs.vector import ProcessVectorEnv


class Stairs(gym.Env):
    """Up or not; every fifth step is a milestone."""

    metadata: ClassVar = {"hakisa_contract": 1, "render_modes": []}
    observation_space = spaces.Box(0, 99, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self):
        self.milestone_folder = self.next_start = None
        self.carry_on = 0.0
        self.begun = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = int(Path(self.next_start).read_text()) if self.next_start else 0
        self.start = Path(self.next_start).stem if self.next_start else "bottom"
        self.begun.append(self.start)
        self.t = 0
        return np.array([self.at], np.float32), {}

    def step(self, action):
        self.at, self.t = self.at + int(action), self.t + 1
        info = {"place": (0, self.at, 0), "start": self.start}
        if action and self.at % 5 == 0:
            info["milestone"] = name = f"floor.{self.at // 5}"
            if self.milestone_folder is not None:
                folder = Path(self.milestone_folder)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{name}.state").write_text(str(self.at))
        return np.array([self.at], np.float32), float(action), False, self.t >= 8, info


CONFIG = PPOConfig(num_envs=4, n_steps=24, epochs=1, minibatch_size=96, total_steps=96 * 4)


def lineage(run):
    return json.loads((run / "archive" / "lineage.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_some_envs_begin_at_milestones_and_each_says_where_it_is_from(tmp_path, vectorization):
    agent = PPO(Stairs, CONFIG, vectorization=vectorization)
    agent.learn(run=tmp_path / "run", start_mix=0.5)
    begun = agent.envs.get_attr("begun")
    assert set(begun[0]) | set(begun[1]) == {"bottom"}
    assert {"bottom", "floor.1"} < set(begun[2]) | set(begun[3])
    rows = lineage(tmp_path / "run")
    assert [row["milestone"] for row in rows] == list(dict.fromkeys(row["milestone"] for row in rows))
    assert rows[0]["lineage"] == ["bottom"]
    assert rows[-1]["milestone"] > "floor.2"  # eight steps from the bottom lead to floor 1 at most
    for row in rows:
        assert row["lineage"][-1] == "bottom"
        named = [row["milestone"], *row["lineage"]][:-1]
        assert all(name in [other["milestone"] for other in rows] for name in named)
        assert (tmp_path / "run" / "archive" / f"{row['milestone']}.state").is_file()
    evaluation = agent.evaluate(6)
    assert set(evaluation.starts) == {"bottom"}
    agent.close()
    told = json.loads((tmp_path / "run" / "chronicle.json").read_text(encoding="utf-8"))
    (words,) = told["assists_in_training"]
    assert words.startswith("2 of 4 envs begin at milestones that the run has reached: floor.1 (step ")
    assert "from floor.1 from bottom" in words


def test_the_newest_milestones_are_dealt_out_first(tmp_path):
    agent = PPO(Stairs, CONFIG)
    agent.learn(run=tmp_path / "run", start_mix=0.75)
    reached = [row["milestone"] for row in lineage(tmp_path / "run")]
    given = [start and Path(start).stem for start in agent.envs.get_attr("next_start")]
    agent.close()
    assert given == [None, *reversed(reached[-3:])]


def test_a_run_that_goes_on_has_its_archive_and_none_of_its_future(tmp_path):
    agent = PPO(Stairs, CONFIG)
    agent.learn(96, run=tmp_path / "run", start_mix=0.5)
    agent.close()
    first = lineage(tmp_path / "run")
    assert first
    late = {**first[0], "milestone": "floor.99", "step": 10**6}
    (tmp_path / "run" / "archive" / "lineage.json").write_text(json.dumps([*first, late]))
    again = PPO.load(tmp_path / "run", Stairs)
    again.learn(96 * 3)
    again.close()
    names = [row["milestone"] for row in lineage(tmp_path / "run")]
    assert names[: len(first)] == [row["milestone"] for row in first]
    assert "floor.99" not in names


def test_without_it_nothing_is_kept_and_nobody_is_told(tmp_path):
    agent = PPO(Stairs, CONFIG)
    agent.learn(96, run=tmp_path / "run")
    assert agent.envs.get_attr("milestone_folder") == (None,) * 4
    agent.close()
    assert not (tmp_path / "run" / "archive").exists()
    told = json.loads((tmp_path / "run" / "chronicle.json").read_text(encoding="utf-8"))
    assert told["assists_in_training"] == []


def test_episodes_are_carried_on_in_training_alone_and_that_is_said(tmp_path):
    agent = PPO(Stairs, CONFIG)
    agent.learn(96, run=tmp_path / "run", carry_on=0.25)
    assert agent.envs.get_attr("carry_on") == (0.25,) * 4
    agent.evaluate(2)
    told = json.loads((tmp_path / "run" / "chronicle.json").read_text(encoding="utf-8"))
    (words,) = told["assists_in_training"]
    assert words == "with a probability of 0.25 an episode begins where the one before it was cut"
    agent.learn(192, run=tmp_path / "without", carry_on=0.0)
    assert agent.envs.get_attr("carry_on") == (0.0,) * 4
    agent.close()


def test_envs_begin_as_ever_once_training_has_ended_that_helped_them(tmp_path):
    agent = PPO(Stairs, CONFIG)
    agent.learn(192, run=tmp_path / "run", start_mix=1.0)
    assert any(agent.envs.get_attr("next_start"))
    agent.learn(288, run=tmp_path / "without", start_mix=0.0)
    assert agent.envs.get_attr("next_start") == agent.envs.get_attr("milestone_folder") == (None,) * 4
    agent.close()


@pytest.mark.parametrize(
    ("option", "able"),
    [("carry_on", "go on where an episode was cut"), ("start_mix", "keep milestones and begin at them")],
)
def test_who_cannot_be_helped_so_is_told(tmp_path, option, able):
    agent = PPO("CartPole-v1", CONFIG)
    with pytest.raises(ConfigError, match=rf"{option}=0\.5 needs envs that {able}"):
        agent.learn(96, run=tmp_path / "run", **{option: 0.5})
    with pytest.raises(ConfigError, match=f"{option}=2"):
        agent.learn(96, run=tmp_path / "run", **{option: 2.0})
    agent.close()


def test_milestones_need_a_run_folder():
    stairs = PPO(Stairs, CONFIG)
    with pytest.raises(ConfigError, match="run folder"):
        stairs.learn(96, start_mix=0.5)
    stairs.close()


def test_attributes_of_envs_in_processes_are_set_one_by_one():
    envs = ProcessVectorEnv([Stairs] * 2)
    try:
        envs.set_attr("next_start", ["a", "b"])
        assert envs.get_attr("next_start") == ("a", "b")
        envs.set_attr("next_start", None)
        assert envs.get_attr("next_start") == (None, None)
        with pytest.raises(ValueError, match="3 values"):
            envs.set_attr("next_start", [1, 2, 3])
    finally:
        envs.close()


def test_an_evaluation_lists_what_helped(tmp_path):
    gym.register("Stairs-v0", Stairs)
    try:
        agent = PPO("Stairs-v0", CONFIG)
        agent.learn(96, run=tmp_path / "run", start_mix=0.5)
        agent.close()
        assert main(["eval", str(tmp_path / "run"), "--episodes", "2"]) == 0
    finally:
        del gym.registry["Stairs-v0"]
    (path,) = (tmp_path / "run" / "evaluations").glob("*.json")
    assists = json.loads(path.read_text(encoding="utf-8"))["assists"]
    assert assists["evaluation"] == []
    assert "2 of 4 envs begin at milestones" in assists["training"][0]
