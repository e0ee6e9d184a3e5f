"""A run goes on otherwise: what may be changed, what is refused and why, and what config.json tells of it."""

import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest

from hakisa_algos.agent import DQN, PPO, PQN, Agent
from hakisa_algos.data import contract
from hakisa_algos.data.segments import Segment
from hakisa_algos.errors import ConfigError, MissingExtraError, RunFolderError
from hakisa_algos.learners.dqn import DQNConfig
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.learners.pqn import PQNConfig
from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.run_folder import RunFolder
from tests.helpers.counting import CountingEnv
from tests.helpers.learning import assert_same

SMALL = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16, total_steps=128)
REPLAY = DQNConfig(num_envs=2, learning_starts=16, train_every=16, gradient_steps=2, batch_size=8, buffer_size=64)


@pytest.fixture
def run(tmp_path):
    """A run of 64 steps."""
    PPO("CartPole-v1", SMALL, seed=5).learn(64, run=tmp_path / "run", evaluate_episodes=3).close()
    return tmp_path / "run"


def told(run):
    return json.loads((run / "config.json").read_text(encoding="utf-8"))


def edit(run, **entries):
    """config.json with entries changed, those of a mapping one by one."""
    config = told(run)
    for name, value in entries.items():
        config[name] = config[name] | value if isinstance(value, dict) else value
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_a_run_that_is_as_it_was_has_no_changes(run):
    before = (run / "config.json").read_bytes()
    PPO.load(run).learn()
    assert told(run)["changes"] == []
    assert (run / "config.json").read_bytes() == before


def test_config_json_holds_the_options_of_python_too_and_a_loaded_agent_has_them(run):
    assert told(run)["options"] == dataclasses.asdict(RunOptions(evaluate_episodes=3)) | {"info_keys": []}
    assert PPO.load(run).options == RunOptions(evaluate_episodes=3)


@pytest.mark.parametrize("by", ["mapping", "whole config", "config.json"])
def test_other_hyperparameters(run, by):
    if by == "config.json":
        edit(run, config={"learning_rate": 0.5, "gamma": 0.9})
        agent = PPO.load(run)
    elif by == "mapping":
        agent = PPO.load(run, config={"learning_rate": 0.5, "gamma": 0.9})
    else:
        agent = PPO.load(run, config=dataclasses.replace(SMALL, total_steps=64, learning_rate=0.5, gamma=0.9))
    assert (agent.config.learning_rate, agent.config.gamma, agent.config.n_steps) == (0.5, 0.9, 16)
    agent.learn(128)
    config = told(run)
    assert (config["config"]["learning_rate"], config["config"]["total_steps"]) == (0.5, 128)
    changes = {entry["field"]: (entry["step"], entry["from"], entry["to"]) for entry in config["changes"]}
    assert changes == {
        "config.learning_rate": (64, 1e-3, 0.5),
        "config.gamma": (64, 0.99, 0.9),
        "config.total_steps": (64, 64, 128),
    }
    # The schedule goes on from the present step: half of the run is done.
    third = read_metrics(run / "metrics.jsonl")[2]
    assert third["step"] == 96
    assert 0.5 * (1 - 96 / 128) <= third["train/learning_rate"] <= 0.5 * (1 - 64 / 128)
    again = PPO.load(run)
    assert again.config == agent.config
    again.learn()
    assert told(run) == config


def test_another_total_is_told_at_once_and_once(run):
    agent = PPO.load(run)
    seen = []
    agent.learn(128, callbacks=[lambda trainer, metrics: seen.append(told(run)["config"]["total_steps"])])
    assert set(seen) == {128}
    agent.learn(128)
    agent.learn(192)
    assert [(entry["step"], entry["from"], entry["to"]) for entry in told(run)["changes"]] == [
        (64, 64, 128), (128, 128, 192),
    ]  # fmt: skip


def test_a_change_that_was_told_but_never_saved_is_not_told_twice(run):
    for _ in range(2):  # the checkpoint is that of step 64 both times
        with pytest.raises(ZeroDivisionError):
            PPO.load(run, config={"total_steps": 128}).learn(callbacks=[lambda trainer, metrics: 1 / 0])
    assert len(told(run)["changes"]) == 1
    assert PPO.load(run).learn().steps == 128


def test_other_options_are_told_too(run):
    edit(run, options={"checkpoint_every": 32})
    agent = PPO.load(run)
    assert agent.options.checkpoint_every == 32
    agent.learn(128, collapse="off")
    assert {entry["field"] for entry in told(run)["changes"]} == {
        "options.checkpoint_every", "options.collapse", "config.total_steps",
    }  # fmt: skip
    assert load_checkpoint(run / "checkpoints").state["identity"]["options"]["collapse"] == "off"


