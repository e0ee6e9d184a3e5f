"""The PQN update: Q(lambda) targets, layer normalisation, faults; and that it learns."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from hakisa_algos import PQN, PQNConfig
from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import NonFiniteError
from hakisa_algos.learners.pqn import PQNLearner as Learner
from hakisa_algos.policy.q_network import QNetwork
from tests.helpers.counting import FORMS, columns_of, counting_envs

SMALL = PQNConfig(total_steps=1000, n_steps=20, epochs=2, minibatch_size=16, hidden_sizes=(8,))


def made(form="disabled", **options):
    config = dataclasses.replace(SMALL, **options)
    envs = counting_envs(form, 3)
    learner = Learner(
        envs.single_observation_space,
        envs.single_action_space,
        config,
        num_envs=3,
        seed=0,
        device=torch.device("cpu"),
    )
    buffer = RolloutBuffer(learner.facts().capacity, 3, learner.policy.observation)
    collector = Collector(envs, learner.policy, buffer, seed=0)
    collector.collect(Rows(learner.facts().need.n))
    return learner, buffer, collector, envs


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("q_lambda", [0.0, 0.65, 1.0])
def test_targets_are_the_papers_in_plain_python(form, q_lambda):
    learner, buffer, _, envs = made(form, q_lambda=q_lambda, gamma=0.9, reward_scale=0.1, reward_clip=5.0)
    rollout = buffer.rollout(20)
    batch = learner._batch(rollout)
    index, action, target = batch.index, batch.action, batch.target
    expected = {}
    for env in columns_of(envs):
        running = None
        for i in range(len(env.real) - 1, -1, -1):
            before, _, reward, after, terminated, truncated = env.real[i]
            following = float(learner.policy.value(torch.from_numpy(after)[None]))
            ends = terminated or truncated or i == len(env.real) - 1
            mixed = following if ends else (1 - q_lambda) * following + q_lambda * running
            running = min(0.1 * reward, 5.0) + (0 if terminated else 0.9 * mixed)
            expected[tuple(before)] = running
    observation = rollout.observation(index).numpy()
    assert len(index) == sum(len(env.real) for env in columns_of(envs))
    for seen, value in zip(observation, target.tolist(), strict=True):
        assert value == pytest.approx(expected[tuple(seen)], rel=1e-4, abs=1e-4)
    assert len(action) == len(index)


def test_the_stored_value_is_that_of_the_best_action():
    learner, buffer, _, _ = made()
    rollout = buffer.rollout(20)
    values = learner.policy.value(rollout.observation(torch.arange(60)))
    assert torch.allclose(values, rollout.column("value").flatten(), rtol=1e-5)


def test_layers_are_normalised_in_named_networks_only():
    discrete, box = spaces.Discrete(2), spaces.Box(0, 255, (4, 36, 36), np.uint8)

    def norms(**options):
        net = QNetwork(box, discrete, layer_norm=True, **options)
        assert net(torch.zeros(3, 4, 36, 36, dtype=torch.uint8)).max().shape == (3,)
        return [type(m) for m in net.trunk.modules() if isinstance(m, nn.LayerNorm | nn.GroupNorm)]

    assert norms(network="small") == [nn.GroupNorm, nn.GroupNorm, nn.LayerNorm]
    assert norms(network="mlp", hidden_sizes=(5, 6)) == [nn.LayerNorm, nn.LayerNorm]

    class Own(nn.Module):
        features = 4

        def __init__(self, space):
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(4 * 36 * 36, 4))

        def forward(self, observation):
            return self.layers(observation.float())

    assert norms(network=Own) == []


def test_normalisation_stands_between_a_layer_and_its_activation():
    net = QNetwork(spaces.Box(-1, 1, (3,)), spaces.Discrete(2), hidden_sizes=(4, 4), activation="relu", layer_norm=True)
    kinds = [type(layer) for layer in net.trunk.layers]
    assert kinds == [nn.Linear, nn.LayerNorm, nn.ReLU] * 2


def test_a_nan_leaves_the_learner_as_it_was():
    learner, buffer, collector, _ = made()
    learner.update(buffer)
    collector.collect(Rows(20))
    before = copy.deepcopy(learner.state())
    reward = buffer._arrays["reward"]
    good = reward.copy()
    reward[3] = np.nan
    with pytest.raises(NonFiniteError, match=r"update 2: .*loss.* became NaN"):
        learner.update(buffer)
    after = learner.state()
    assert all(torch.equal(v, after["policy"][k]) for k, v in before["policy"].items())
    for key, entry in before["optimizer"]["state"].items():
        assert all(torch.equal(v, after["optimizer"]["state"][key][name]) for name, v in entry.items())
    assert torch.equal(before["random"], after["random"])
    assert (after["version"], after["updates"]) == (1, 1)
    reward[:] = good
    assert np.isfinite(list(learner.update(buffer).values())).all()


def test_it_learns_cartpole():
    best = []

    def watch(trainer, metrics):
        if trainer.step % 4096 == 0:
            best.append(agent.evaluate(10).mean)
            return max(best) < 150
        return None

    agent = PQN("CartPole-v1", PQNConfig(n_steps=32, hidden_sizes=(64, 64)), seed=1)
    agent.learn(50_000, callbacks=[watch])
    assert max(best) >= 150, best  # a random policy scores 22
