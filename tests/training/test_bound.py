"""The bound that the benchmarks measure: of every kind of learner, and it changes nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hakisa_algos import DQN, PPO, PQN


@pytest.mark.parametrize("agent", [PPO, DQN, PQN])
@pytest.mark.parametrize("env", ["CartPole-v1", "Hakisa/Press-v0"], ids=["vector", "conditional"])
def test_measuring_changes_neither_weights_nor_generators(agent, env, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from _bound import measure

    learner = agent(env, seed=3).learner
    policy = learner.policy
    seen = torch.from_numpy(np.stack([policy.observation.space.sample() for _ in range(3)]))
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    random = torch.get_rng_state()
    seconds = measure(learner, seen, 8, repeats=2)
    assert min(seconds["forward"], seconds["train"]) > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in policy.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
