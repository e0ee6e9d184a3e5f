"""A running mean and variance of observations, kept with the weights.

For pictures this is what makes a small bright ball on a wide grey field stand out: every pixel is measured against
its own past (see docs/speed.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hakisa_algos.policy.observations import Observation, is_picture
from hakisa_algos.policy.precision import compute_dtype


class RunningNormalizer(nn.Module):
    """Scales observations to zero mean and unit variance, entry by entry, and clips them.

    The statistics move only in :meth:`update`, which a learner calls between rollouts: within one rollout and its
    update every forward sees the same scaling, so that a ratio of probabilities starts at exactly 1.

    Args:
        shape: of one observation.
        picture: entries that hardly ever change count as if they had a deviation of 8 grey levels of 255, so that noise
            is not blown up.
        full: what entries are divided by until the first update; default 255 for pictures, else 1.
    """

    mean: Tensor
    var: Tensor
    count: Tensor
    _shift: Tensor
    _scale: Tensor

    def __init__(self, shape: tuple[int, ...], picture: bool = False, full: float | None = None) -> None:
        super().__init__()
        full = full or (255.0 if picture else 1.0)
        self._picture = picture
        self._floor, self._clip = (full * 8 / 255, 5.0) if picture else (1e-4, 10.0)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("var", torch.full(shape, full**2))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        # Derived, so not saved; laid out as the batch will be.
        self.register_buffer("_shift", self._laid_out(self.mean), persistent=False)
        self.register_buffer("_scale", self._laid_out(self.var), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, keys: module._derive())  # type: ignore[no-untyped-call]
        self._derive()

    def forward(self, observation: Tensor) -> Tensor:
        """``[batch, *shape]``, scaled, in the precision that the network computes in."""
        dtype = compute_dtype(observation.device)
        if self._picture:
            # Channels last is laid out while these may still be bytes: cheapest there, and the convolutions want it.
            observation = observation.contiguous(memory_format=torch.channels_last)
        if dtype == torch.bfloat16 and not (self._picture and observation.dtype == torch.uint8):
            dtype = torch.float32  # in bfloat16 bytes are exact, but not the entries of vectors and of float pictures
        scaled = observation.to(dtype, copy=True).sub_(self._shift.to(dtype)).mul_(self._scale.to(dtype))
        scaled.clamp_(-self._clip, self._clip)
        # Infinity must not vanish in the clip: times 0 it is NaN, which the learner finds.
        return scaled.add_(observation * 0) if observation.is_floating_point() else scaled

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
        self._derive()

    @torch.no_grad()
    def _derive(self) -> None:
        self._shift.copy_(self.mean)
        self._scale.copy_(1 / self.var.sqrt().clamp_min(self._floor))

    def _laid_out(self, entries: Tensor) -> Tensor:
        batch = entries.unsqueeze(0).clone()
        return batch.contiguous(memory_format=torch.channels_last) if self._picture else batch


class ObservationNormalizer(nn.Module):
    """A :class:`RunningNormalizer` per key of Dict observations, or one for a Box.

    Args:
        space: Box or Dict of Box.
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        super().__init__()
        keyed = dict(space.items()) if isinstance(space, spaces.Dict) else {"": space}
        self._keys = list(keyed)
        # By number, because a module's name may hold neither dots nor nothing.
        self.parts = nn.ModuleList(
            RunningNormalizer(box.shape or (), is_picture(box), 255.0 if box.dtype == np.uint8 else 1.0)
            for box in keyed.values()
        )

    def forward(self, observation: Observation) -> Observation:
        """Each ``[batch, *shape]``, scaled."""
        if not isinstance(observation, dict):
            scaled: Tensor = self.parts[0](observation)
            return scaled
        return {key: part(observation[key]) for key, part in zip(self._keys, self.parts, strict=True)}

    def update(self, observation: Observation) -> None:
        """Takes a batch of observations into the running statistics."""
        for key, part in zip(self._keys, self.parts, strict=True):
            assert isinstance(part, RunningNormalizer)
            part.update(observation[key] if isinstance(observation, dict) else observation)
