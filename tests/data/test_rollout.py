"""What goes into the buffer comes out of it: columns, final observations, episodes, saved and loaded state."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.data.rollout import Episode, RolloutBuffer
from hakisa_algos.policy.observations import ObservationLayout, pick

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
            "valid": rng.random(n) < valid_share,
            "policy_version": np.full(n, t // 3),
            "log_prob": torch.from_numpy(rng.normal(size=n)),
            "final": {int(env): pick(observations(space, rng, 1), 0) for env in np.flatnonzero(truncated)},
        }
        add(buffer, row)
        written.append(row)
        start = over
    buffer.observe(observations(space, rng, n), start)
    return written


def add(buffer, row):
    names = ("action", "reward", "terminated", "truncated", "valid")
    extras = {"log_prob": row["log_prob"]}
    buffer.add(*(row[name] for name in names), int(row["policy_version"][0]), extras, row["final"])


def same(a, b):
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in b)
    return np.array_equal(a, b)


def check_window(buffer, written, length):
    rollout = buffer.rollout(length)
    window = written[-length:]
    for name in ("action", "terminated", "truncated", "valid", "policy_version", "log_prob"):
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
    no, yes = np.zeros(1, bool), np.ones(1, bool)
    buffer.observe(seen, yes)
    buffer.add(np.ones(1), reward, no, yes, yes, 0, {}, {0: final})
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


@pytest.mark.parametrize("capacity", [1, 4, 1000])
def test_totals_of_episodes_do_not_depend_on_the_ring(capacity):
    buffer = RolloutBuffer(capacity, 2, ObservationLayout(VECTOR), keep_observations=capacity == 1000)
    written = fill(buffer, VECTOR, 300, end_share=0.05, valid_share=0.8)
    expected = []
    total, length = np.zeros(2), np.zeros(2, int)
    for row in written:
        total += np.where(row["valid"], row["reward"], 0)
        length += row["valid"]
        for env in np.flatnonzero(row["terminated"] | row["truncated"]):
            if row["valid"][env]:
                expected.append(Episode(int(env), int(env), total[env], int(length[env]), total[env]))
            total[env] = length[env] = 0
    assert expected
    assert buffer.episodes() == expected
    assert buffer.episodes() == []


def test_an_episode_belongs_to_the_seat_that_played_it():
    buffer = RolloutBuffer(4, 2, ObservationLayout(VECTOR))
    buffer.observe(np.zeros((2, 2), np.float32), np.ones(2, bool))
    yes, no = np.ones(2, bool), np.zeros(2, bool)
    buffer.add(np.zeros(2), np.array([1.0, 2.0]), yes, no, yes, 0, {"seat": torch.tensor([40, 7])}, {})
    assert [(e.env, e.seat, e.total) for e in buffer.episodes()] == [(0, 40, 1.0), (1, 7, 2.0)]


@pytest.mark.parametrize("space", [VECTOR, KEYED], ids=["vector", "dict"])
@pytest.mark.parametrize("rows", [2, 8, 21])
def test_a_loaded_buffer_goes_on_like_the_saved_one(space, rows):
    saved, loaded = (RolloutBuffer(8, 2, ObservationLayout(space)) for _ in range(2))
    fill(saved, space, rows)
    loaded.load_state(saved.state(8))
    length = min(rows, 8)
    before, after = saved.rollout(length), loaded.rollout(length)
    for name in saved._columns:
        np.testing.assert_array_equal(before.column(name), after.column(name))
    assert same(before.observation(torch.arange(2 * length)), after.observation(torch.arange(2 * length)))
    assert same(before.next_observation(), after.next_observation())
    assert (before.final_observations() is None) == (after.final_observations() is None)
    no, yes = np.zeros(2, bool), np.ones(2, bool)
    saved.finished.clear()
    for buffer in (saved, loaded):
        buffer.add(np.zeros((2, 3), int), np.ones(2), yes, no, yes, 0, {"log_prob": torch.zeros(2)}, {})
    assert saved.episodes() == loaded.episodes()


def test_closed_episodes_are_truncated_with_the_last_observation_and_leave_no_total():
    buffer = RolloutBuffer(4, 2, ObservationLayout(VECTOR))
    seen = np.arange(4, dtype=np.float32).reshape(2, 2)
    no, yes = np.zeros(2, bool), np.ones(2, bool)
    buffer.observe(seen, yes)
    buffer.add(np.zeros(2), np.ones(2), np.array([True, False]), no, yes, 0, {}, {})
    buffer.observe(seen + 10, np.array([True, False]))
    buffer.close_episodes(seen + 10)
    rollout = buffer.rollout(1)
    assert rollout.column("truncated").tolist() == [[False, True]]
    assert rollout.column("terminated").tolist() == [[True, False]]
    assert rollout.final_observations().tolist() == [[12.0, 13.0]]
    buffer.observe(seen, yes)
    buffer.episodes()
    buffer.add(np.zeros(2), np.ones(2), yes, no, yes, 0, {}, {})
    assert [(e.total, e.length) for e in buffer.episodes()] == [(1.0, 1), (1.0, 1)]


def test_a_buffer_without_observations_keeps_the_rest():
    buffer = RolloutBuffer(4, 2, ObservationLayout(KEYED), keep_observations=False)
    written = fill(buffer, KEYED, 9)
    np.testing.assert_array_equal(buffer.rollout(4).column("action"), np.stack([r["action"] for r in written[-4:]]))
    assert buffer.nbytes < 2000


def test_an_episode_that_a_broken_row_ended_leaves_nothing_to_the_next():
    buffer = RolloutBuffer(4, 1, ObservationLayout(VECTOR))
    yes, no = np.ones(1, bool), np.zeros(1, bool)
    for reward, over, valid in [(100.0, no, yes), (0.0, yes, no), (1.0, yes, yes)]:
        buffer.observe(np.zeros((1, 2), np.float32), over)
        buffer.add(np.zeros(1), np.array([reward]), over, no, valid, 0, {}, {})
    assert buffer.episodes() == [Episode(env=0, seat=0, total=1.0, length=1, discounted=1.0)]
