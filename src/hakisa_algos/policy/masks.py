"""What an action mask is: bool, and flat over the choices of all segments of an action layout.

They come as the segments do: those of each head in turn; in conditional spaces the commands, and then, command by
command, those of each argument that has more than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.heads import ActionLayout, Segments

Array = np.ndarray


class MaskForm:
    """The masks of an action space.

    Args:
        space: of actions.

    Attributes:
        size: entries of a mask.

    Raises:
        ConfigError: the space is none that our heads act in.
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        self._space = space
        self._layout = ActionLayout.of(space)
        self._segments = Segments(self._layout)
        self._first = np.cumsum([0, *self._layout.size[:-1]])  # entry of each segment
        self._needs = np.array(self._layout.active)  # [commands, segments]
        self.size = self._layout.choices

    def flat(self, mask: Any, whose: str) -> Array:
        """One mask, bool ``[size]``.

        Args:
            mask: an array of any shape, a list, or a tuple of arrays, as Gymnasium's spaces take them.
            whose: it is, for the message.

        Raises:
            ConfigError: it does not fit the space.
        """
        try:
            parts = mask if isinstance(mask, list | tuple) else [mask]
            flat = np.concatenate([np.asarray(part).reshape(-1) for part in parts])
        except ValueError:  # of nothing, or nested unevenly
            flat = np.zeros(0)
        if flat.size == self.size and flat.dtype.kind in "biuf" and np.isin(flat, (0, 1)).all():
            entries: Array = flat == 1
            return entries
        order = "for each choice of each head, head after head"
        if self._layout.conditional:
            order = "for each command, then command by command for each choice of each argument that has several"
        found = f"has {flat.size} entries" if flat.size != self.size else f"is {flat.tolist()}"
        raise ConfigError(f"{whose} {found}; {self._space} needs {self.size} zeros and ones: one {order}")

    def closed(self, masks: Array) -> Array:
        """``masks`` without commands that have an argument of which nothing is allowed; all False if nothing is left.

        Args:
            masks: bool ``[n, size]``; changed.
        """
        some = np.logical_or.reduceat(masks, self._first, 1)  # [n, segments]
        if some.all():
            return masks
        possible = ~(~some @ self._needs.T)  # [n, commands], or [n, 1] where all heads are always needed
        if self._layout.conditional:
            masks[:, : len(self._needs)] &= possible
            possible = masks[:, : len(self._needs)].any(1, keepdims=True)
        masks &= possible
        return masks

    def an_action(self, masks: Array) -> Array:
        """An action that is allowed by each of ``masks``, which are closed, ``[n, *shape]``."""
        allowed = self._segments.spread(torch.from_numpy(masks), False)
        action: Array = self._segments.decode(allowed.int().argmax(-1)).numpy()
        return action

    def given(self, masks: Sequence[Any], n: int) -> Array:
        """Masks that somebody passes on, bool ``[n, size]``, closed.

        Args:
            masks: each as :meth:`flat` takes it, or None, which allows everything.
            n: how many there should be.

        Raises:
            ConfigError: there are not, or one does not fit the space, or allows nothing.
        """
        if not np.iterable(masks) or len(masks) != n:
            found = f"has {len(masks)} masks" if np.iterable(masks) else f"is {masks!r}"
            raise ConfigError(f"action_mask {found} for {n} observations; give one for each")
        rows = np.ones((n, self.size), bool)
        for row, mask in enumerate(masks):
            if mask is not None:
                rows[row] = self.flat(mask, f"action_mask of observation {row}" if n > 1 else "action_mask")
        rows = self.closed(rows)
        if not rows.any(1).all():
            row = int(rows.any(1).argmin())
            raise ConfigError(
                f"action_mask of observation {row} allows no action: {masks[row]!r}; allow one (with all of its "
                "arguments), or give None for it, where nothing is done, as when an episode is over"
            )
        return rows
