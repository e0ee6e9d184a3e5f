"""Algorithms by name: ours, those that a program registers, those of installed packages."""

import dataclasses
import sys

import pytest
import torch

from hakisa_algos import register
from hakisa_algos.agent import Agent
from hakisa_algos.data.needs import Rows
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners import registry
from hakisa_algos.learners.learner import Facts, Learner
from hakisa_algos.learners.ppo import A2CLearner, PPOLearner
from hakisa_algos.learners.registry import algorithms, find_algorithm

PLUGIN = '''
from hakisa_algos.learners.ppo import PPOLearner

class Improved(PPOLearner):
    """A third party's."""

class Stub:
    config_class = dict
'''


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Makes a package look installed, with the given entry points."""

    def install(**points):
        (tmp_path / "third_party.py").write_text(PLUGIN, encoding="utf-8")
        info = tmp_path / "third_party-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n", encoding="utf-8")
        lines = [f"{name} = {target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[hakisa.algorithms]", *lines]), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("third_party", None)


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def test_ours_are_there():
    assert {"ppo", "a2c", "reinforce"} <= set(algorithms())
    assert find_algorithm("ppo") is PPOLearner
    assert find_algorithm("a2c") is A2CLearner
    assert isinstance(PPOLearner.__dict__["config_class"], type)


@pytest.mark.parametrize("name", ["ppo", "a2c", "reinforce", "dqn", "pqn", "ga"])
def test_ours_have_what_a_learner_needs(name):
    members = {member for member in dir(Learner) if not member.startswith("_")} | set(Learner.__annotations__)
    instance_only = {"config", "policy"}
    assert {member for member in members if not hasattr(find_algorithm(name), member)} <= instance_only
    assert set(registry._MEMBERS) == members - instance_only


def test_an_installed_package_offers_one(installed):
    assert "improved" not in algorithms()
    installed(improved="third_party:Improved")
    assert "improved" in algorithms()
    assert "third_party" not in sys.modules  # listing imports nothing
    learner = find_algorithm("improved")
    assert learner.__name__ == "Improved"
    agent = Agent("CartPole-v1", learner.config_class(n_steps=16, num_envs=2), algorithm="improved")
    agent.learn(64)
    assert type(agent.learner) is learner


def test_an_installed_package_cannot_take_our_names(installed):
    installed(ppo="third_party:Improved")
    assert find_algorithm("ppo") is PPOLearner
    assert algorithms().count("ppo") == 1


def test_an_entry_point_that_holds_no_learner_is_refused(installed):
    installed(stub="third_party:Stub")
    with pytest.raises(
        ConfigError, match=r"cannot be algorithm 'stub': it lacks default_config, facts, update, state, load_state;"
    ):
        find_algorithm("stub")


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"algorithm 'pop' is unknown\. Did you mean 'ppo'"):
        find_algorithm("pop")


def test_a_program_registers_its_own():
    class Mine(PPOLearner):
        pass

    register("mine", Mine)
    register("mine", Mine)  # as when a notebook cell runs twice
    assert find_algorithm("mine") is Mine
    assert "mine" in algorithms()
    with pytest.raises(ConfigError, match="algorithm name 'mine' is taken; choose another"):
        register("mine", PPOLearner)
    with pytest.raises(ConfigError, match="algorithm name 'ppo' is taken"):
        register("ppo", Mine)


@pytest.mark.parametrize("member", registry._MEMBERS)
def test_a_class_that_lacks_a_member_is_refused(member):
    complete = dict.fromkeys(registry._MEMBERS)
    register("complete", type("Complete", (), complete))
    with pytest.raises(ConfigError, match=f"cannot be algorithm 'other': it lacks {member};"):
        register("other", type("Other", (), {k: v for k, v in complete.items() if k != member}))


@dataclasses.dataclass(frozen=True)
class NoConfig:
    total_steps: int = 100
    num_envs: int = 2


class Idle:
    """The least that a learner is: written from the protocol alone, with nothing of ours inside."""

    config_class = NoConfig

    def __init__(self, observation_space, action_space, config, *, num_envs, seed, device, network):
        from hakisa_algos.policy.observations import ObservationLayout

        self.config, self.policy, self.updates = config, self, 0
        self.observation, self.version = ObservationLayout(observation_space), 0

    @classmethod
    def default_config(cls, observation_space, preset=None):
        return NoConfig()

    def facts(self):
        return Facts(Rows(4), self.config.total_steps, keep_observations=False)

    def act(self, observation, state, explore, generator):
        from hakisa_algos.policy.policy import Decision

        return Decision(torch.ones(len(observation), dtype=torch.int64))

    def initial_state(self, n):
        return {}

    def begin(self, mask, state):
        return state

    def update(self, buffer):
        self.updates += 1
        return {"train/n_updates": self.updates}

    def state(self):
        return {"updates": self.updates}

    def load_state(self, state):
        self.updates = state["updates"]


def test_a_foreign_learner_trains_evaluates_saves_and_loads(tmp_path):
    register("idle", Idle)
    agent = Agent("CartPole-v1", algorithm="idle", seed=3).learn(200, run=tmp_path / "run", evaluate_every=100)
    assert agent.learner.updates == 25
    assert agent.evaluate(4).mean < 12
    loaded = Agent.load(tmp_path / "run")
    assert loaded.learner.updates == 25
    assert loaded.learn(208).learner.updates == 26
