"""One forward pass of many networks of the same shape, each with its own weights and its own observation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hakisa_algos.policy.networks import CNN, MLP, DictEncoder, flattened
from hakisa_algos.policy.observations import Observation, map_observation, pick

# From all weights [n, weights of one network] and one input per network, [n, ...], to one output per network.
Forward = Callable[[Tensor, Any], Tensor]


def stacked(network: nn.Module, head: nn.Linear) -> Forward:
    """What computes ``head(network(observation))`` of many networks at once.

    Weights are vectors: the parameters of ``network``, then those of ``head``, each in the order of ``parameters()``.
    MLPs become batched matrix products, convolutions grouped ones; a network of the user's own is run once per
    individual.

    Args:
        network: of the right shape, for features; its weights do not matter.
        head: from features to logits.

    Returns:
        ``(weights [n, size], observations [n, ...]) -> logits [n, outputs]``.
    """
    spans = _Spans()
    trunk, last = _network(network, spans), _linear(head, spans)
    return lambda weights, observation: last(weights, trunk(weights, observation))


class _Spans:
    """Hands out the places of parameters in the vector of all weights, one after the other."""

    def __init__(self) -> None:
        self.end = 0

    def take(self, parameter: Tensor) -> slice:
        start, self.end = self.end, self.end + parameter.numel()
        return slice(start, self.end)


def _network(network: nn.Module, spans: _Spans) -> Forward:
    if isinstance(network, MLP):
        layers = _sequence(network.layers, spans)
        return lambda weights, observation: layers(weights, flattened(observation))
    if isinstance(network, CNN):
        return _cnn(network, spans)
    if isinstance(network, DictEncoder):
        encoders = [(key, _network(part, spans)) for key, part in zip(network.keys, network.encoders, strict=True)]
        return lambda weights, observation: torch.cat([f(weights, observation[key]) for key, f in encoders], 1)
    return _one_by_one(network, spans)


def _cnn(network: CNN, spans: _Spans) -> Forward:
    convolutions, dense = _sequence(network.convolutions, spans), _sequence(network.dense, spans)

    def forward(weights: Tensor, picture: Tensor) -> Tensor:
        scaled = picture.float().mul_(1 / 255) if picture.dtype == torch.uint8 else picture
        return dense(weights, convolutions(weights, scaled).flatten(1))

    return forward


def _sequence(layers: nn.Sequential, spans: _Spans) -> Forward:
    parts = [_layer(layer, spans) for layer in layers]

    def forward(weights: Tensor, x: Tensor) -> Tensor:
        for part in parts:
            x = part(weights, x)
        return x

    return forward


def _layer(layer: nn.Module, spans: _Spans) -> Forward:
    if isinstance(layer, nn.Linear):
        return _linear(layer, spans)
    if isinstance(layer, nn.Conv2d):
        return _convolution(layer, spans)
    return lambda weights, x: layer(x)  # an activation, the same for all


def _linear(layer: nn.Linear, spans: _Spans) -> Forward:
    """``[n, inputs]`` -> ``[n, outputs]``."""
    weight, bias = spans.take(layer.weight), spans.take(layer.bias)
    shape = layer.weight.shape

    def forward(weights: Tensor, x: Tensor) -> Tensor:
        # Rows times transposed matrices: matrices times columns take torch up to twenty times as long.
        matrices = weights[:, weight].view(-1, *shape).transpose(1, 2)
        return torch.baddbmm(weights[:, bias].unsqueeze(1), x.unsqueeze(1), matrices).squeeze(1)

    return forward


def _convolution(layer: nn.Conv2d, spans: _Spans) -> Forward:
    """``[n, channels, height, width]`` -> ``[n, filters, height, width]``: one group of channels per network."""
    weight, bias = spans.take(layer.weight), spans.take(layer.bias) if layer.bias is not None else None
    stride, shape = layer.stride, layer.weight.shape

    def forward(weights: Tensor, x: Tensor) -> Tensor:
        n = len(x)
        kernels = weights[:, weight].reshape(n * shape[0], *shape[1:])
        biases = None if bias is None else weights[:, bias].reshape(-1)
        y = nn.functional.conv2d(x.flatten(0, 1).unsqueeze(0), kernels, biases, stride, groups=n)
        return y.view(n, shape[0], *y.shape[2:])

    return forward


def _one_by_one(network: nn.Module, spans: _Spans) -> Forward:
    places = [(name, spans.take(parameter), parameter.shape) for name, parameter in network.named_parameters()]

    def forward(weights: Tensor, observation: Observation) -> Tensor:
        outputs = []
        for i, own in enumerate(weights):
            parameters = {name: own[place].view(shape) for name, place, shape in places}
            one = map_observation(lambda x: x.unsqueeze(0), pick(observation, i))
            outputs.append(torch.func.functional_call(network, parameters, (one,)))
        return torch.cat(outputs)

    return forward
