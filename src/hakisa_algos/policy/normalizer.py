"""A running mean and variance of observations, kept with the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RunningNormalizer(nn.Module):
    """Scales observations to zero mean and unit variance, clipped to +-10.

    The statistics move only in :meth:`update`, which a learner calls between rollouts: within one rollout and
    its update every forward sees the same scaling, so that a ratio of probabilities starts at exactly 1.

    Args:
        shape: of one observation.
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("var", torch.ones(shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, observation: Tensor) -> Tensor:
        """``[batch, *shape]``, scaled."""
        return ((observation - self.mean) / torch.sqrt(self.var + 1e-8)).clamp(-10, 10)

    @torch.no_grad()
    def update(self, observation: Tensor) -> None:
        """Takes ``[batch, *shape]`` into the statistics (Chan et al.'s parallel variance)."""
        batch = observation.float()
        n = len(batch)
        total = self.count + n
        delta = batch.mean(0) - self.mean
        share = (n / total).float()
        self.var.mul_(1 - share).add_(batch.var(0, unbiased=False) * share + delta.square() * share * (1 - share))
        self.mean.add_(delta * share)
        self.count.copy_(total)
