"""An action space in which the first head says what is done, and so which other heads matter."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import MultiDiscrete
from gymnasium.spaces.space import MaskNDArray
from numpy.typing import ArrayLike, NDArray


class ConditionalMultiDiscrete(MultiDiscrete[np.int64]):
    """Actions ``(command, argument 1, argument 2, ...)`` whose arguments depend on the command.

    To anything that only knows `gymnasium.spaces.MultiDiscrete` this is one. It carries, on top, how many
    choices each argument has under each command, so that a policy which looks for ``sizes`` can leave
    irrelevant heads out of its log-probabilities, entropies and losses.

    Every point of the MultiDiscrete is a valid action: `canonical` says which one it stands for.

    Example:
        Six commands, of which one presses one of 12 keys and one clicks on a screen of 1920 x 1080::

            ConditionalMultiDiscrete([3, 1920, 1080], [[0, 0], [12, 0], [1920, 1080]])

    Attributes:
        nvec: int64 array ``[heads]``; ``nvec[0]`` is the number of commands.
        sizes: int64 array ``[commands, heads - 1]``. ``sizes[c, h - 1]`` is how many choices head ``h``
            has under command ``c``; 0 where the head is irrelevant. The command has no column.

    Args:
        nvec: Number of choices of each head, the command first.
        sizes: The table above; each entry at least 0 and at most the ``nvec`` of its head.
        seed: Seed, or generator, for `sample`.

    Raises:
        ValueError: If ``nvec`` is not one-dimensional or the table does not fit it.
    """

    sizes: NDArray[np.int64]

    def __init__(self, nvec: ArrayLike, sizes: ArrayLike, seed: int | np.random.Generator | None = None) -> None:
        counts = np.asarray(nvec)
        table = np.asarray(sizes)
        if counts.ndim != 1 or counts.size < 2:
            raise ValueError(f"nvec={nvec!r} must list the command head and at least one argument head.")
        if not (np.issubdtype(counts.dtype, np.integer) and np.issubdtype(table.dtype, np.integer)):
            raise ValueError(f"nvec and sizes must be integers, not {counts.dtype} and {table.dtype}.")
        expected = (int(counts[0]), counts.size - 1)
        if table.shape != expected:
            raise ValueError(
                f"sizes has shape {table.shape}, but nvec={counts.tolist()} needs {expected}: "
                "a row for every command and a column for every argument head (none for the command)."
            )
        if (table < 0).any() or (table > counts[1:]).any():
            raise ValueError(
                f"sizes={table.tolist()} must lie between 0 (irrelevant) and each head's own number of "
                f"choices, {counts[1:].tolist()}."
            )
        super().__init__(counts.astype(np.int64), np.int64, seed)
        self.sizes = table.astype(np.int64)

    def sample(
        self,
        mask: tuple[MaskNDArray, ...] | None = None,
        probability: tuple[MaskNDArray, ...] | None = None,
    ) -> NDArray[np.int64]:
        """Draw a command, then each argument that is relevant under it; irrelevant ones are 0.

        Args:
            mask: One array ``[nvec[h]]`` of zeros and ones per head: what may be drawn, uniformly.
            probability: One array ``[nvec[h]]`` per head that sums to 1. An argument's weights are
                renormalised over the choices that it has under the drawn command.

        Returns:
            int64 array ``[heads]``, which is its own `canonical` form.

        Raises:
            ValueError: If both are given, if one is malformed, or if a command that may be drawn has a
                relevant argument none of whose choices may be.
        """
        if mask is not None and probability is not None:
            raise ValueError("sample() takes a mask or a probability, not both.")
        action = np.zeros(len(self.nvec), dtype=np.int64)
        if mask is None and probability is None:
            action[0] = command = self.np_random.integers(self.nvec[0])
            sizes = self.sizes[command]
            action[1:] = self.np_random.integers(np.maximum(sizes, 1))
            return action
        weights = (
            self._head_weights(mask, "mask") if mask is not None else self._head_weights(probability, "probability")
        )
        action[0] = command = self.np_random.choice(self.nvec[0], p=weights[0] / weights[0].sum())
        for head, size in enumerate(self.sizes[command], start=1):
            if size:
                relevant = weights[head][:size]
                action[head] = self.np_random.choice(size, p=relevant / relevant.sum())
        return action

    def canonical(self, action: ArrayLike) -> NDArray[np.int64]:
        """Return the action that each given one stands for.

        Irrelevant arguments become 0 and an argument past its range wraps round (``% size``), so that
        nothing an agent chooses is silently dropped.

        Args:
            action: Integer array ``[..., heads]``. Commands must be in range; arguments may be anything.

        Returns:
            A new int64 array of the same shape.

        Raises:
            ValueError: If the last axis is not ``heads`` long, the array is not of integers, or a command
                is out of range.
        """
        given = np.asarray(action)
        if given.shape[-1:] != self.shape or not np.issubdtype(given.dtype, np.integer):
            raise ValueError(
                f"An action must be integers [..., {len(self.nvec)}]; got {given.dtype} {list(given.shape)}."
            )
        result = given.astype(np.int64)
        command = result[..., 0]
        if ((command < 0) | (command >= self.nvec[0])).any():
            raise ValueError(f"Commands must lie in [0, {self.nvec[0]}); got {np.unique(command).tolist()}.")
        # An irrelevant head counts as one with a single choice: anything modulo 1 is 0.
        result[..., 1:] %= np.maximum(self.sizes[command], 1)
        return result

    def _head_weights(self, given: Any, name: str) -> list[NDArray[np.float64]]:
        if not isinstance(given, tuple) or len(given) != len(self.nvec):
            raise ValueError(f"{name} must be a tuple of {len(self.nvec)} arrays, one per head.")
        weights = [np.asarray(head, dtype=np.float64) for head in given]
        for head, (weight, count) in enumerate(zip(weights, self.nvec, strict=True)):
            if weight.shape != (count,):
                raise ValueError(f"{name}[{head}] has shape {weight.shape}, head {head} needs ({count},).")
            in_range = np.isin(weight, (0, 1)).all() if name == "mask" else (weight >= 0).all()
            if not in_range:
                wanted = "zeros and ones" if name == "mask" else "non-negative"
                raise ValueError(f"{name}[{head}]={weight.tolist()} must be {wanted}.")
            if name == "probability" and not np.isclose(weight.sum(), 1):
                raise ValueError(f"probability[{head}] sums to {weight.sum():g}, not to 1.")
        if not weights[0].any():
            raise ValueError(f"{name}[0] allows no command.")
        # Checked before anything is drawn, so that a bad mask fails at once and not once in a while.
        for command in np.flatnonzero(weights[0]):
            for head, size in enumerate(self.sizes[command], start=1):
                if size and not weights[head][:size].any():
                    raise ValueError(
                        f"{name} allows command {command}, but none of the {size} choices that head {head} "
                        f"has under it: allow one of them, or forbid the command."
                    )
        return weights

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ConditionalMultiDiscrete)
            and super().__eq__(other)
            and bool(np.array_equal(self.sizes, other.sizes))
        )

    def __repr__(self) -> str:
        return f"ConditionalMultiDiscrete({self.nvec.tolist()}, sizes={self.sizes.tolist()})"
