"""Weights and optimizer as they were, so that a bad update can be taken back."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
