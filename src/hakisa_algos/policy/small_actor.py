"""Acting with small networks on the CPU: for a few rows a call of torch costs many times its arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hakisa_algos.policy.heads import NEVER, ActionHeads
from hakisa_algos.policy.memory import Memory
from hakisa_algos.policy.networks import MLP, MLPPair, Tanh

Array = np.ndarray
Layer = tuple[Array, Array]  # weight [inputs, outputs], bias

# Multiply-adds above which NumPy's OpenBLAS starts threads of its own, whatever torch was told.
_ONE_THREAD = 2**18


class SmallActor:
    """Draws actions with an MLP, or the first of a pair, a memory and the heads, in NumPy.

    It reads the weights where they lie, so there is nothing to keep up to date.

    Args:
        trunk: on the CPU, in float32.
        memory: on the CPU.
        heads: on the CPU.
    """

    def __init__(self, trunk: MLP | MLPPair, memory: Memory | None, heads: ActionHeads) -> None:
        activation = trunk.activation
        assert isinstance(activation, Tanh | nn.ReLU | nn.Identity)
        self._tanh = isinstance(activation, Tanh)
        self._kind = None if memory is None else memory.kind
        # Weight and bias of each layer in turn; of a pair, [2, inputs, outputs] and [2, 1, outputs].
        self._parameters: list[Tensor] = [parameter for layer in trunk.linear for parameter in layer]
        if memory is not None:
            own = dict(memory.cell.named_parameters())
            self._parameters += [own[f"{kind}_{part}_l0"] for part in ("ih", "hh") for kind in ("weight", "bias")]
        self._parameters += [heads.linear.weight, heads.linear.bias]
        self._layout = layout = heads.layout
        self._start = np.array(layout.start)
        self._segment = np.array(layout.segment)
        self._pad_index = heads.pad_index.numpy() if heads.padded else None
        self._addresses: list[int] = []
        self._layers: list[Layer] = []

    def __getstate__(self) -> dict[str, Any]:
        """Without the views, which would be copies in a copy."""
        return self.__dict__ | {"_addresses": [], "_layers": []}

    def act(
        self, observation: Array, noise: Array, state: dict[str, Tensor], mask: Array | None = None
    ) -> tuple[Array, dict[str, Tensor]]:
        """Actions ``[batch, *shape]`` for observations ``[batch, *shape]``, and the state after ``state``.

        They are of those that are allowed by ``mask``, bool ``[batch, sum(sizes)]``.

        Those that :meth:`hakisa_algos.policy.heads.ActionDistribution.draw` draws with the same ``noise``
        ``[batch, segments, widest]``, but for rounding: it takes the largest p / noise, here is its logarithm.
        """
        n = len(observation)
        logits, state = self.logits(observation, state)
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
        return action, state

    def logits(self, observation: Array, state: dict[str, Tensor]) -> tuple[Array, dict[str, Tensor]]:
        """Of all segments, ``[batch, sum(sizes)]``, and the state after ``state``."""
        *hidden, (weight, bias) = self._weights()
        cell = [hidden.pop() for _ in range(2)] if self._kind else []  # of the state, of the features
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
        if self._kind:
            after = _STEPS[self._kind](features, {k: v.numpy() for k, v in state.items()}, *cell)
            features, state = after["h"], {name: torch.from_numpy(entries) for name, entries in after.items()}
        logits = _product(features, weight)
        logits += bias
        return logits, state

    def _weights(self) -> list[Layer]:
        """Weight ``[inputs, outputs]`` and bias of each layer: views."""
        addresses = [parameter.data_ptr() for parameter in self._parameters]
        if addresses != self._addresses:  # moved, or this is a copy
            arrays = [parameter.detach().numpy() for parameter in self._parameters]
            layers = zip(arrays[0::2], arrays[1::2], strict=True)
            self._layers = [(w[0], b[0]) if w.ndim == 3 else (w.T, b) for w, b in layers]
            self._addresses = addresses
        return self._layers


def _lstm(features: Array, state: dict[str, Array], recurrent: Layer, inputs: Layer) -> dict[str, Array]:
    gates = _product(features, inputs[0])
    gates += _product(state["h"], recurrent[0])
    gates += inputs[1]
    gates += recurrent[1]
    width = gates.shape[1] // 4
    candidate = np.tanh(gates[:, 2 * width : 3 * width])
    gates = _sigmoid(gates)
    cell = gates[:, width : 2 * width] * state["c"]
    cell += gates[:, :width] * candidate
    return {"h": gates[:, 3 * width :] * np.tanh(cell), "c": cell}


def _gru(features: Array, state: dict[str, Array], recurrent: Layer, inputs: Layer) -> dict[str, Array]:
    given = _product(features, inputs[0])
    given += inputs[1]
    brought = _product(state["h"], recurrent[0])
    brought += recurrent[1]
    width = given.shape[1] // 3
    gates = _sigmoid(given[:, : 2 * width] + brought[:, : 2 * width])
    r, z = gates[:, :width], gates[:, width:]
    candidate = np.tanh(given[:, 2 * width :] + r * brought[:, 2 * width :])
    return {"h": candidate + z * (state["h"] - candidate)}


_STEPS = {"lstm": _lstm, "gru": _gru}


def _sigmoid(x: Array) -> Array:
    y: Array = np.tanh(x * np.float32(0.5))
    y += 1
    y *= np.float32(0.5)
    return y


def _product(a: Array, b: Array) -> Array:
    if len(a) * b.size < _ONE_THREAD:
        product: Array = a @ b
        return product
    return torch.mm(torch.from_numpy(a), torch.from_numpy(b)).numpy()
