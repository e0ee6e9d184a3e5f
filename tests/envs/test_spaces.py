"""`ConditionalMultiDiscrete`: what it draws, what its actions stand for, and that it is a MultiDiscrete."""

import copy
import pickle

import numpy as np
import pytest
from gymnasium.spaces import Box, MultiDiscrete
from gymnasium.vector.utils import batch_space, iterate

from hakisa_envs import ConditionalMultiDiscrete

NVEC = [4, 7, 5]
SIZES = [[0, 0], [3, 0], [7, 5], [0, 2]]


@pytest.fixture
def space():
    return ConditionalMultiDiscrete(NVEC, SIZES, seed=0)


def ones():
    return tuple(np.ones(count, dtype=np.int8) for count in NVEC)


def test_is_a_multidiscrete_to_those_who_know_no_better(space):
    assert isinstance(space, MultiDiscrete)
    assert space.shape == (3,)
    assert space.dtype == np.int64
    assert space.sizes.tolist() == SIZES
    assert space.contains(np.array([0, 6, 4]))  # irrelevant heads may hold anything in range
    assert not space.contains(np.array([4, 0, 0]))
    assert not space.contains(np.array([0, 7, 0]))


def test_sample_draws_every_meaningful_action_and_no_other(space):
    drawn = {tuple(space.sample().tolist()) for _ in range(4000)}
    meaningful = {(0, 0, 0), (3, 0, 0), (3, 0, 1)} | {(1, key, 0) for key in range(3)}
    meaningful |= {(2, x, y) for x in range(7) for y in range(5)}
    assert drawn == meaningful


def test_sample_draws_commands_uniformly_however_many_arguments_they_have(space):
    counts = np.bincount([space.sample()[0] for _ in range(4000)], minlength=4)
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_seeds_and_copies_draw_the_same(space):
    space.seed(3)
    twin, restored = copy.deepcopy(space), pickle.loads(pickle.dumps(space))
    other = ConditionalMultiDiscrete(NVEC, SIZES, seed=3)
    draws = [[each.sample().tolist() for _ in range(20)] for each in (space, twin, restored, other)]
    assert draws[0] == draws[1] == draws[2] == draws[3]


def test_mask_and_probability_restrict_what_is_drawn(space):
    mask = ones()
    mask[0][:] = [0, 1, 1, 0]
    mask[1][:] = [0, 1, 0, 0, 0, 0, 0]
    drawn = {tuple(space.sample(mask=mask).tolist()) for _ in range(300)}
    assert drawn == {(1, 1, 0)} | {(2, 1, y) for y in range(5)}

    probability = (np.array([0, 1.0, 0, 0]), np.array([0.25, 0, 0.25, 0, 0, 0, 0.5]), np.full(5, 0.2))
    assert {tuple(space.sample(probability=probability)) for _ in range(100)} == {(1, 0, 0), (1, 2, 0)}


def test_mask_that_leaves_a_relevant_head_no_choice_is_refused(space):
    mask = ones()
    mask[1][:3] = 0  # command 1 has only these three
    with pytest.raises(ValueError, match="allows command 1, but none of the 3 choices that head 1"):
        space.sample(mask=mask)
    mask[0][1] = 0
    assert space.sample(mask=mask)[0] != 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mask: {"mask": mask, "probability": mask}, "not both"),
        (lambda mask: {"mask": mask[:2]}, "tuple of 3 arrays"),
        (lambda mask: {"mask": (mask[0], mask[2], mask[1])}, r"mask\[1\] has shape"),
        (lambda mask: {"mask": (mask[0] * 2, *mask[1:])}, "zeros and ones"),
        (lambda mask: {"mask": (mask[0] * 0, *mask[1:])}, "allows no command"),
        (lambda mask: {"probability": mask}, "sums to 4"),
        (lambda mask: {"probability": (-mask[0], *mask[1:])}, "non-negative"),
    ],
)
def test_malformed_masks_are_refused(space, change, message):
    with pytest.raises(ValueError, match=message):
        space.sample(**change(ones()))


def test_canonical_clears_irrelevant_heads_and_wraps_the_others(space):
    given = np.array([[0, 6, 4], [1, 5, 4], [2, 6, 4], [3, 6, 3]])
    wanted = [[0, 0, 0], [1, 2, 0], [2, 6, 4], [3, 0, 1]]
    before = given.copy()
    assert space.canonical(given).tolist() == wanted
    assert (given == before).all()
    assert space.canonical(given.reshape(2, 1, 2, 3)[..., :1, :]).shape == (2, 1, 1, 3)
    assert space.canonical(given[1]).tolist() == wanted[1]
    assert space.canonical([1, -1, 0]).tolist() == [1, 2, 0]


def test_canonical_is_a_projection_onto_what_sample_draws(space):
    plain = MultiDiscrete(NVEC, seed=0)
    actions = np.array([plain.sample() for _ in range(200)])
    once = space.canonical(actions)
    assert (space.canonical(once) == once).all()
    samples = np.array([space.sample() for _ in range(200)])
    assert (space.canonical(samples) == samples).all()


@pytest.mark.parametrize("action", [[4, 0, 0], [-1, 0, 0], [0, 0], [0.0, 1.0, 2.0]])
def test_canonical_refuses_what_is_no_action(space, action):
    with pytest.raises(ValueError, match=r"Commands must lie|must be integers"):
        space.canonical(action)


def test_equality_needs_the_same_table(space):
    assert space == ConditionalMultiDiscrete(NVEC, SIZES)
    assert space != ConditionalMultiDiscrete(NVEC, [[0, 0], [2, 0], [7, 5], [0, 2]])
    assert space != MultiDiscrete(NVEC)
    assert MultiDiscrete(NVEC) != space
    assert eval(repr(space), {"ConditionalMultiDiscrete": ConditionalMultiDiscrete}) == space


@pytest.mark.parametrize(
    ("nvec", "sizes", "message"),
    [
        ([3, 4], [[0, 0], [4, 0], [4, 0]], "needs \\(3, 1\\)"),
        ([2, 4], [[0], [5]], "must lie between 0"),
        ([2, 4], [[0], [-1]], "must lie between 0"),
        ([2], [[], []], "at least one argument head"),
        ([2, 4], [[0.0], [1.0]], "must be integers"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(nvec, sizes, message):
    with pytest.raises(ValueError, match=message):
        ConditionalMultiDiscrete(nvec, sizes)


def test_batches_as_a_multidiscrete_does(space):
    batched = batch_space(space, 3)
    assert isinstance(batched, Box)
    assert batched.shape == (3, 3)
    actions = np.array([space.sample() for _ in range(3)])
    assert batched.contains(actions)
    assert all(space.contains(action) for action in iterate(batched, batched.sample()))
