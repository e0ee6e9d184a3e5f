"""Running statistics equal those of all data at once, and never move between acting and learning from it."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.learners.ppo import PPOLearner
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.policy.networks import MLP
from hakisa_algos.policy.normalizer import RunningNormalizer
from hakisa_algos.policy.policy import ActorCritic
from tests.helpers.counting import counting_envs


@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_statistics_equal_numpys_on_all_data(shape):
    rng = np.random.default_rng(0)
    batches = [rng.normal(50, 3 * n, (n, *shape)).astype(np.float32) for n in (1, 1, 2, 7, 100, 1000)]
    normalizer = RunningNormalizer(shape)
    for batch in batches:
        normalizer.update(torch.from_numpy(batch))
    everything = np.concatenate(batches)
    np.testing.assert_allclose(normalizer.mean, everything.mean(0), rtol=1e-4)
    np.testing.assert_allclose(normalizer.var, everything.var(0), rtol=1e-4)
    assert normalizer.count == len(everything)
    scaled = normalizer(torch.from_numpy(everything))
    expected = (everything - everything.mean(0)) / everything.std(0)
    np.testing.assert_allclose(scaled, expected.clip(-10, 10), atol=1e-3)


def test_before_any_data_nothing_is_changed_but_outliers():
    normalizer = RunningNormalizer((2,))
    seen = torch.tensor([[0.5, -3.0], [1e9, -1e9]])
    torch.testing.assert_close(normalizer(seen), torch.tensor([[0.5, -3.0], [10.0, -10.0]]))


def test_a_constant_does_not_divide_by_zero():
    normalizer = RunningNormalizer((1,))
    normalizer.update(torch.full((100, 1), 7.0))
    assert normalizer(torch.full((1, 1), 7.0)).abs() < 1e-2
    assert normalizer(torch.full((1, 1), 8.0)).isfinite()


def test_statistics_are_saved_with_the_weights():
    space = spaces.Dict({"a.b": spaces.Box(-1, 1, (2,)), "c": spaces.Box(0, 255, (3, 40, 40), np.uint8)})
    policy, other = (ActorCritic(space, spaces.Discrete(2), normalize_observation=True) for _ in range(2))
    batch = {"a.b": torch.randn(50, 2) * 9, "c": torch.randint(256, (50, 3, 40, 40), dtype=torch.uint8)}
    first = policy(batch)[1]
    policy.normalizer.update(batch)
    other.load_state_dict(policy.state_dict())
    torch.testing.assert_close(policy(batch)[1], other(batch)[1])
    assert [normalizer.count for normalizer in other.normalizer.parts] == [50, 50]
    assert not torch.allclose(policy(batch)[1], first)


def test_pictures_are_measured_pixel_by_pixel_and_still_ones_stay_still():
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (n, 2, 5, 6), dtype=np.uint8) for n in (3, 50)]
    for batch in batches:
        batch[:, :, 0] = 200 + batch[:, :, 0] % 3  # hardly ever changes
        batch[:, :, 1] = 0
    normalizer = RunningNormalizer((2, 5, 6), picture=True)
    seen = torch.from_numpy(batches[0])
    torch.testing.assert_close(normalizer(seen), seen / 255)  # until the first update
    for batch in batches:
        normalizer.update(torch.from_numpy(batch))
    everything = np.concatenate(batches).astype(np.float64)
    expected = (everything - everything.mean(0)) / everything.std(0).clip(8)
    found = normalizer(torch.from_numpy(np.concatenate(batches)))
    np.testing.assert_allclose(found, expected.clip(-5, 5), atol=1e-3)
    assert found[:, :, :2].abs().max() < 0.3


def test_an_infinite_observation_does_not_vanish_in_the_clip():
    normalizer = RunningNormalizer((3,))
    normalizer.update(torch.randn(50, 3))
    scaled = normalizer(torch.tensor([[torch.inf, 1e30, -1e30]]))
    assert scaled.isfinite().tolist() == [[False, True, True]]


def test_a_byte_vector_is_scaled_once():
    """Normalised bytes are of order 1; dividing them by 255 again would hide them from the network."""
    space = spaces.Box(0, 255, (8,), np.uint8)
    policy = ActorCritic(space, spaces.Discrete(2), normalize_observation=True)
    batch = torch.randint(256, (500, 8), dtype=torch.uint8)
    policy.normalizer.update(batch)
    seen = []
    policy.trunk.activation.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    policy(batch)
    assert seen[0].detach().std() == pytest.approx(0.5, abs=0.1)  # orthogonal, gain sqrt(2), from 8 entries to 64


@pytest.mark.parametrize("form", ["disabled", "foreign_next_step"])
def test_the_statistics_move_after_the_update_only_and_by_real_rows_only(form):
    envs = counting_envs(form)
    config = PPOConfig(n_steps=16, minibatch_size=16, epochs=2, normalize_observation=True, num_envs=3)
    learner = PPOLearner(
        envs.single_observation_space,
        envs.single_action_space,
        config,
        num_envs=3,
        seed=0,
        device=torch.device("cpu"),
        network=lambda space: MLP(space, (16,), "tanh"),  # one trunk: what was thought when acting is stored
    )
    buffer = RolloutBuffer(16, 3, learner.policy.observation)
    collector = Collector(envs, learner.policy, buffer)
    normalizer = learner.policy.normalizer.parts[0]
    everything = []
    for _ in range(4):
        before = normalizer.mean.clone()
        collector.collect(learner.facts().need)
        assert torch.equal(normalizer.mean, before)
        rollout = buffer.rollout(16)
        log_prob = rollout.column("log_prob").view(-1)
        seen = rollout.observation(torch.arange(48))
        again = learner.policy(seen)[0].log_prob(rollout.column("action").view(-1))
        torch.testing.assert_close(log_prob, again, atol=1e-6, rtol=0)
        learner.update(buffer)
        everything.append(seen[rollout.column("learned").view(-1)])
    data = torch.cat(everything).numpy().astype(np.float64)
    assert normalizer.count == len(data)
    assert (len(data) < 4 * 48) == (form == "foreign_next_step")
    np.testing.assert_allclose(normalizer.mean, data.mean(0), rtol=1e-4)
    np.testing.assert_allclose(normalizer.var, data.var(0), rtol=1e-3)
