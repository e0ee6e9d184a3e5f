"""A lineage is an individual: the same weights from it in any process, whatever else was made before."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from gymnasium import spaces
from torch import nn

from hakisa_algos.learners.lineage import Genome, Mutation, birth, diversity, from_arrays, noise, to_arrays
from hakisa_algos.policy.greedy import GreedyPolicy

SPACE = spaces.Box(-1, 1, (4,), np.float32)
LINEAGE = (*birth(7), Mutation(2**62 + 5, 0.25), Mutation(3, 0.125, 0.1))
# Of the weights of LINEAGE. They are integers of Philox and rounded products of them, so no machine has others.
DIGEST = "322847929c455443c2561e25a2d279d7340a061b2818db75e94592c8413dccc2"


def genome(parents=4, **options):
    return Genome(GreedyPolicy(SPACE, spaces.Discrete(3), hidden_sizes=(10,), **options), parents)


def one_input(size):
    return np.zeros(size, np.int64)


def digest():
    return hashlib.sha256(genome().weights(LINEAGE).astype("<f4").tobytes()).hexdigest()


def test_the_weights_of_a_lineage_are_known():
    assert digest() == DIGEST


def test_another_process_makes_the_same():
    command = [sys.executable, "-c", "from tests.learners.test_lineage import digest; print(digest())"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == DIGEST, done.stderr


@pytest.mark.parametrize("parents", [1, 3, 100])
def test_what_is_kept_changes_nothing(parents):
    generator = np.random.default_rng(0)
    lineages = [birth(seed) for seed in range(4)]
    for seed in range(60):
        parent = lineages[generator.integers(len(lineages))]
        lineages.append((*parent, Mutation(seed, 0.1, float(generator.choice([0.2, 1.0])))))
    keeping = genome(parents)
    for i in generator.integers(len(lineages), size=200):
        fresh = genome().weights(lineages[i])
        assert keeping.weights(lineages[i]).tobytes() == fresh.tobytes()
    assert len(keeping._kept) <= parents


def test_a_child_of_a_kept_parent_costs_one_mutation(monkeypatch):
    made = []
    monkeypatch.setattr("hakisa_algos.learners.lineage.noise", lambda m, of: made.append(m) or noise(m, of))
    keeping = genome(parents=2)
    keeping.weights(LINEAGE)
    assert made == list(LINEAGE)
    child = (*LINEAGE[:-1], Mutation(99, 0.1))
    keeping.weights(child)
    keeping.weights(child)
    assert made == [*LINEAGE, child[-1]]


def test_noise_is_normal_enough():
    drawn = noise(Mutation(1, 5.0), one_input(200_000))
    assert drawn.dtype == np.float32
    assert abs(drawn.mean()) < 0.01
    assert drawn.std() == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(drawn) < 1) == pytest.approx(0.683, abs=0.02)
    assert np.abs(drawn).max() < 3.47
    assert not np.array_equal(drawn, noise(Mutation(2, 5.0), one_input(200_000)))


def test_a_share_reaches_so_many_weights_and_leaves_the_others_alone():
    drawn = noise(Mutation(1, 1.0, 0.1), one_input(100_000))
    assert np.mean(drawn != 0) == pytest.approx(0.1, abs=0.005)
    everything = noise(Mutation(1, 1.0), one_input(100_000))
    assert np.array_equal(drawn[drawn != 0], everything[drawn != 0])


def test_a_mutation_reaches_all_that_a_network_makes_of_a_few_inputs():
    inputs, each = 2_000, 50
    for share in (1.0, 0.2):
        mutation = Mutation(1, 1.0, share, inputs=0.3)
        reached = noise(mutation, np.repeat(np.arange(inputs), each)).reshape(inputs, each) != 0
        hit = reached.any(axis=1)
        assert hit.mean() == pytest.approx(0.3, abs=0.03)
        assert reached[hit].mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_inputs_are_columns_of_matrices_channels_of_filters_and_all_of_a_vector(share):
    pictures = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    policy = GreedyPolicy(pictures, spaces.Discrete(3), network="small", hidden_sizes=(10,))
    made = Genome(policy, 1)
    change = made.weights((*birth(1), Mutation(2, 1.0, share, 0.5))) - made.weights(birth(1))
    start, kinds = 0, set()
    for parameter in policy.parameters():
        own = change[start : start + parameter.numel()].reshape(parameter.shape) != 0
        start += parameter.numel()
        by_input = np.moveaxis(own, 1, 0).reshape(own.shape[1], -1) if own.ndim > 1 else own[None]
        hit = by_input.any(axis=1)
        assert by_input[hit].mean() == pytest.approx(share, abs=0.25) if hit.any() else not own.any()
        if len(hit) > 8:
            assert 0.2 < hit.mean() < 0.8
        kinds.add(own.ndim)
    assert kinds == {1, 2, 4}
    assert start == made.size


def test_a_replacing_mutation_forgets_what_it_reaches_and_keeps_the_rest():
    made = genome()
    small, large = (*birth(1), Mutation(2, 0.1)), (*birth(1), Mutation(2, 50.0))
    last = Mutation(3, 1.0, 0.5, replaces=True)
    after_small, after_large = made.weights((*small, last)), made.weights((*large, last))
    reached = noise(last, one_input(made.size)) != 0
    assert 0 < reached.sum() < made.size
    assert np.array_equal(after_small[reached], after_large[reached])
    assert np.array_equal(after_large[~reached], made.weights(large)[~reached])


def test_mutations_are_relative_to_each_layer():
    made = genome()
    before, after = made.weights(birth(1)).copy(), made.weights((*birth(1), Mutation(2, 0.5)))
    change = after - before
    first, second = slice(0, 40), slice(50, 80)  # 4 inputs, then 10
    assert np.sqrt(np.mean(change[first] ** 2)) == pytest.approx(0.5 * np.sqrt(2 / 4), rel=0.25)
    assert np.sqrt(np.mean(change[second] ** 2)) == pytest.approx(0.5 * np.sqrt(2 / 10), rel=0.25)
    assert not before[40:50].any()  # biases begin at 0 and change like the weights of their layer
    assert np.sqrt(np.mean(change[40:50] ** 2)) == pytest.approx(0.5 * np.sqrt(2 / 4), rel=0.6)


class Normed(nn.Module):
    def __init__(self, space):
        super().__init__()
        self.layer, self.norm, self.features = nn.Linear(4, 5), nn.LayerNorm(5), 5

    def forward(self, x):
        return self.norm(self.layer(x))


def test_a_network_of_ones_own_begins_with_its_own_vectors():
    weights = Genome(GreedyPolicy(SPACE, spaces.Discrete(3), network=Normed), 1).weights(birth(1))
    layer, norm = weights[:20], weights[25:30]
    assert layer.std() > 0.3
    assert norm.tolist() == [1] * 5


def test_diversity_counts_mutations_since_the_common_ancestor():
    a = (*birth(1), Mutation(2, 0.1))
    b = (*a, Mutation(3, 0.1))
    assert diversity([a, a]) == 0
    assert diversity([a]) == 0
    assert diversity([a, b]) == 0.5
    assert diversity([birth(1), birth(2)]) == 1
    assert diversity([(*a, Mutation(4, 0.1)), b]) == 1
    assert diversity([a, a, b]) == pytest.approx(1 / 3)


def test_lineages_survive_as_arrays():
    lineages = [LINEAGE, birth(2**63 - 1), (*birth(0), Mutation(1, 1 / 3, 2 / 3, 1 / 7, True))]
    assert from_arrays(to_arrays(lineages)) == lineages
