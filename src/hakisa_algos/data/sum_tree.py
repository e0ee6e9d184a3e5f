"""A tree of sums: draws an index in proportion to its value, in logarithmic time, a batch at once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

# Children of a node. On a batch NumPy's calls cost more than their work: of a million values, 32 are set three times as
# fast as in a binary tree and found 1.3 times as fast.
_FAN_OUT = 16


class SumTree:
    """``size`` values, all 0 at first, with the sums that drawing from them needs.

    An inner node is always computed from its children, never by adding differences, so that no rounding error builds
    up and the same values give the same tree to the last bit.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        # From the leaves to the root, each [nodes, children]; the children of the last nodes may be padded with 0.
        self._levels: list[np.ndarray] = []
        while not self._levels or size > 1:
            size = -(-size // _FAN_OUT)
            self._levels.append(np.zeros((size, _FAN_OUT)))

    @property
    def total(self) -> float:
        """Sum of all values."""
        return float(_sums(self._levels[-1])[0])

    @property
    def values(self) -> np.ndarray:
        """The values ``[size]``; a view, to read only."""
        return self._levels[0].reshape(-1)[: self.size]

    def set(self, index: np.ndarray, value: np.ndarray | float) -> None:
        """Sets the values at ``index`` ``[batch]``; where one is repeated the last counts."""
        self._levels[0].reshape(-1)[index] = value
        for children, nodes in pairwise(self._levels):
            index = index // _FAN_OUT
            nodes.reshape(-1)[index] = _sums(children[index])

    def replace(self, values: np.ndarray) -> None:
        """Sets all values ``[size]``."""
        self.values[:] = values
        for children, nodes in pairwise(self._levels):
            nodes.reshape(-1)[: len(children)] = _sums(children)

    def find(self, mass: np.ndarray) -> np.ndarray:
        """For each ``mass`` ``[batch]`` in 0..total, the index where the running sum of the values passes it.

        An index whose value is 0 is never found while :attr:`total` is greater than 0.
        """
        batch = np.arange(len(mass))
        node = np.zeros(len(mass), np.int64)
        running = np.zeros((len(mass), _FAN_OUT + 1))
        for level in reversed(self._levels):
            np.cumsum(level[node], 1, out=running[:, 1:])
            # Rounding may have carried a mass past the last value.
            mass = np.minimum(mass, np.nextafter(running[:, -1], 0))
            child = (running[:, 1:] <= mass[:, None]).sum(1)
            mass = mass - running[batch, child]
            node = node * _FAN_OUT + child
        return node


def _sums(children: np.ndarray) -> np.ndarray:
    sums: np.ndarray = children.sum(1)
    return sums
