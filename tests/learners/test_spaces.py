"""Every supported pair of spaces trains: finite losses, valid actions, weights that move."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.errors import ConfigError
from hakisa_envs.spaces import ConditionalMultiDiscrete
from tests.helpers.learning import make_loop

PICTURE = spaces.Box(0, 255, (40, 40, 3), np.uint8)
OBSERVATIONS = {
    "vector": spaces.Box(-1, 1, (3,), np.float64),
    "bytes": spaces.Box(0, 255, (16,), np.uint8),
    "pictures": PICTURE,
    "stacked pictures": spaces.Box(0, 255, (2, 40, 40, 3), np.uint8),
    "choice": spaces.Discrete(4, start=-1),
    "choices": spaces.MultiDiscrete([3, 2]),
    "switches": spaces.MultiBinary(3),
    "dict": spaces.Dict({"see.it": PICTURE, "feel": spaces.Box(-1, 1, (2,), np.float32)}),
}
ACTIONS = {
    "discrete": spaces.Discrete(3, start=5),
    "multi-discrete": spaces.MultiDiscrete([3, 2, 4]),
    "multi-binary": spaces.MultiBinary(4),
    "table": spaces.MultiDiscrete([[2, 3], [3, 2]]),
    "conditional": ConditionalMultiDiscrete([3, 4, 2], [[0, 0], [4, 0], [3, 2]]),
}


class Arbitrary(gym.Env):
    """Random observations; complains about an action outside its space."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(np.asarray(action)[()]), (action, self.action_space)
        ended = self.np_random.random(2) < 0.1
        return self.observation_space.sample(), float(np.sum(action)), bool(ended[0]), bool(ended[1]), {}


@pytest.mark.parametrize(
    ("observation", "action"),
    [(observation, "discrete") for observation in OBSERVATIONS]
    + [("vector", action) for action in ACTIONS]
    + [("dict", "conditional")],
)
@pytest.mark.parametrize("normalize", [False, True], ids=["raw", "normalized"])
def test_every_pair_of_spaces_trains(observation, action, normalize):
    def make():
        return Arbitrary(OBSERVATIONS[observation], ACTIONS[action])

    loop = make_loop(
        make,
        num_envs=2,
        n_steps=8,
        minibatch_size=8,
        epochs=2,
        network="small" if "pictures" in observation or observation == "dict" else "auto",
        normalize_observation=normalize,
    )
    before = [p.clone() for p in loop.learner.policy.parameters()]
    for _ in range(3):
        metrics = loop.step()
        losses = [metrics[f"train/{name}"] for name in ("loss", "policy_loss", "value_loss", "entropy", "approx_kl")]
        assert np.isfinite(losses).all()
        assert 0 < metrics["train/entropy_fraction"] <= 1 + 1e-5
    moved = [not torch.equal(a, b) for a, b in zip(before, loop.learner.policy.parameters(), strict=True)]
    assert all(moved)


def test_continuous_actions_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"action space Box.*a grid of choices per dimension, as MultiDiscrete"):
        make_loop("Pendulum-v1", num_envs=1)


def test_other_observations_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"observation space Tuple.* is not supported.*FlattenObservation"):
        make_loop("Blackjack-v1", num_envs=1)
