"""A binary tree of sums: draws an index in proportion to its value, in logarithmic time, a batch at once."""

from __future__ import annotations

import numpy as np


class SumTree:
    """``size`` values, all 0 at first, with the sums that drawing from them needs.

    An inner node is always computed from its two children, never by adding differences, so that no rounding error
    builds up and the same values give the same tree to the last bit.

    Args:
        size: number of values.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._depth = max(size - 1, 1).bit_length()
        self._first = 1 << self._depth  # where the leaves begin; the root is node 1
        self._nodes = np.zeros(2 * self._first)

    @property
    def total(self) -> float:
        """Sum of all values."""
        return float(self._nodes[1])

    @property
    def values(self) -> np.ndarray:
        """The values ``[size]``; a view, to read only."""
        return self._nodes[self._first : self._first + self.size]

    def set(self, index: np.ndarray, value: np.ndarray | float) -> None:
        """Sets the values at ``index`` ``[batch]``; where one is repeated the last counts."""
        nodes, node = self._nodes, index + self._first
        nodes[node] = value
        for _ in range(self._depth):
            node = node >> 1
            nodes[node] = nodes[2 * node] + nodes[2 * node + 1]

    def replace(self, values: np.ndarray) -> None:
        """Sets all values ``[size]``."""
        nodes, first = self._nodes, self._first
        nodes[first : first + self.size] = values
        while first > 1:
            nodes[first // 2 : first] = nodes[first : 2 * first : 2] + nodes[first + 1 : 2 * first : 2]
            first //= 2

    def find(self, mass: np.ndarray) -> np.ndarray:
        """For each ``mass`` ``[batch]`` in 0..total, the index where the running sum of the values passes it.

        An index whose value is 0 is never found while :attr:`total` is greater than 0.
        """
        nodes, mass = self._nodes, mass.copy()
        node = np.ones(len(mass), np.int64)
        for _ in range(self._depth):
            node = 2 * node
            left = nodes[node]
            # The second test catches a mass that rounding carried past the last value.
            right = (mass >= left) & (nodes[node + 1] > 0)
            mass -= left * right
            node += right
        return node - self._first
