"""What ``VectorEnv.reset(seed=..., options={"reset_mask": ...})`` asks for, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Seeds = int | Sequence[int | None] | NDArray[np.integer[Any]] | None


def read_reset(
    num_envs: int, seed: Seeds, options: Mapping[str, Any] | None
) -> tuple[NDArray[np.bool_], list[int | None]]:
    """Say which columns are to be reset and with which seed.

    Gymnasium's `SyncVectorEnv` wants a seed for every column and ignores those of the others; ale-py's
    vector env wants one for each column that is reset. Both are understood here.

    Args:
        num_envs: Number of columns.
        seed: None (generators go on), an int (column ``i`` gets ``seed + i``, masked or not), or a list or
            array with an entry per column, or with an entry per column to be reset, in their order.
        options: May hold ``"reset_mask"``, bool array ``[num_envs]``; all columns without it.

    Returns:
        The mask, bool ``[num_envs]``, and a list of ``num_envs`` seeds, None where there is none to set.

    Raises:
        TypeError: If the mask is not a NumPy array of bools.
        ValueError: If the mask has another shape or resets nothing, or there are too many or too few
            seeds, or a negative one.
    """
    mask = np.ones(num_envs, dtype=np.bool_)
    if options is not None and "reset_mask" in options:
        given = options["reset_mask"]
        if not isinstance(given, np.ndarray) or given.dtype != np.bool_:
            kind = getattr(given, "dtype", type(given).__name__)
            raise TypeError(f"options['reset_mask'] must be a NumPy array of bool, got {kind}.")
        if given.shape != (num_envs,) or not given.any():
            raise ValueError(f"options['reset_mask'] must have shape ({num_envs},) and at least one True, got {given}.")
        mask = given.copy()

    seeds: list[int | None] = [None] * num_envs
    if isinstance(seed, int | np.integer):
        seeds = [int(seed) + column for column in range(num_envs)]
    elif seed is not None:
        columns = np.flatnonzero(mask)
        if len(seed) == num_envs:
            columns = np.arange(num_envs)
        elif len(seed) != len(columns):
            raise ValueError(
                f"Got {len(seed)} seeds: pass one per column ({num_envs}), or one per column that is "
                f"reset ({len(columns)})."
            )
        for column, value in zip(columns, seed, strict=True):
            seeds[column] = None if value is None else int(value)
    wanted = [value if reset else None for value, reset in zip(seeds, mask, strict=True)]
    if any(value is not None and value < 0 for value in wanted):
        raise ValueError(f"Seeds must not be negative, got {wanted}.")
    return mask, wanted
