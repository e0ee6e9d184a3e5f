"""What goes into the buffer comes out of it: columns, final observations, episodes, saved and loaded state."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.data.replay import ReplaySampler
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.policy.observations import ObservationLayout, pick
from tests.helpers.rows import carry_over

VECTOR = spaces.Box(-np.inf, np.inf, (2,), np.float32)
KEYED = spaces.Dict({"a": VECTOR, "picture": spaces.Box(0, 255, (3, 8, 8), np.uint8)})


def observations(space, rng, n):
    if isinstance(space, spaces.Dict):
        return {key: observations(box, rng, n) for key, box in space.items()}
    return rng.integers(1, 200, (n, *space.shape)).astype(space.dtype)


def fill(buffer, space, rows, seed=0, n=2, valid_share=1.0, end_share=0.3):
    """Writes random rows; returns them all, so that a test can say what must come out."""
    rng = np.random.default_rng(seed)
    written = []
    start = np.ones(n, bool)
    for t in range(rows):
        seen = observations(space, rng, n)
        buffer.observe(seen, start)
        over = rng.random(n) < end_share
        terminated = over & (rng.random(n) < 0.5)
        truncated = over & ~terminated
        row = {
            "observation": seen,
            "action": rng.integers(5, size=(n, 3)),
            "reward": rng.normal(size=n),
            "terminated": terminated,
            "truncated": truncated,
            "transition": rng.random(n) < valid_share,
            "learned": rng.random(n) < valid_share,
            "policy_version": np.full(n, t // 3),
            "log_prob": rng.normal(size=n),
            "final": {int(env): pick(observations(space, rng, 1), 0) for env in np.flatnonzero(truncated)},
        }
        add(buffer, row)
        written.append(row)
        start = over
    buffer.observe(observations(space, rng, n), start)
    return written


def add(buffer, row):
    buffer.add({name: value for name, value in row.items() if name not in ("observation", "final")}, row["final"])


def row_of(reward, terminated, **more):
    """One row in which nothing is truncated."""
    n = len(reward)
    no, yes = np.zeros(n, bool), np.ones(n, bool)
    base = {"action": np.zeros(n), "terminated": terminated, "truncated": no, "transition": yes, "learned": yes}
    return {**base, "reward": reward, "policy_version": 0, **more}


def same(a, b):
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in b)
    return np.array_equal(a, b)


def check_window(buffer, written, length):
    rollout = buffer.rollout(length)
    window = written[-length:]
    for name in ("action", "terminated", "truncated", "transition", "learned", "policy_version", "log_prob"):
        np.testing.assert_array_equal(rollout.column(name), np.stack([row[name] for row in window]))
    np.testing.assert_array_equal(rollout.column("reward"), np.stack([r["reward"] for r in window]).astype(np.float32))
    for t, row in enumerate(window):
        assert same(rollout.observation(torch.tensor([2 * t, 2 * t + 1])), row["observation"])
    final = [row["final"][env] for row in window for env in sorted(row["final"])]
    found = rollout.final_observations()
    assert (found is None) == (not final)
    for i, wanted in enumerate(final):
        assert same({k: v[i] for k, v in found.items()} if isinstance(found, dict) else found[i], wanted)


@pytest.mark.parametrize("space", [VECTOR, KEYED], ids=["vector", "dict"])
@pytest.mark.parametrize("rows", [3, 8, 9, 30])
def test_a_window_holds_what_was_written(space, rows):
    buffer = RolloutBuffer(8, 2, ObservationLayout(space))
    written = fill(buffer, space, rows, seed=rows)
    assert buffer.rows == rows
    assert buffer.steps == 2 * rows
    for length in range(1, min(rows, 8) + 1):
        check_window(buffer, written, length)
    assert len(buffer.rollout(2)) == 4


def test_what_was_handed_out_does_not_change_with_the_ring():
    buffer = RolloutBuffer(4, 2, ObservationLayout(VECTOR))
    written = fill(buffer, VECTOR, 4)
    rollout = buffer.rollout(4)
    reward, seen = rollout.column("reward"), rollout.observation(torch.arange(8))
    fill(buffer, VECTOR, 6, seed=9)
    np.testing.assert_array_equal(reward, np.stack([r["reward"] for r in written]).astype(np.float32))
    np.testing.assert_array_equal(seen, np.concatenate([r["observation"] for r in written]))


def test_arrays_that_the_env_uses_again_are_copied():
    buffer = RolloutBuffer(4, 1, ObservationLayout(VECTOR))
    seen, reward, final = np.ones((1, 2), np.float32), np.ones(1), np.ones(2, np.float32)
    yes = np.ones(1, bool)
    buffer.observe(seen, yes)
    buffer.add(row_of(reward, ~yes, truncated=yes), {0: final})
    seen[:] = reward[:] = final[:] = 7
    rollout = buffer.rollout(1)
    assert (rollout.column("reward") == 1).all()
    assert (rollout.observation(torch.tensor([0])) == 1).all()
    assert (rollout.final_observations() == 1).all()


@pytest.mark.parametrize("length", [0, -1, 5, 9])
def test_a_window_that_is_not_stored_is_refused(length):
    buffer = RolloutBuffer(8, 2, ObservationLayout(VECTOR))
    fill(buffer, VECTOR, 4)
    with pytest.raises(ValueError, match=f"rollout of {length} rows: 4 are stored"):
        buffer.rollout(length)


def test_final_observations_older_than_the_ring_are_let_go():
    buffer = RolloutBuffer(4, 2, ObservationLayout(VECTOR))
    fill(buffer, VECTOR, 200, end_share=1.0)
    assert len(buffer._final) <= 2 * 4


@pytest.mark.parametrize("space", [VECTOR, KEYED], ids=["vector", "dict"])
@pytest.mark.parametrize("rows", [2, 8, 21])
def test_a_loaded_buffer_goes_on_like_the_saved_one(space, rows, tmp_path):
    saved, loaded = (RolloutBuffer(8, 2, ObservationLayout(space)) for _ in range(2))
    fill(saved, space, rows)
    carry_over(saved, loaded, tmp_path, 8)
    length = min(rows, 8)
    before, after = saved.rollout(length), loaded.rollout(length)
    for name in saved._arrays:
        np.testing.assert_array_equal(before.column(name), after.column(name))
    assert same(before.observation(torch.arange(2 * length)), after.observation(torch.arange(2 * length)))
    assert same(before.next_observation(), after.next_observation())
    assert (before.final_observations() is None) == (after.final_observations() is None)


def test_closed_episodes_are_truncated_with_the_last_observation():
    buffer = RolloutBuffer(4, 2, ObservationLayout(VECTOR))
    seen = np.arange(4, dtype=np.float32).reshape(2, 2)
    buffer.observe(seen, np.ones(2, bool))
    buffer.add(row_of(np.ones(2), np.array([True, False])), {})
    buffer.observe(seen + 10, np.array([True, False]))
    buffer.close_episodes(seen + 10)
    rollout = buffer.rollout(1)
    assert rollout.column("truncated").tolist() == [[False, True]]
    assert rollout.column("terminated").tolist() == [[True, False]]
    assert rollout.final_observations().tolist() == [[12.0, 13.0]]


def test_a_buffer_without_observations_keeps_the_rest():
    buffer = RolloutBuffer(4, 2, ObservationLayout(KEYED), keep_observations=False)
    written = fill(buffer, KEYED, 9)
    np.testing.assert_array_equal(buffer.rollout(4).column("action"), np.stack([r["action"] for r in written[-4:]]))
    assert buffer.nbytes < 2000


def test_relabelled_rewards_are_what_everybody_reads():
    buffer = RolloutBuffer(8, 2, ObservationLayout(VECTOR))
    written = fill(buffer, VECTOR, 12, end_share=0)
    asked = []

    def relabel(source, position):
        assert source is buffer
        asked.append(position.copy())
        return position * 10

    stored = np.concatenate([row["reward"] for row in written]).astype(np.float32)
    inside = np.arange(8, 24)
    np.testing.assert_array_equal(buffer.rewards(inside), stored[8:])
    buffer.relabel = relabel
    assert buffer.rewards(inside).dtype == np.float32
    np.testing.assert_array_equal(buffer.rewards(inside), inside * 10)
    np.testing.assert_array_equal(buffer.rollout(3).column("reward"), np.arange(18, 24).reshape(3, 2) * 10)
    drawn = ReplaySampler(8, 2, n_step=3).sample(buffer, 50, np.random.default_rng(0))
    steps = np.arange(3)
    expected = (drawn.position.numpy()[:, None] + 2 * steps) * 10 * (steps < drawn.steps.numpy()[:, None])
    np.testing.assert_array_equal(drawn.reward, expected)
    assert all((position >= 8).all() and (position < 24).all() for position in asked)  # nothing but stored rows
    buffer.relabel = None
    np.testing.assert_array_equal(buffer.rewards(inside), stored[8:])


def test_what_is_no_transition_ends_windows_and_what_is_not_learned_from_is_only_not_drawn():
    buffer = RolloutBuffer(8, 1, ObservationLayout(VECTOR))
    one, never = np.ones(1), np.zeros(1, bool)
    for t in range(6):
        buffer.observe(np.full((1, 2), t, np.float32), np.array([t == 0]))
        buffer.add(row_of(one * t, never, learned=np.array([t != 1]), transition=np.array([t != 4])), {})
    buffer.observe(np.full((1, 2), 6, np.float32), never)
    drawn = ReplaySampler(8, 1, n_step=3).sample(buffer, 200, np.random.default_rng(0))
    found = {int(p): (r.tolist(), int(k)) for p, r, k in zip(drawn.position, drawn.reward, drawn.steps, strict=True)}
    assert found == {
        0: ([0, 1, 2], 3),  # the reward of row 1 is passed on, though nothing is learned from it
        2: ([2, 3, 0], 2),
        3: ([3, 0, 0], 1),
        4: ([4, 5, 0], 2),
        5: ([5, 0, 0], 1),
    }
