"""The sum-tree against running sums."""

import numpy as np
import pytest

from hakisa_algos.data.sum_tree import SumTree


@pytest.mark.parametrize("size", [1, 2, 3, 8, 16, 17, 37, 256, 257, 1000])
def test_random_updates_and_draws_equal_brute_force(size):
    rng = np.random.default_rng(size)
    tree, values = SumTree(size), np.zeros(size)
    for _ in range(200):
        index = rng.integers(0, size, rng.integers(1, 20))
        # Whole numbers, whose sums have no rounding; a third of them 0. Repeated indices: the last one counts.
        value = rng.integers(0, 30, len(index)) * (rng.random(len(index)) > 0.3)
        tree.set(index, value)
        for i, v in zip(index, value, strict=True):
            values[i] = v
        assert np.array_equal(tree.values, values)
        assert tree.total == values.sum()
        if tree.total:
            mass = np.append(rng.random(50) * tree.total, [0, tree.total - 0.5])
            assert np.array_equal(tree.find(mass), np.searchsorted(np.cumsum(values), mass, side="right"))


def test_the_same_values_give_the_same_tree_however_they_came():
    rng = np.random.default_rng(0)
    grown, replaced = SumTree(100), SumTree(100)
    for _ in range(50):
        grown.set(rng.integers(0, 100, 10), rng.random(10))
    replaced.replace(grown.values.copy())
    assert replaced.total == grown.total
    mass = rng.random(1000) * grown.total
    assert np.array_equal(replaced.find(mass), grown.find(mass))


def test_a_zero_is_never_found_even_past_the_end():
    tree = SumTree(10)
    tree.set(np.array([2, 5]), np.array([0.1, 0.2]))
    mass = np.array([0, 0.1, tree.total, tree.total * (1 + 1e-12), tree.total + 1])
    assert set(tree.find(mass)) == {2, 5}


def test_draws_are_in_proportion():
    tree = SumTree(4)
    tree.set(np.arange(4), np.array([1, 2, 3, 4]))
    mass = np.linspace(0, tree.total, 10_000, endpoint=False)
    assert np.array_equal(np.bincount(tree.find(mass)), [1000, 2000, 3000, 4000])
