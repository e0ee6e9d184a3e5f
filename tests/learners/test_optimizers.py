"""Optimizers that load no compiler do what torch's do."""

import subprocess
import sys
from copy import deepcopy

import pytest
import torch

from hakisa_algos.learners import optimizers

TRAIN = """
import sys
from hakisa_algos import DQN, DQNConfig, PPO, PPOConfig

for agent, config in (
    (PPO, PPOConfig(total_steps=128, num_envs=2, n_steps=32, minibatch_size=32, hidden_sizes=(8,))),
    (DQN, DQNConfig(total_steps=128, num_envs=2, learning_starts=32, hidden_sizes=(8,))),
):
    agent("CartPole-v1", config, device="cpu").learn(128)
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("name", "options"), [("Adam", {"fused": True, "eps": 1e-5}), ("RAdam", {}), ("RMSprop", {"alpha": 0.9})]
)
def test_steps_and_state_are_those_of_torch(name, options):
    ours, theirs = (torch.nn.Parameter(torch.arange(6.0)) for _ in range(2))
    first = getattr(optimizers, name)([ours], lr=0.1, **options)
    second = getattr(torch.optim, name)([theirs], lr=0.1, **options)
    for _ in range(8):
        for weights, optimizer in ((ours, first), (theirs, second)):
            weights.grad = torch.sin(weights.detach())
            optimizer.step()
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, torch.arange(6.0))
    assert str(first.state_dict()) == str(second.state_dict())

    again = getattr(optimizers, name)([ours], lr=0.5, **options)
    again.load_state_dict(deepcopy(second.state_dict()))
    assert str(again.state_dict()) == str(second.state_dict())
    for optimizer in (again, second):
        optimizer.step()
    assert torch.equal(ours, theirs)


def test_training_loads_no_compiler(tmp_path):
    done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
