"""Acting in NumPy draws what torch draws, from the weights as they are at that moment."""

import copy
import io

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.policy.policy import ActorCritic
from hakisa_envs.spaces import ConditionalMultiDiscrete

VECTOR, BYTES, TABLE = (
    spaces.Box(-2, 2, (5,), np.float32),
    spaces.Box(0, 255, (7,), np.uint8),
    spaces.Box(-9, 9, (2, 3), np.int64),
)
CONDITIONAL = ConditionalMultiDiscrete([3, 6, 4], [[0, 0], [6, 0], [5, 4]])
ACTIONS = {
    "discrete": spaces.Discrete(4, start=-1),
    "equal heads": spaces.MultiDiscrete([3, 3]),
    "unequal heads": spaces.MultiDiscrete([2, 5, 3]),
    "grid": spaces.MultiDiscrete([[2, 3], [4, 2]]),
    "binary": spaces.MultiBinary(3),
    "conditional": CONDITIONAL,
}
BATCH = 400


def actor(space=VECTOR, actions=CONDITIONAL, **options):
    torch.manual_seed(0)
    policy = ActorCritic(space, actions, **options)
    torch.nn.init.normal_(policy.heads.linear.weight)
    torch.nn.init.normal_(policy.heads.linear.bias)
    return policy


def batch_of(space):
    space.seed(1)
    return torch.from_numpy(np.stack([space.sample() for _ in range(BATCH)]))


def drawn_by_torch(policy, observation, seed):
    """What the whole network draws with the same noise."""
    noise = policy.heads.noise(len(observation), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return policy(observation)[0].draw(noise)[0]


def drawn(policy, observation, seed):
    decision = policy.act(observation, {}, True, torch.Generator().manual_seed(seed))
    assert not decision.extras
    return decision.action


@pytest.mark.parametrize("actions", ACTIONS.values(), ids=ACTIONS)
def test_it_draws_what_torch_draws(actions):
    policy, observation = actor(actions=actions), batch_of(VECTOR)
    found, expected = drawn(policy, observation, 2), drawn_by_torch(policy, observation, 2)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
    assert len(found.unique(dim=0)) > 3


@pytest.mark.parametrize("space", [VECTOR, BYTES, TABLE], ids=["vector", "bytes", "table of integers"])
@pytest.mark.parametrize(
    "options",
    [{}, {"activation": "relu"}, {"hidden_sizes": ()}, {"hidden_sizes": (700, 3)}, {"normalize_observation": True}],
)
def test_it_sees_what_torch_sees(space, options):
    policy, observation = actor(space, **options), batch_of(space)
    if policy.normalizer is not None:
        policy.normalizer.update(observation)
    assert torch.equal(drawn(policy, observation, 3), drawn_by_torch(policy, observation, 3))


def test_the_observation_is_not_changed():
    policy, observation = actor(hidden_sizes=()), batch_of(VECTOR)
    before = observation.clone()
    drawn(policy, observation, 0)
    assert torch.equal(observation, before)


def test_changed_weights_count_at_once_also_in_copies():
    policy, observation = actor(), batch_of(VECTOR)
    first = drawn(policy, observation, 4)
    stored = io.BytesIO()
    torch.save(policy, stored)
    stored.seek(0)
    twins = [policy, copy.deepcopy(policy), torch.load(stored, weights_only=False)]
    for scale, twin in enumerate(twins, 2):
        assert torch.equal(drawn(twin, observation, 4), first)
        with torch.no_grad():
            for weight in twin.parameters():
                weight.mul_(-scale)
        changed = drawn(twin, observation, 4)
        assert not torch.equal(changed, first)
        assert torch.equal(changed, drawn_by_torch(twin, observation, 4))
        with torch.no_grad():
            for weight in twin.parameters():  # as an optimizer of one flat vector does it
                weight.data = weight / -scale
        assert torch.equal(drawn(twin, observation, 4), first)


def test_in_half_precision_the_whole_network_acts():
    policy = actor(bf16=True)
    assert set(policy.act(batch_of(VECTOR), {}, True, None).extras) == {"log_prob", "value"}
