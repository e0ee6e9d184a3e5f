"""Genomes as lineages of seeds (Such et al. 2017): what an individual is, told by its mutations from birth on."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

# Four 16-bit numbers: their mean and standard deviation.
_MEAN = 4 * (2**16 - 1) / 2
_DEVIATION = math.sqrt(4 * (2**32 - 1) / 12)


class Mutation(NamedTuple):
    """One step of a lineage.

    Attributes:
        seed: of the noise.
        scale: of the noise, relative to the scale of each layer.
        share: of the weights that it reaches, among those of the inputs that it reaches.
        inputs: share of each layer's inputs that it reaches.
        replaces: the noise takes the place of the weights that it reaches, instead of being added.
    """

    seed: int
    scale: float
    share: float = 1.0
    inputs: float = 1.0
    replaces: bool = False


# The first is the birth: noise on top of zero weights.
Lineage = tuple[Mutation, ...]


def birth(seed: int) -> Lineage:
    """A new individual."""
    return (Mutation(seed, 1.0),)


def noise(mutation: Mutation, input_of: np.ndarray) -> np.ndarray:
    """What a mutation does before it is scaled: float32, one for each weight, mean 0, deviation 1 where it reaches one.

    ``input_of`` numbers the input that each weight belongs to, from 0 on.

    The same on every machine: integers of NumPy's Philox, four of which are added up to one number that is normal
    enough (at most 3.5 deviations from 0). NumPy's own normal numbers are twice as slow, and go through logarithms
    that may be rounded in another way elsewhere.
    """
    generator = np.random.Philox(mutation.seed)
    size = len(input_of)
    drawn = generator.random_raw(size).astype("<u8", copy=False).view("<u2").reshape(4, size)
    result: np.ndarray = drawn.sum(0, dtype=np.int32).astype(np.float32)  # exact: below 2**24
    result -= np.float32(_MEAN)
    result *= np.float32(1 / _DEVIATION)
    if mutation.share < 1:
        result[generator.random_raw(size) >= np.uint64(mutation.share * 2**64)] = 0
    if mutation.inputs < 1:
        spared = generator.random_raw(int(input_of.max()) + 1) >= np.uint64(mutation.inputs * 2**64)
        result[spared[input_of]] = 0
    return result


class Genome:
    """Turns lineages into weights.

    Weights are float32 vectors of all parameters in the order of ``network.parameters()``. A layer's scale is
    ``sqrt(2 / inputs)`` (He et al. 2015), for its biases as well; these, and all other vectors, begin with the values
    that they have in ``network``. To mutations that reach a share of the inputs, a vector belongs to one more input.

    Args:
        network: whose weights are to be.
        parents: weights of so many individuals are kept, so that a child costs one addition.
    """

    def __init__(self, network: nn.Module, parents: int) -> None:
        scales, starts, born, inputs_of, numbered = [], [], [], [], 0
        for module in network.modules():
            own = list(module.parameters(recurse=False))
            matrices = [parameter for parameter in own if parameter.dim() > 1]
            inputs = matrices[0][0].numel() if matrices else 2  # a lone vector, such as a LayerNorm's: about 1
            for parameter in own:
                is_matrix = parameter.dim() > 1
                scales.append(np.full(parameter.numel(), math.sqrt(2 / inputs), np.float32))
                starts.append(np.zeros(parameter.numel(), np.float32) if is_matrix else _flat(parameter))
                born.append(np.full(parameter.numel(), is_matrix))
                own_inputs = _inputs(parameter)
                inputs_of.append(own_inputs + numbered)
                numbered += int(own_inputs.max()) + 1
        self._scale, self._start, self._born, self._input_of = (
            np.concatenate(parts) for parts in (scales, starts, born, inputs_of)
        )
        self._parents = parents
        self._kept: OrderedDict[Lineage, np.ndarray] = OrderedDict()
        self._last: tuple[Lineage, np.ndarray] | None = None

    @property
    def size(self) -> int:
        """Weights of an individual."""
        return len(self._scale)

    def weights(self, lineage: Lineage) -> np.ndarray:
        """The weights of an individual, float32 ``[size]``; not to be written to."""
        if self._last is None or self._last[0] != lineage:
            self._last = lineage, self._mutated(self._parent(lineage[:-1]), lineage[-1], len(lineage) == 1)
        return self._last[1]

    def _parent(self, lineage: Lineage) -> np.ndarray:
        """Kept, or made from its nearest ancestor that is."""
        known = len(lineage)
        while known and lineage[:known] not in self._kept:
            known -= 1
        weights = self._kept[lineage[:known]] if known else self._start
        for i in range(known, len(lineage)):
            weights = self._mutated(weights, lineage[i], i == 0)
        if lineage:
            self._kept[lineage] = weights
            self._kept.move_to_end(lineage)
            if len(self._kept) > self._parents:
                self._kept.popitem(last=False)
        return weights

    def _mutated(self, weights: np.ndarray, mutation: Mutation, is_birth: bool) -> np.ndarray:
        change = noise(mutation, self._input_of)
        change *= self._scale * np.float32(mutation.scale)
        if mutation.replaces:
            return np.where(change != 0, change, weights)
        if is_birth:
            change *= self._born
        change += weights
        return change


def diversity(lineages: Sequence[Lineage]) -> float:
    """How far apart individuals are: the mean, over all pairs, of the mutations since their last common ancestor.

    0 where all are the same; the mutations of both are averaged.
    """
    apart = []
    for i, first in enumerate(lineages):
        for second in lineages[i + 1 :]:
            shared = next((k for k, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
            shared = min(len(first), len(second)) if shared is None else shared
            apart.append((len(first) + len(second)) / 2 - shared)
    return sum(apart) / len(apart) if apart else 0.0


def to_arrays(lineages: Sequence[Lineage]) -> dict[str, np.ndarray]:
    """Lineages as a checkpoint holds them."""
    mutations = [mutation for lineage in lineages for mutation in lineage]
    return {
        "lengths": np.array([len(lineage) for lineage in lineages], np.int64),
        "seeds": np.array([mutation.seed for mutation in mutations], np.uint64),
        "scales": np.array([mutation.scale for mutation in mutations], np.float64),
        "shares": np.array([mutation.share for mutation in mutations], np.float64),
        "inputs": np.array([mutation.inputs for mutation in mutations], np.float64),
        "replaces": np.array([mutation.replaces for mutation in mutations], bool),
    }


def from_arrays(arrays: Mapping[str, Any]) -> list[Lineage]:
    """What :func:`to_arrays` stored."""
    columns = (arrays[name].tolist() for name in ("seeds", "scales", "shares", "inputs", "replaces"))
    mutations = iter([Mutation(*row) for row in zip(*columns, strict=True)])
    return [tuple(next(mutations) for _ in range(length)) for length in arrays["lengths"].tolist()]


def _inputs(parameter: nn.Parameter) -> np.ndarray:
    """Which input each weight belongs to, from 0 on: ``[outputs, inputs, ...]`` flattened; one for a vector."""
    if parameter.dim() < 2:
        return np.zeros(parameter.numel(), np.int64)
    outputs, inputs, *kernel = parameter.shape
    return np.tile(np.repeat(np.arange(inputs), math.prod(kernel)), outputs)


def _flat(parameter: nn.Parameter) -> np.ndarray:
    flat: np.ndarray = parameter.detach().cpu().numpy().astype(np.float32).reshape(-1)
    return flat
