"""Weights and optimizer as they were, so that a bad update can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from hakisa_algos.errors import NonFiniteError


class Snapshot:
    """A copy, in memory taken once, of all tensors of a module and its optimizer.

    Args:
        module: whose parameters and buffers to keep.
        optimizer: whose state to keep.
    """

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._module = module
        self._optimizer = optimizer
        self._copies: list[Tensor] = []
        self._fresh = True

    @torch.no_grad()
    def take(self) -> None:
        """Keeps the present values."""
        live = self._live()
        if len(live) != len(self._copies):  # an optimizer has no state before its first step
            self._copies = [tensor.clone() for tensor in live]
        else:
            torch._foreach_copy_(self._copies, live)
        self._fresh = not self._optimizer.state

    @torch.no_grad()
    def restore(self) -> None:
        """Puts the kept values back."""
        if self._fresh:
            self._optimizer.state.clear()
        torch._foreach_copy_(self._live(), self._copies)

    def _live(self) -> list[Tensor]:
        weights = [*self._module.parameters(), *self._module.buffers()]
        state = [v for entry in self._optimizer.state.values() for v in entry.values() if isinstance(v, Tensor)]
        return [*(w.data for w in weights), *state]


def not_finite(update: int, wrong: Sequence[str], arrays: Mapping[str, Tensor]) -> NonFiniteError:
    """What to raise after :meth:`Snapshot.restore`.

    Args:
        update: which one was taken back.
        wrong: names of what became NaN or infinite.
        arrays: the batch, for the crash file.
    """
    return NonFiniteError(
        f"update {update}: {', '.join(wrong)} became NaN or infinite. The weights are as they were before it. Look for "
        "NaN in rewards and observations, or lower learning_rate",
        {name: tensor.cpu().numpy() for name, tensor in arrays.items()},
    )
