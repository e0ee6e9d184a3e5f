"""What holds of every algorithm that it concerns: pauses, infos, relabelling, random layers, other sizes on resume."""

import pytest
import torch
from torch import nn

from hakisa_algos import DQN, GA, PPO, PQN, GAConfig, PPOConfig
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.dqn import DQNConfig
from hakisa_algos.learners.pqn import PQNConfig
from tests.helpers.counting import CountingEnv
from tests.helpers.learning import assert_same

ROLLOUTS = {"total_steps": 96, "num_envs": 2, "n_steps": 8, "minibatch_size": 8, "epochs": 1, "hidden_sizes": (4,)}
CONFIGS = {
    PPO: PPOConfig(**ROLLOUTS),
    PQN: PQNConfig(**ROLLOUTS),
    DQN: DQNConfig(
        total_steps=96, num_envs=2, learning_starts=8, train_every=8, gradient_steps=2, batch_size=8, hidden_sizes=(4,)
    ),
    GA: GAConfig(total_steps=96, num_envs=2, population=4, parents=2, candidates=1, validation_episodes=1),
}


class Live(CountingEnv):
    """A game in real time that counts the steps that it is asked for while it is held; says its hits."""

    while_held = 0

    def __init__(self):
        super().__init__(metadata={"hakisa_contract": 1, "real_time": True})
        self.held = False

    def pause(self):
        self.held = True

    def resume(self):
        self.held = False

    def step(self, action):
        Live.while_held += self.held
        *row, _ = super().step(action)
        return *row, {"hits": self.count}


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_a_held_game_is_never_stepped_and_goes_on_at_the_end(algorithm):
    Live.while_held = 0
    agent = algorithm(Live, CONFIGS[algorithm], seed=1).learn()
    assert agent.steps >= 96
    assert Live.while_held == 0
    assert not any(env.held for env in agent.envs.envs)


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_chosen_infos_are_logged(algorithm):
    rows = []
    algorithm(Live, CONFIGS[algorithm], seed=1).learn(
        callbacks=[lambda t, m: rows.append(dict(m))], info_keys=("hits",)
    )
    assert 1 <= rows[-1]["info/hits"] <= 6


def test_rewards_that_nobody_reads_cannot_be_relabelled():
    with pytest.raises(ConfigError, match="ga learns from no stored rewards"):
        GA(CountingEnv, CONFIGS[GA]).learn(relabel=lambda buffer, position: position)


class Random(nn.Module):
    """Draws in its forward, in train() mode."""

    def __init__(self, space):
        super().__init__()
        self.features = 8
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5))

    def forward(self, observation):
        return self.layers(observation / 1000)


@pytest.mark.parametrize("algorithm", [PPO, PQN, DQN])
def test_a_network_that_draws_draws_the_same_again_and_on_resume(algorithm, tmp_path):
    def begun(run, steps=96):
        return algorithm(CountingEnv, CONFIGS[algorithm], seed=1, network=Random).learn(
            run=run, callbacks=[lambda trainer, metrics: trainer.step < steps]
        )

    whole = begun(tmp_path / "whole")
    torch.manual_seed(torch.seed() % 2**63)  # whatever happened elsewhere in the process
    torch.rand(3)
    begun(tmp_path / "parts", 48)
    again = algorithm.load(tmp_path / "parts", CountingEnv, network=Random).learn()
    assert again.steps == whole.steps == 96
    assert_same(again.learner.state()["policy"], whole.learner.state()["policy"])


@pytest.mark.parametrize("change", [{"num_envs": 4}, {"num_envs": 1}, {"buffer_size": 40}, {"buffer_size": 4_000}])
@pytest.mark.parametrize("before", [False, True])
def test_priorities_of_another_buffer_are_not_taken_for_those_of_this_one(tmp_path, change, before):
    config = DQNConfig(
        total_steps=192, num_envs=2, buffer_size=400, learning_starts=8, train_every=8, gradient_steps=2, batch_size=64,
        hidden_sizes=(4,), prioritized=before,
    )  # fmt: skip
    DQN(CountingEnv, config, seed=1).learn(96, run=tmp_path / "run")
    agent = DQN.load(tmp_path / "run", CountingEnv, config=change | {"prioritized": True, "total_steps": 192})
    drawn = []

    def check(trainer, metrics):
        buffer, sampler = trainer.buffer, agent.learner._sources.own
        position = torch.from_numpy(sampler._tree.values.nonzero()[0])
        drawn.append(len(position))
        first = buffer.oldest * buffer.num_envs
        at = first + (position.numpy() - first) % sampler._size
        assert (at < buffer.steps).all()
        assert buffer.take("learned", at).all()

    agent.learn(callbacks=[check])
    assert agent.steps >= 192
    assert drawn[-1] > 0


def test_a_population_goes_on_with_more_parents_than_it_has(tmp_path):
    GA(CountingEnv, CONFIGS[GA], seed=1).learn(96, run=tmp_path / "run")
    more = {"population": 12, "parents": 9, "total_steps": 400}
    agent = GA.load(tmp_path / "run", CountingEnv, config=more).learn()
    assert len(agent.learner.population) == 12