def test_no_file_makes_it_log_elsewhere(run):
    edit(run, options={"tensorboard": True, "wandb": "online"})
    PPO.load(run).learn(128)
    assert not (run / "tensorboard").exists()


REFUSED = [
    ({"hidden_sizes": (32,)}, r"config\.hidden_sizes cannot be changed from \[64, 64\] to \[32\].*weights.*not fit"),
    ({"network": "nature"}, r"config\.network cannot be changed from 'auto' to 'nature'"),
    ({"activation": "relu"}, r"config\.activation cannot be changed from 'tanh' to 'relu'.*learned with the other"),
    ({"normalize_observation": True}, r"config\.normalize_observation cannot be changed from False to True"),
    ({"optimizer": "rmsprop"}, r"config\.optimizer cannot be changed.*the state of the other optimizer"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
@pytest.mark.parametrize("by", ["call", "config.json"])
def test_what_the_weights_depend_on_is_refused_by_name(run, changes, message, by):
    if by == "config.json":
        edit(run, config=changes)
    with pytest.raises(ConfigError, match=message):
        PPO.load(run, config=None if by == "config.json" else changes)


@pytest.mark.parametrize(("kind", "config", "field"), [(DQN, REPLAY, "dueling"), (PQN, PQNConfig(), "layer_norm")])
def test_so_it_is_with_every_algorithms_own(tmp_path, kind, config, field):
    kind("CartPole-v1", config).save(tmp_path)
    with pytest.raises(ConfigError, match=rf"config\.{field} cannot be changed"):
        kind.load(tmp_path, config={field: not getattr(config, field)})


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"algorithm": "a2c"}, "algorithm cannot be changed from 'ppo' to 'a2c'.*of no use to another"),
        ({"seed": 6}, "seed cannot be changed from 5 to 6"),
        ({"spaces": {"action": "Discrete(3)"}}, "spaces cannot be changed"),
        ({"env": "Acrobot-v1"}, "spaces cannot be changed"),
        ({"env_options": {"mass": 1}}, "does not take the options"),
        ({"vectorization": "none"}, "vectorization='none' is unknown"),
        ({"config": {"learning_rat": 1}}, "PPOConfig has no option 'learning_rat'. Did you mean 'learning_rate'"),
        ({"config": {"gamma": 2}}, "gamma=2 must lie in 0..1"),
        ({"options": {"colapse": "off"}}, "no option 'colapse'. Did you mean 'collapse'"),
    ],
)
def test_edits_of_config_json_that_cannot_be(run, entries, message):
    edit(run, **entries)
    with pytest.raises(ConfigError, match=message):
        Agent.load(run)


