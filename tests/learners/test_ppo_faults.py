"""A NaN anywhere is found before it harms: the learner is as it was, and the data stand in the error."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from hakisa_algos import Agent
from hakisa_algos.errors import NonFiniteError
from hakisa_algos.learners.ppo import A2CLearner, PPOLearner
from tests.helpers.counting import CountingEnv
from tests.helpers.learning import assert_same, make_loop


class Noise(gym.Env):
    """Shows noise, and pays for the second action."""

    observation_space = spaces.Box(-1, 1, (3,), np.float32)
    action_space = spaces.Discrete(2)

    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.draw(), {}

    def draw(self):
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)

    def step(self, action):
        self.steps += 1
        return self.draw(), float(action), self.steps % 10 == 0, False, {}


def state_of(learner):
    return copy.deepcopy(learner.state())


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("fault", ["observation", "reward"])
@pytest.mark.parametrize("algorithm", [PPOLearner, A2CLearner])
@pytest.mark.parametrize(("update", "normalize"), [(1, False), (1, True), (4, False), (4, True)])
def test_a_nan_in_what_was_collected_takes_the_update_back(fault, value, algorithm, update, normalize):
    options = {"num_envs": 2, "normalize_observation": normalize, "learning_rate_schedule": "constant"}
    loop = make_loop(Noise, algorithm, **options)
    for _ in range(update - 1):
        loop.step()
    before = state_of(loop.learner)
    loop.collect()
    # No env gets it in.
    stored = loop.buffer._observations[""].data if fault == "observation" else loop.buffer._arrays["reward"]
    stored[(loop.buffer.rows - 8) % len(stored), 0, ...] = value
    with pytest.raises(NonFiniteError, match=f"update {update}: .* became NaN or infinite") as caught:
        loop.learner.update(loop.buffer)
    assert_same(loop.learner.state(), before)
    arrays = caught.value.arrays
    assert {"observation", "action", "log_prob", "value", "advantage", "returns", "reward"} <= set(arrays)
    assert not np.isfinite(arrays[fault]).all()
    assert len(arrays["observation"]) == len(arrays["action"])


def test_an_infinite_observation_is_found_among_many_although_the_normaliser_clips_it():
    loop = make_loop(Noise, num_envs=1, n_steps=600, normalize_observation=True)
    loop.collect()
    loop.buffer._observations[""].data[455, 0, 1] = np.inf
    with pytest.raises(NonFiniteError):
        loop.learner.update(loop.buffer)


class Poisoned(nn.Module):
    """Its features are fine until it has been stepped ``after`` times; then they are NaN."""

    features = 3

    def __init__(self, after):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.after, self.calls = after, 0

    def forward(self, observation):
        if torch.is_grad_enabled():
            self.calls += 1
        result = self.layer(observation)
        return result * np.nan if torch.is_grad_enabled() and self.calls > self.after else result


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_a_nan_in_the_middle_of_an_update_takes_back_the_steps_before_it(after, optimizer):
    loop = make_loop(
        Noise, num_envs=2, factory=lambda _: Poisoned(after), optimizer=optimizer, minibatch_size=8, epochs=2
    )
    before = state_of(loop.learner)
    loop.collect()
    with pytest.raises(NonFiniteError):
        loop.learner.update(loop.buffer)
    assert_same(loop.learner.state(), before)


def test_a_learner_goes_on_after_a_fault_as_if_there_had_been_none():
    loop, other = (make_loop(Noise, num_envs=2) for _ in range(2))
    for each in (loop, other):
        each.step()
        each.collect()
    reward = loop.buffer._arrays["reward"]
    good = reward.copy()
    reward[0, 0] = torch.nan
    with pytest.raises(NonFiniteError):
        loop.learner.update(loop.buffer)
    reward[:] = good
    assert_same(loop.learner.update(loop.buffer), other.learner.update(other.buffer))
    assert_same(loop.learner.state(), other.learner.state())


def test_pictures_are_not_copied_into_the_error():
    loop = make_loop("Hakisa/Press-v0", options={"observation": "pixels", "grid_size": 9}, network="small")
    loop.collect()
    loop.buffer._arrays["reward"][0, 0] = torch.nan
    with pytest.raises(NonFiniteError) as caught:
        loop.learner.update(loop.buffer)
    assert "observation" not in caught.value.arrays


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "pqn"])
def test_a_rollout_without_a_single_transition_is_passed_over(algorithm):
    """A window that stays minimised gives such rows; the run must outlast it."""

    class Hidden(CountingEnv):
        def step(self, action):
            *step, info = super().step(action)
            return *step, info | {"transition": False}

    agent = Agent(Hidden(), algorithm=algorithm, seed=1)
    before = {name: tensor.clone() for name, tensor in agent.policy.state_dict().items()}
    agent.learn(3 * agent.config.n_steps)
    assert all(torch.equal(tensor, before[name]) for name, tensor in agent.policy.state_dict().items())
