"""What the sampler draws against what the envs did."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.data.collect import Collector, Rows
from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.replay import ReplaySampler
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.policy.observations import ObservationLayout
from tests.helpers.counting import FORMS, CountingEnv, RandomPolicy, columns_of, counting_envs
from tests.helpers.rows import carry_over


def played(form, rows, capacity=16, n=3, **options):
    envs, policy = counting_envs(form, n, **options), RandomPolicy()
    buffer = RolloutBuffer(capacity, n, policy.observation)
    collector = Collector(envs, policy, buffer, seed=1)
    collector.collect(Rows(rows))
    return envs, buffer, collector


def expected(real, i, n_step):
    """In plain Python: rewards, observation after them, and whether that was the end for good."""
    window = real[i : i + n_step]
    for k, (_, _, _, after, terminated, truncated) in enumerate(window, 1):
        if terminated or truncated or k == len(window):
            return [row[2] for row in window[:k]], after, terminated
    raise AssertionError("an empty window")


def check_against_envs(envs, batch, n_step):
    index = [{tuple(r[0]): i for i, r in enumerate(env.real)} for env in columns_of(envs)]
    for row in range(len(batch)):
        observation = tuple(batch.observation[row].numpy())
        column = int(observation[0])
        real = columns_of(envs)[column].real
        i = index[column][observation]
        rewards, after, terminated = expected(real, i, n_step)
        assert int(batch.action[row]) == real[i][1]
        assert int(batch.steps[row]) == len(rewards)
        assert batch.reward[row].tolist() == rewards + [0] * (n_step - len(rewards))
        assert bool(batch.terminated[row]) == terminated
        if not terminated:
            assert np.array_equal(batch.next_observation[row], after)


@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("n_step", [1, 2, 3, 7])
@pytest.mark.parametrize("form", FORMS)
def test_every_transition_is_what_the_env_did(form, n_step, prioritized):
    envs, buffer, collector = played(form, 5)
    sampler = ReplaySampler(buffer.capacity, buffer.num_envs, n_step, 0.6 if prioritized else 0.0)
    rng = np.random.default_rng(0)
    # 5 rows do not fill the ring; then it goes round several times, its seam in every place.
    for more in (1, 11, 7, 30):
        batch = sampler.sample(buffer, 600, rng)
        check_against_envs(envs, batch, n_step)
        # No transition in the ring is left out, the newest and the oldest included, and no reset row drawn.
        position = np.arange(buffer.oldest * buffer.num_envs, buffer.steps)
        assert set(batch.position.tolist()) == set(position[buffer.take("learned", position)].tolist())
        collector.collect(Rows(more))


def test_long_episodes_cross_the_seam():
    envs, buffer, collector = played("disabled", 3, capacity=5, longest=1000)
    sampler, rng = ReplaySampler(5, 3, 4), np.random.default_rng(0)
    for _ in range(20):
        batch = sampler.sample(buffer, 200, rng)
        check_against_envs(envs, batch, 4)
        newest = batch.position >= buffer.steps - 3
        assert newest.any()
        assert (batch.steps[newest] == 1).all()
        collector.collect(Rows(1))


def test_stacked_frames_are_rebuilt_on_both_sides_of_a_transition():
    class Stacking(CountingEnv):
        """The last 3 observations, zeros before the first."""

        def __init__(self, column=0, **options):
            super().__init__(column, metadata={"frame_stack": (0, 3, "zero")}, **options)
            self.observation_space = spaces.Box(-np.inf, np.inf, (3, 4), np.float32)
            self.frames = []

        def observe(self):
            if self.count == 0:
                self.frames = [np.zeros(4, np.float32)] * 2
            if len(self.frames) == self.count + 2:
                self.frames.append(super().observe())
            return np.stack(self.frames[-3:])

    envs = counting_envs("disabled", 2, make=Stacking)
    policy = RandomPolicy(envs.single_observation_space)
    layout = policy.observation
    buffer = RolloutBuffer(
        9, 2, layout, FrameStack.of(columns_of(envs)[0].metadata["frame_stack"], layout.raw_space, layout.space)
    )
    assert buffer._observations[""].history == 2
    collector = Collector(envs, policy, buffer, seed=3)
    sampler, rng = ReplaySampler(9, 2, 2), np.random.default_rng(0)
    for rows in (4, 20):
        collector.collect(Rows(rows))
        batch = sampler.sample(buffer, 300, rng)
        for row in range(len(batch)):
            before = batch.observation[row].numpy()
            real = columns_of(envs)[int(before[-1][0])].real
            i = next(i for i, r in enumerate(real) if np.array_equal(r[0], before))
            _, after, terminated = expected(real, i, 2)
            assert terminated or np.array_equal(batch.next_observation[row], after)


def test_dict_observations_and_their_final_ones():
    class Keyed(CountingEnv):
        def __init__(self, column=0, **options):
            super().__init__(column, **options)
            box = self.observation_space
            self.observation_space = spaces.Dict({"whole": box, "half": spaces.Box(-np.inf, np.inf, (2,), np.float32)})

        def observe(self):
            whole = super().observe()
            return {"whole": whole, "half": whole[:2] + whole[2:]}

    envs = counting_envs("foreign_same_step", 2, make=Keyed, ends=("truncated",))
    policy = RandomPolicy(envs.single_observation_space)
    buffer = RolloutBuffer(10, 2, policy.observation)
    Collector(envs, policy, buffer).collect(Rows(25))
    batch = ReplaySampler(10, 2, 3).sample(buffer, 300, np.random.default_rng(0))
    for row in range(len(batch)):
        whole = batch.observation["whole"][row].numpy()
        real = columns_of(envs)[int(whole[0])].real
        i = next(i for i, r in enumerate(real) if np.array_equal(r[0]["whole"], whole))
        _, after, _ = expected(real, i, 3)
        for key in after:
            assert np.array_equal(batch.next_observation[key][row], after[key])


def test_uniform_means_uniform():
    _, buffer, _ = played("foreign_next_step", 40)
    batch = ReplaySampler(16, 3).sample(buffer, 40_000, np.random.default_rng(0))
    _, counts = np.unique(batch.position, return_counts=True)
    mean = counts.mean()
    assert ((counts - mean) ** 2 / mean).sum() < 2 * len(counts)  # chi-square, its mean is len - 1
    assert (batch.weight == 1).all()


def test_priorities_weights_and_newcomers():
    _, buffer, collector = played("disabled", 10, capacity=12, n=2)
    sampler, rng = ReplaySampler(12, 2, 1, 0.5), np.random.default_rng(0)
    sampler.sample(buffer, 4, rng)
    position = np.arange(20)
    error = np.linspace(-3, 3, 20)
    sampler.update_priorities(position, error)
    priority = (np.abs(error) + 1e-6) ** 0.5

    batch = sampler.sample(buffer, 50_000, rng, beta=0.7)
    share = np.bincount(batch.position.numpy(), minlength=20) / 50_000
    assert np.allclose(share, priority / priority.sum(), atol=1e-3)  # stratified: close
    weight = (20 * priority / priority.sum()) ** -0.7
    drawn = np.unique(batch.position)
    assert np.allclose(batch.weight, (weight / weight[drawn].max())[batch.position])

    # Rows that come push out the oldest and get the highest priority so far.
    collector.collect(Rows(5))
    sampler.sample(buffer, 1, rng)
    kept, new = np.arange(6, 20), np.arange(20, 30)
    assert np.allclose(sampler._tree.values[kept % 24], priority[kept])
    assert np.allclose(sampler._tree.values[new % 24], priority.max())


def test_tree_follows_the_ring_through_wrap_around():
    _, buffer, collector = played("foreign_next_step", 1, capacity=7)
    sampler, rng = ReplaySampler(7, 3, 2, 1.0), np.random.default_rng(0)
    priority, highest, seen = {}, 1.0, 0
    for _ in range(200):
        batch = sampler.sample(buffer, 5, rng)
        for p in range(max(seen, buffer.oldest * 3), buffer.steps):
            priority[p] = highest * buffer.take("learned", np.array(p))
        seen = buffer.steps
        error = rng.random(5) * 3
        sampler.update_priorities(batch.position.numpy(), error)
        for p, e in zip(batch.position.tolist(), error, strict=True):
            priority[p] = e + 1e-6
        highest = max(highest, error.max() + 1e-6)
        readable = np.arange(buffer.oldest * 3, buffer.steps)
        values = np.zeros(21)
        values[readable % 21] = [priority[p] for p in readable]
        assert np.array_equal(sampler._tree.values, values)
        collector.collect(Rows(int(rng.integers(1, 10))))


@pytest.mark.parametrize("exponent", [0.0, 0.7])
def test_nothing_to_draw_is_an_error(exponent):
    buffer = RolloutBuffer(4, 1, ObservationLayout(CountingEnv().observation_space))
    buffer._allocate("learned", np.zeros(1, bool))
    with pytest.raises(ValueError, match="none of the 0 stored rows"):
        ReplaySampler(4, 1, 1, exponent).sample(buffer, 2, np.random.default_rng(0))


@pytest.mark.parametrize("exponent", [0.0, 0.7])
def test_a_restored_sampler_draws_the_same(exponent, tmp_path):
    _, buffer, _ = played("disabled", 30)
    sampler = ReplaySampler(16, 3, 2, exponent)
    first = sampler.sample(buffer, 20, np.random.default_rng(0))
    sampler.update_priorities(first.position.numpy(), np.linspace(0, 5, 20))
    other_buffer, other = RolloutBuffer(16, 3, layout()), ReplaySampler(16, 3, 2, exponent)
    carry_over(buffer, other_buffer, tmp_path, 16)
    other.load_state(sampler.state())
    one, two = (s.sample(b, 50, np.random.default_rng(5)) for s, b in ((sampler, buffer), (other, other_buffer)))
    for name in one.__dataclass_fields__:
        assert torch.equal(getattr(one, name), getattr(two, name)), name


@pytest.mark.parametrize("exponent", [0.0, 0.7])
def test_rows_that_did_not_come_with_the_checkpoint_are_never_drawn(exponent):
    envs, buffer, collector = played("disabled", 30)
    sampler = ReplaySampler(16, 3, 3, exponent)
    sampler.sample(buffer, 20, np.random.default_rng(0))
    without = RolloutBuffer(16, 3, layout())
    without.restore(buffer.state())
    collector.buffer = without
    collector.collect(Rows(4))
    batch = sampler.sample(without, 500, np.random.default_rng(0))
    assert set(batch.position.tolist()) == set(range(30 * 3, 34 * 3))
    check_against_envs(envs, batch, 3)


def layout():
    return ObservationLayout(CountingEnv().observation_space)