def test_an_unknown_key_of_config_json(run):
    config = told(run)
    (run / "config.json").write_text(json.dumps(config | {"enviroment_options": {}}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.json has 'enviroment_options'\. Did you mean 'env_options'"):
        Agent.load(run)
    (run / "config.json").write_text(json.dumps(config | {"config": 3}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r'"config" in .*config\.json is 3; it must be an object'):
        Agent.load(run)


def test_an_edited_env_is_used(run):
    edit(run, env_options={"max_episode_steps": 7})
    agent = PPO.load(run)
    assert agent.evaluate(4).lengths.max() <= 7
    agent.learn(96)
    assert {"step": 64, "field": "env_options.max_episode_steps", "from": None, "to": 7} in told(run)["changes"]


@pytest.mark.parametrize("key", ["config", "env_options", "spaces", "seed", "options"])
def test_what_was_left_out_of_config_json_is_as_it_was(run, key):
    config = told(run)
    del config[key]
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    agent = PPO.load(run)
    assert (agent.config.total_steps, agent.seed) == (64, 5)


@pytest.mark.parametrize("num_envs", [1, 3])
def test_another_number_of_envs_closes_what_was_running(run, num_envs, caplog):
    agent = PPO.load(run, num_envs=num_envs)
    assert agent.envs.num_envs == agent.config.num_envs == num_envs
    with caplog.at_level(logging.WARNING):
        agent.learn(64 + 48 * num_envs)
    assert agent.steps >= 64 + 48 * num_envs
    assert {"step": 64, "field": "config.num_envs", "from": 2, "to": num_envs} in told(run)["changes"]
    steps = [row["step"] for row in read_metrics(run / "metrics.jsonl")]
    assert steps == sorted(set(steps))
    assert PPO.load(run).config.num_envs == num_envs


def replay_run(path):
    DQN("CartPole-v1", REPLAY, seed=2).learn(200, run=path).close()
    return path


@pytest.mark.parametrize("changes", [{"num_envs": 4}, {"buffer_size": 32}, {"buffer_size": 500}, {"n_step": 3}])
def test_replay_goes_on_with_other_columns_or_another_size(tmp_path, changes):
    run = replay_run(tmp_path / "run")
    agent = DQN.load(run, config=changes)
    agent.learn(400)
    assert agent.steps >= 400
    assert all(np.isfinite(row.get("train/loss", 0.0)) for row in read_metrics(run / "metrics.jsonl"))
    DQN.load(run).learn(450)


def test_who_only_predicts_reads_no_stored_row(tmp_path, monkeypatch):
    run = replay_run(tmp_path / "run")
    opened = []
    open_segment = Segment.open
    monkeypatch.setattr(Segment, "open", lambda segment: opened.append(segment) or open_segment(segment))
    agent = DQN.load(run)
    agent.predict(np.zeros(4, np.float32))
    agent.evaluate(2)
    assert agent._trainer is None
    assert opened == []
    agent.learn(208)
    assert opened


def test_a_loaded_agent_is_saved_without_building_a_ring_and_still_has_its_rows(tmp_path, monkeypatch):
    run = replay_run(tmp_path / "run")
    agent = DQN.load(run)
    agent.policy.version += 1  # the present learner, not the stored one, is what is saved
    with monkeypatch.context() as patch:
        patch.setattr(Agent, "_build_trainer", lambda self: pytest.fail("a trainer was built"))
        where = agent.save(tmp_path / "copy")
    old, new = load_checkpoint(run / "checkpoints"), load_checkpoint(where)
    assert new.state["learner"]["version"] == old.state["learner"]["version"] + 1
    assert_same(new.state["buffer"], old.state["buffer"])
    assert new.rows is not None
    assert new.rows.rows == old.rows.rows
    straight, moved = DQN.load(run).learn(232), DQN.load(where).learn(232)
    assert moved.steps == straight.steps
    assert_same(moved.learner.state()["policy"], straight.learner.state()["policy"])


def test_a_fresh_agent_is_saved_without_a_trainer(tmp_path, monkeypatch):
    monkeypatch.setattr(Agent, "_build_trainer", lambda self: pytest.fail("a trainer was built"))
    agent = PPO("CartPole-v1", SMALL)
    agent.save(tmp_path / "new")
    loaded = PPO.load(tmp_path / "new")
    assert loaded.steps == 0
    assert_same(loaded.learner.state(), agent.learner.state())


def test_an_agent_with_a_new_config_in_a_new_folder_tells_of_the_change(run, tmp_path):
    PPO.load(run / "checkpoints", config={"gamma": 0.5}).learn(96, run=tmp_path / "other")
    changes = {entry["field"] for entry in told(tmp_path / "other")["changes"]}
    assert changes == {"config.gamma", "config.total_steps"}
    assert told(run)["changes"] == []


def test_config_json_is_whole_at_every_moment(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path / "run", {"a": 1})
    monkeypatch.setattr("os.replace", lambda *names: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        folder.record({"a": 2}, [{"step": 1, "field": "a", "from": 1, "to": 2}])
    assert told(tmp_path / "run")["a"] == 1


def test_a_sink_that_is_asked_for_in_python_is_opened(tmp_path):
    PPO("CartPole-v1", SMALL).learn(64, run=tmp_path / "run", tensorboard=True)
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
    assert told(tmp_path / "run")["options"]["tensorboard"] is True


@pytest.mark.parametrize(("package", "value"), [("tensorboard", True), ("wandb", "online")])
def test_a_sink_that_is_not_installed_is_found_before_a_folder_is_made(tmp_path, package, value, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"hakisa\[{package}\]"):
        PPO("CartPole-v1", SMALL).learn(64, run=tmp_path / "run", **{package: value})
    assert not (tmp_path / "run").exists()


def test_a_run_needs_a_folder_of_its_own_before_anything_is_trained(run):
    agent = PPO("CartPole-v1", SMALL)
    with pytest.raises(RunFolderError, match="exists and is not empty"):
        agent.learn(64, run=run)
    assert agent.steps == 0


class OnlyOne(CountingEnv):
    """A second one would play the very same game."""

    alive = 0

    def __init__(self):
        super().__init__(metadata={"hakisa_contract": 1, "exclusive": True}, longest=20)
        OnlyOne.alive += 1
        assert OnlyOne.alive == 1, "a second env was made"

    def close(self):
        OnlyOne.alive -= 1


@pytest.mark.parametrize("form", ["callable", "object"])
def test_a_game_that_there_is_once_is_evaluated_in_the_env_that_is_trained_in(form, tmp_path):
    OnlyOne.alive = 0
    config = dataclasses.replace(SMALL, num_envs=1, n_steps=32)
    agent = PPO(OnlyOne() if form == "object" else OnlyOne, config)
    agent.learn(128, run=tmp_path / "run", evaluate_every=64, evaluate_episodes=3)
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows if "eval/mean_reward" in row] == [64, 128]
    buffer = agent._trainer.buffer
    assert agent.steps == 128  # what was evaluated is not counted
    assert len(agent.evaluate(2).returns) == 2
    assert buffer.steps == 128
    agent.learn(192)
    assert agent.steps == 192
    agent.close()


def test_an_env_that_only_happens_to_say_so_is_not_taken_for_one():
    env = CountingEnv(metadata={"hakisa_contract": None, "exclusive": True})
    with pytest.raises(ConfigError, match="must not disturb"):
        PPO(env, SMALL).learn(64, evaluate_every=32)


def test_evaluations_cut_episodes_that_do_not_end(tmp_path):
    agent = PPO(lambda: CountingEnv(longest=10**6), SMALL)
    agent.learn(64, run=tmp_path / "run", evaluate_every=32, evaluate_episodes=2, evaluate_steps=9)
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["eval/mean_ep_length"] <= 9
    assert agent.evaluate(2, max_steps=5).lengths.max() <= 5


def test_predict_puts_a_network_of_the_users_own_in_eval_mode():
    import torch
    from torch import nn

    class Dropping(nn.Module):
        features = 64

        def __init__(self, space):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(4, 64), nn.BatchNorm1d(64), nn.Dropout(0.5))

        def forward(self, observation):
            return self.layers(observation)

    agent = PPO("CartPole-v1", SMALL, network=Dropping)
    agent.policy.train()
    norm = next(module for module in agent.policy.modules() if isinstance(module, nn.BatchNorm1d))
    before = norm.running_mean.clone()
    batch = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    first = agent.predict(batch)[0]
    assert all(np.array_equal(agent.predict(batch)[0], first) for _ in range(5))
    agent.predict(batch[0])  # one observation alone
    assert torch.equal(norm.running_mean, before)


def test_a_space_may_have_other_bounds(tmp_path):
    class Wider(gym.ObservationWrapper):
        def __init__(self):
            super().__init__(gym.make("CartPole-v1"))
            self.observation_space = gym.spaces.Box(-1e6, 1e6, (4,), np.float32)

        def observation(self, observation):
            return observation

    PPO("CartPole-v1", SMALL).save(tmp_path)
    assert PPO.load(tmp_path, Wider).steps == 0


def test_a_path_may_be_text(run):
    assert PPO.load(str(run)).learn(96, run=str(run)).run_folder.path == Path(str(run))


class Paying(gym.Env):
    """Shows its step and pays ``pays`` for each; its state can be had."""

    metadata: ClassVar = {contract.CONTRACT: contract.VERSION, "render_modes": []}
    observation_space = gym.spaces.Box(0, 1e6, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, pays=1.0):
        self.pays, self.count = pays, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self._seen(), {}

    def step(self, action):
        self.count += 1
        return self._seen(), self.pays, self.count == 40, False, {}

    def _seen(self):
        return np.array([self.count], np.float32)

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = state["count"]


@pytest.mark.parametrize("keeps", [True, False], ids=["states", "replayed"])
def test_no_episode_goes_on_in_an_env_with_other_options(keeps, tmp_path, caplog, monkeypatch):
    if not keeps:
        monkeypatch.setattr(Paying, "metadata", {"render_modes": []})
    gym.register("Own/Paying-v0", Paying)
    try:
        PPO("Own/Paying-v0", SMALL, env_options={"pays": 1.0}).learn(64, run=tmp_path / "run")
        agent = PPO.load(tmp_path / "run", env_options={"pays": 100.0})
        agent.learn(320)
        assert "cannot go on in an env that was changed" in caplog.text
        agent.close()
        returns = agent._trainer.statistics.returns
        assert {round(value) % 100 for value in returns if value >= 100} == {0}
        caplog.clear()
        again = PPO.load(tmp_path / "run")
        again.learn(400)
        assert "cannot go on" not in caplog.text
    finally:
        del gym.registry["Own/Paying-v0"]
