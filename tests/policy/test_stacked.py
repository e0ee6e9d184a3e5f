"""Many networks at once give what each of them gives alone."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from hakisa_algos.policy.greedy import GreedyPolicy
from hakisa_algos.policy.stacked import stacked

VECTOR = spaces.Box(-1, 1, (6,), np.float32)
PICTURE = spaces.Box(0, 255, (24, 28, 2), np.uint8)


class Own(nn.Module):
    """A user's: it shares a layer in a way that no table of known layers would foresee."""

    def __init__(self, space):
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.features = 6

    def forward(self, x):
        return self.norm(self.layer(torch.tanh(self.layer(x)))) * x.mean(1, keepdim=True)


CASES = {
    "mlp": (VECTOR, {"hidden_sizes": (7, 30)}),
    "tanh": (VECTOR, {"hidden_sizes": (40,), "activation": "tanh"}),
    "linear": (VECTOR, {"hidden_sizes": ()}),
    "mlp on bytes": (spaces.Box(0, 255, (3, 4), np.uint8), {"hidden_sizes": (5,)}),
    "cnn": (PICTURE, {"network": "small"}),
    "mlp on pictures": (PICTURE, {"network": "mlp", "hidden_sizes": (5,)}),
    "dict": (spaces.Dict({"p": PICTURE, "v": VECTOR}), {"network": "small", "hidden_sizes": (9,)}),
    "spatial": (spaces.Box(0, 255, (32, 40, 2), np.uint8), {"network": "spatial"}),
    "own": (VECTOR, {"network": Own}),
}


def batch(space, n, generator):
    if isinstance(space, spaces.Dict):
        return {key: batch(entry, n, generator) for key, entry in space.items()}
    if space.dtype == np.uint8:
        return torch.randint(0, 256, (n, *space.shape), dtype=torch.uint8, generator=generator)
    return torch.randn(n, *space.shape, generator=generator)


@pytest.mark.parametrize("case", CASES)
def test_stacked_equals_one_after_the_other(case):
    space, options = CASES[case]
    policy = GreedyPolicy(space, spaces.MultiDiscrete([3, 12]), **options)
    generator = torch.Generator().manual_seed(1)
    size = sum(parameter.numel() for parameter in policy.parameters())
    n = 5
    weights = torch.randn(n, size, generator=generator) / 4
    observation = batch(policy.observation.space, n, generator)
    together = stacked(policy.trunk, policy.heads.linear)(weights, observation)
    assert together.shape == (n, 15)
    alone = []
    for i in range(n):
        nn.utils.vector_to_parameters(weights[i], policy.parameters())
        own = {k: v[i : i + 1] for k, v in observation.items()} if case == "dict" else observation[i : i + 1]
        alone.append(policy.heads.linear(policy.trunk(own)))
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)
    assert together.std() > 0.01  # not all of it zeros
