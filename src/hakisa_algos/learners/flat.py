"""All weights of a module as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FlatWeights:
    """Moves the trainable weights of a module into one vector, of which they become views.

    Clipping and an optimizer step are then one call each instead of one per weight, which is most of what they cost
    a small network. The module's ``state_dict`` and ``load_state_dict`` work as before.

    Args:
        module: on its device already.

    Attributes:
        vector: what to give to the optimizer.
    """

    def __init__(self, module: nn.Module) -> None:
        self._weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.vector = nn.Parameter(torch.cat([weight.detach().flatten() for weight in self._weights]))
        self.vector.grad = self._gradient = torch.zeros_like(self.vector)
        sizes = [weight.numel() for weight in self._weights]
        parts = zip(
            self._weights, torch.split(self.vector.data, sizes), torch.split(self._gradient, sizes), strict=True
        )
        for weight, values, gradient in parts:
            weight.data, weight.grad = values.view_as(weight), gradient.view_as(weight)

    def differentiate(self, loss: Tensor, max_norm: float) -> Tensor:
        """Puts the gradient of ``loss``, scaled down to ``max_norm``, into ``vector.grad``; returns its norm before."""
        gradients = torch.autograd.grad(loss, self._weights, materialize_grads=True)
        torch.cat([gradient.flatten() for gradient in gradients], out=self._gradient)
        norm: Tensor = torch.linalg.vector_norm(self._gradient)
        self._gradient.mul_((max_norm / (norm + 1e-6)).clamp(max=1))
        return norm
