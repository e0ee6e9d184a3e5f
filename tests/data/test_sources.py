"""Batches from the ring, from rows of before it, and from demonstrations."""

import numpy as np
import pytest

from hakisa_algos.data.dataset import open_rows, write_rows
from hakisa_algos.data.replay import ReplaySampler, Sources
from tests.helpers.rows import Play, buffer_of


def played(label, rows, num_envs=2, capacity=50):
    buffer = buffer_of("vectors", capacity, num_envs)
    play = Play("vectors", num_envs, seed=label, label=label).begin(buffer).play(buffer, rows)
    return buffer, play


def stored(folder, label, rows, num_envs):
    buffer, _ = played(label, rows, num_envs)
    write_rows(folder, buffer)
    return open_rows(folder)


def shares(sources, buffer, count=4_000, demonstrated=0):
    batch = sources.sample(buffer, count, np.random.default_rng(0), demonstrated=demonstrated)
    assert len(batch) == count
    first = batch.reward[:, 0].numpy()
    return first, batch.position.numpy()


def test_older_rows_are_drawn_by_their_number_until_the_ring_is_full(tmp_path):
    older = stored(tmp_path, 10_000, 20, 3)
    buffer, play = played(0, 10)
    sources = Sources(ReplaySampler(50, 2))
    buffer.older = older
    assert sources.size(buffer) == (20, 63)
    first, position = shares(sources, buffer)
    assert np.mean(first >= 10_000) == pytest.approx(63 / 83, abs=0.03)
    assert np.array_equal(position < 0, first >= 10_000)
    play.play(buffer, 30)  # 80 of 100 places are taken
    assert sources.size(buffer) == (80, 20)
    assert np.mean(shares(sources, buffer)[0] >= 10_000) == pytest.approx(0.2, abs=0.03)
    play.play(buffer, 30)
    assert sources.size(buffer) == (100, 0)
    assert (shares(sources, buffer)[0] < 10_000).all()


def test_an_empty_ring_draws_older_rows_only(tmp_path):
    older = stored(tmp_path, 10_000, 20, 3)
    sources = Sources(ReplaySampler(50, 2))
    buffer = buffer_of("vectors", 50, 2)
    buffer.older = older
    assert (shares(sources, buffer)[0] >= 10_000).all()
    buffer.older = None
    with pytest.raises(ValueError, match="none of the 0 stored rows"):
        sources.sample(buffer, 3, np.random.default_rng(0))


@pytest.mark.parametrize("with_older", [False, True])
def test_demonstrations_are_the_stated_number_at_the_end(tmp_path, with_older):
    buffer, _ = played(0, 10)
    sources = Sources(ReplaySampler(50, 2, 3))
    sources.demonstrations = stored(tmp_path / "shown", 20_000, 6, 1)
    if with_older:
        buffer.older = stored(tmp_path / "older", 10_000, 9, 4)
    first, _ = shares(sources, buffer, 60, demonstrated=20)
    assert (first[-20:] >= 20_000).all()
    assert (first[:40] < 20_000).all()
    assert (shares(sources, buffer, 5, demonstrated=5)[0] >= 20_000).all()


def test_demonstrations_may_lie_in_a_buffer():
    sources = Sources(ReplaySampler(50, 2))
    sources.demonstrations = played(20_000, 6, num_envs=3)[0]
    assert (shares(sources, played(0, 4)[0], 9, demonstrated=9)[0] >= 20_000).all()


def test_priorities_are_of_the_ring_alone(tmp_path):
    buffer, _ = played(0, 10)
    own = ReplaySampler(50, 2, 1, 0.7)
    sources = Sources(own)
    buffer.older = stored(tmp_path, 10_000, 20, 3)
    batch = sources.sample(buffer, 300, np.random.default_rng(0), 0.5)
    position = batch.position.numpy()
    before = own.state()["priorities"]
    own.update_priorities(position, np.full(300, 9.0))
    after = own.state()["priorities"]
    changed = {int(i) for i in np.flatnonzero(before != after)}
    assert changed == set(position[position >= 0].tolist())
    own.update_priorities(np.full(3, -1), np.ones(3))
    assert np.array_equal(own.state()["priorities"], after)


def test_the_rewards_of_older_rows_are_relabelled_by_the_buffers_hook(tmp_path):
    buffer, _ = played(0, 10)
    buffer.older = stored(tmp_path, 10_000, 20, 3)
    asked = []

    def relabel(source, position):
        asked.append(source)
        return np.full(position.shape, -1.0 if source is buffer else -2.0)

    buffer.relabel = relabel
    sources = Sources(ReplaySampler(50, 2))
    first, position = shares(sources, buffer)
    assert set(first[position >= 0]) == {-1.0}
    assert set(first[position < 0]) == {-2.0}
    assert set(map(id, asked)) == {id(buffer), id(buffer.older)}
    buffer.relabel = None
    assert (shares(sources, buffer)[0] >= 0).all()
