"""Acting with small networks on the CPU: for a few rows a call of torch costs many times its arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from hakisa_algos.policy.heads import NEVER, ActionHeads
from hakisa_algos.policy.networks import MLPPair, Tanh

Array = np.ndarray

# Multiply-adds above which NumPy's OpenBLAS starts threads of its own, whatever torch was told.
_ONE_THREAD = 2**18


class SmallActor:
    """Draws actions with the first MLP of a pair and the heads, in NumPy.

    It reads the weights where they lie, so there is nothing to keep up to date.

    Args:
        trunk: on the CPU, in float32.
        heads: on the CPU.
    """

    def __init__(self, trunk: MLPPair, heads: ActionHeads) -> None:
        self._parameters = [*trunk.weights, *trunk.biases, heads.linear.weight, heads.linear.bias]
        assert isinstance(trunk.activation, Tanh | nn.ReLU | nn.Identity)
        self._tanh = isinstance(trunk.activation, Tanh)
        self._layout = layout = heads.layout
        self._start = np.array(layout.start)
        self._segment = np.array(layout.segment)
        self._pad_index = heads.pad_index.numpy() if heads.padded else None
        self._addresses: list[int] = []
        self._layers: list[tuple[Array, Array]] = []

    def __getstate__(self) -> dict[str, Any]:
        """Without the views, which would be copies in a copy."""
        return self.__dict__ | {"_addresses": [], "_layers": []}

    def act(self, observation: Array, noise: Array, mask: Array | None = None) -> Array:
        """Actions ``[batch, *shape]`` for observations ``[batch, *shape]``, of those in bool ``[batch, sum(sizes)]``.

        Those that :meth:`hakisa_algos.policy.heads.ActionDistribution.draw` draws with the same ``noise``
        ``[batch, segments, widest]``, but for rounding: it takes the largest p / noise, here is its logarithm.
        """
        n = len(observation)
        logits = self.logits(observation)
        if mask is not None:
            logits[~mask] = NEVER
        if self._pad_index is not None:
            padded = np.full((n, logits.shape[1] + 1), NEVER, np.float32)
            padded[:, :-1] = logits
            logits = padded[:, self._pad_index]
        choice = (logits.reshape(noise.shape) - np.log(noise)).argmax(-1)
        if self._layout.conditional:
            with_irrelevant = np.zeros((n, choice.shape[1] + 1), choice.dtype)
            with_irrelevant[:, :-1] = choice
            choice = with_irrelevant[np.arange(n)[:, None], self._segment[choice[:, 0]]]
        action: Array = (choice + self._start).reshape(n, *self._layout.shape)
        return action

    def logits(self, observation: Array) -> Array:
        """Of all segments, ``[batch, sum(sizes)]``."""
        *hidden, (weight, bias) = self._weights()
        features = observation.reshape(len(observation), -1)
        if features.dtype != np.float32:
            features = features.astype(np.float32) * np.float32(1 / 255 if features.dtype == np.uint8 else 1)
        for w, b in hidden:
            features = _product(features, w)
            features += b
            if self._tanh:
                np.tanh(features, out=features)
            else:
                np.maximum(features, 0, out=features)
        logits = _product(features, weight)
        logits += bias
        return logits

    def _weights(self) -> list[tuple[Array, Array]]:
        """Weight ``[inputs, outputs]`` and bias of each layer: views."""
        addresses = [parameter.data_ptr() for parameter in self._parameters]
        if addresses != self._addresses:  # moved, or this is a copy
            *hidden, weight, bias = (parameter.detach().numpy() for parameter in self._parameters)
            half = len(hidden) // 2
            pairs = zip(hidden[:half], hidden[half:], strict=True)
            self._layers = [*((w[0], b[0]) for w, b in pairs), (weight.T, bias)]
            self._addresses = addresses
        return self._layers


def _product(a: Array, b: Array) -> Array:
    if len(a) * b.size < _ONE_THREAD:
        product: Array = a @ b
        return product
    return torch.mm(torch.from_numpy(a), torch.from_numpy(b)).numpy()
