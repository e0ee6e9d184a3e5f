"""Networks that turn observations into features. Each has ``.features``, the width of what it returns.

A network of your own is a callable ``(observation_space) -> nn.Module`` whose module has ``.features`` and maps
a batch (a tensor, or a dict of tensors for a Dict space) to ``[batch, features]``. Pictures arrive channels first, as
uint8 0..255, or as floats where the policy normalises observations; those that the env gives as floats, as 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn import functional as F

from hakisa_algos.errors import ConfigError, did_you_mean
from hakisa_algos.policy.observations import is_picture
from hakisa_algos.policy.precision import compute_dtype

NetworkFactory = Callable[[spaces.Space[Any]], nn.Module]


class Tanh(nn.Module):
    """tanh by way of the logistic function, which torch computes several times as fast on a CPU (off by 2e-7)."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return torch.sigmoid(x + x) * 2 - 1


ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": Tanh, "relu": nn.ReLU}
NETWORKS = ("auto", "mlp", "nature", "small", "spatial")
# The least sides of pictures that the first two take; the third's map is then 4 x 4.
NATURE_SIDE, SMALL_SIDE, SPATIAL_SIDE = 36, 20, 32


def orthogonal(layer: nn.Linear | nn.Conv2d, gain: float = math.sqrt(2)) -> nn.Linear | nn.Conv2d:
    """``layer`` with orthogonal weights and zero bias (PPO's implementation detail 2)."""
    nn.init.orthogonal_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def width(network: nn.Module) -> int:
    """Width of what ``network`` returns.

    Raises:
        ConfigError: it does not say.
    """
    features = getattr(network, "features", None)
    if not isinstance(features, int):
        raise ConfigError(
            f"the network {type(network).__name__} has no integer attribute .features; set self.features to the "
            "width of its output"
        )
    return features


class MLP(nn.Module):
    """Fully connected layers over the flattened observation; uint8 is scaled to 0..1.

    Args:
        space: a Box of any shape.
        hidden_sizes: width of each layer. Wider learns harder tasks and costs time.
        activation: ``"tanh"`` or ``"relu"``.
    """

    def __init__(self, space: spaces.Box, hidden_sizes: Sequence[int] = (64, 64), activation: str = "tanh") -> None:
        super().__init__()
        widths = [int(np.prod(space.shape)), *hidden_sizes]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [orthogonal(nn.Linear(before, after)), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers)
        self.features = widths[-1]

    @property
    def linear(self) -> list[tuple[Tensor, Tensor]]:
        """Weight ``[outputs, inputs]`` and bias of each layer."""
        return [(layer.weight, layer.bias) for layer in self.layers if isinstance(layer, nn.Linear)]

    @property
    def activation(self) -> nn.Module:
        """After each layer."""
        return self.layers[1] if len(self.layers) else nn.Identity()

    def forward(self, observation: Tensor) -> Tensor:
        """``[batch, *shape]`` -> ``[batch, features]``."""
        features: Tensor = self.layers(flattened(observation))
        return features


class MLPPair(nn.Module):
    """Two MLPs of the same shape, side by side: a batched product per layer costs half the calls of two products.

    Args:
        first: whose weights to take; weights become ``[2, inputs, outputs]``, biases ``[2, 1, outputs]``.
        second: likewise.
    """

    def __init__(self, first: MLP, second: MLP) -> None:
        super().__init__()
        self.features = first.features
        pairs = list(zip(first.linear, second.linear, strict=True))
        self.weights = nn.ParameterList(torch.stack([a[0].detach().T, b[0].detach().T]) for a, b in pairs)
        self.biases = nn.ParameterList(torch.stack([a[1].detach()[None], b[1].detach()[None]]) for a, b in pairs)
        self.linear = list(zip(self.weights, self.biases, strict=True))  # reading a ParameterList takes its time
        self.activation = first.activation

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """``[batch, *shape]`` -> twice ``[batch, features]``."""
        features = flattened(observation).expand(2, -1, -1)
        for weight, bias in self.linear:
            features = self.activation(torch.baddbmm(bias, features, weight))
        first, second = features.unbind()
        return first, second


def flattened(observation: Tensor) -> Tensor:
    """``[batch, *shape]`` -> float32 ``[batch, entries]``; bytes are scaled to 0..1."""
    flat = observation.reshape(len(observation), -1).float()
    # Bytes that a normaliser has scaled are bytes no more.
    return flat * (1 / 255) if observation.dtype == torch.uint8 else flat


class CNN(nn.Module):
    """Convolutions, then one wide layer, over pictures ``[C, H, W]``, bytes scaled to 0..1.

    Args:
        space: a Box of pictures, channels first.
        convolutions: ``(filters, kernel, stride)`` of each layer.
        features: width of the last layer.
    """

    def __init__(self, space: spaces.Box, convolutions: Sequence[tuple[int, int, int]], features: int) -> None:
        super().__init__()
        channels = space.shape[0]
        layers: list[nn.Module] = []
        for filters, kernel, stride in convolutions:
            layers += [orthogonal(nn.Conv2d(channels, filters, kernel, stride)), nn.ReLU()]
            channels = filters
        self.convolutions = nn.Sequential(*layers)
        try:
            with torch.no_grad():
                width = self.convolutions(torch.zeros(1, *space.shape)).numel()
        except RuntimeError as error:
            height, width = space.shape[1:]
            fits = '"small" (from 20 x 20 up) or ' if min(height, width) >= SMALL_SIDE else ""
            raise ConfigError(
                f'pictures of {height} x {width} are too small for this network; use network={fits}"mlp", or leave it '
                'at "auto", which takes what fits'
            ) from error
        self.dense = nn.Sequential(orthogonal(nn.Linear(width, features)), nn.ReLU())
        self.features = features

    def forward(self, observation: Tensor) -> Tensor:
        """uint8 ``[batch, C, H, W]``, or floats that are scaled already -> ``[batch, features]``."""
        features: Tensor = self.dense(self.convolutions(scaled(observation)).flatten(1))
        return features


def scaled(picture: Tensor) -> Tensor:
    """Pictures ``[batch, C, H, W]`` for convolutions: bytes as 0..1; floats are scaled already."""
    if picture.dtype != torch.uint8:
        return picture
    # Straight to bfloat16 where that is what the convolutions compute in (0..255 is exact in it): a detour over float32
    # costs a quarter of the training step. Channels last, laid out while these are still bytes, takes a third off the
    # step in float32. In place, because fresh memory costs more than the product.
    laid_out = picture.contiguous(memory_format=torch.channels_last)
    return laid_out.to(compute_dtype(picture.device)).mul_(1 / 255)


def nature_cnn(space: spaces.Box) -> CNN:
    """The network of Mnih et al., Nature 2015: 32 8x8/4, 64 4x4/2, 64 3x3/1, then 512."""
    return CNN(space, [(32, 8, 4), (64, 4, 2), (64, 3, 1)], 512)


def small_cnn(space: spaces.Box) -> CNN:
    """About a tenth of the Nature network's work, for small pictures (42 x 42): 16 8x8/4, 32 4x4/2, then 256."""
    return CNN(space, [(16, 8, 4), (32, 4, 2)], 256)


class Residual(nn.Module):
    """A convolution whose result is added to what it saw: each place comes to know its neighbours.

    Args:
        filters: in and out.
        dropout: in ``train()`` mode, whole filters of the result are left out with this probability.
    """

    def __init__(self, filters: int, dropout: float) -> None:
        super().__init__()
        self.convolution = orthogonal(nn.Conv2d(filters, filters, 3, 1, 1))
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, filters, height, width]``, in and out."""
        seen: Tensor = self.dropout(torch.relu(self.convolution(x)))
        return x + seen


def first_of(logits: Tensor) -> Tensor:
    """The share of each place in being the first at which something is, if it is there with these probabilities.

    Unlike a softmax, it names one place where several are as good.

    Args:
        logits: of each place, ``[..., places]``, in their order.
    """
    nowhere_yet = F.logsigmoid(-logits).cumsum(-1).roll(1, -1)
    nowhere_yet[..., 0] = 0.0
    return (F.logsigmoid(logits) + nowhere_yet).exp()


class SpatialCNN(nn.Module):
    """For games in which one points at places: it says where something is, as other networks say what there is.

    Convolutions that keep a map of an eighth of the picture's sides, in which each place comes to know those around it;
    then some maps of attention over all places, each to the first that is to its liking (:func:`first_of`), in reading
    order or from the end. Of each, the logs of its sums over columns and rows are features, so that a head that chooses
    a column need only read them; and so is what there is at the places that are attended to.

    Args:
        space: a Box of pictures, channels first.
        filters: of each convolution.
        steps: over which each place comes to know others, to so many places' distance.
        maps: of attention, half of them from the end.
        dropout: of each step, where rows are imitated (see :class:`Residual`).
    """

    def __init__(
        self, space: spaces.Box, filters: int = 32, steps: int = 4, maps: int = 8, dropout: float = 0.1
    ) -> None:
        super().__init__()
        channels, height, width = space.shape
        if min(height, width) < SPATIAL_SIDE:
            fits = '"small" (from 20 x 20 up) or ' if min(height, width) >= SMALL_SIDE else ""
            raise ConfigError(
                f'pictures of {height} x {width} are too small for network="spatial", which takes {SPATIAL_SIDE} x '
                f'{SPATIAL_SIDE} and more; use network={fits}"mlp"'
            )
        layers: list[nn.Module] = []
        for wide in (filters // 2, filters, filters):
            layers += [orthogonal(nn.Conv2d(channels, wide, 3, 2, 1)), nn.ReLU()]
            channels = wide
        self.convolutions = nn.Sequential(*layers, *(Residual(filters, dropout) for _ in range(steps)))
        likes = orthogonal(nn.Conv2d(filters, maps, 1), 0.1)
        rows, columns = (-(-side // 8) for side in (height, width))
        # At first, that each place is as likely to be the first as the others are.
        nn.init.constant_(cast(Tensor, likes.bias), -math.log(rows * columns))
        self.attend = nn.Sequential(orthogonal(nn.Conv2d(filters, filters, 1)), nn.ReLU(), likes)
        self.features = maps * (rows + columns + filters)

    def forward(self, observation: Tensor) -> Tensor:
        """As :meth:`CNN.forward`."""
        seen = self.convolutions(scaled(observation))
        with torch.autocast(seen.device.type, enabled=False):  # a sharp map needs all digits
            seen = seen.float()
            logits = self.attend(seen).flatten(2)
            forwards, backwards = logits.chunk(2, 1)
            share = torch.cat([first_of(forwards), first_of(backwards.flip(2)).flip(2)], 1)
            share = share.view(*share.shape[:2], *seen.shape[2:])
            there = torch.einsum("bmhw,bchw->bmc", share, seen)
            where = [(share.sum(axis) + 1e-4).log() for axis in (2, 3)]
        return torch.cat([*where, there], 2).flatten(1)


class DictEncoder(nn.Module):
    """One encoder per key of a Dict space, side by side.

    Args:
        space: Dict of Box.
        encoder: makes the encoder of one key's Box.
    """

    def __init__(self, space: spaces.Dict, encoder: Callable[[spaces.Space[Any]], nn.Module]) -> None:
        super().__init__()
        # Keys become list positions, because a ModuleDict refuses names with dots.
        self.keys = list(space.keys())
        self.encoders = nn.ModuleList(encoder(space[key]) for key in self.keys)
        self.features = sum(width(module) for module in self.encoders)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """``{key: [batch, *shape]}`` -> ``[batch, features]``."""
        parts = [module(observation[key]) for key, module in zip(self.keys, self.encoders, strict=True)]
        return torch.cat(parts, 1)


def build_network(
    space: spaces.Space[Any],
    network: str | NetworkFactory = "auto",
    hidden_sizes: Sequence[int] = (64, 64),
    activation: str = "tanh",
) -> nn.Module:
    """The network for ``space``: a named one, or what a callable of the user's returns.

    Args:
        space: Box or Dict of Box, pictures channels first.
        network: ``"auto"`` (for pictures Nature's CNN, the small one below 36 x 36; an MLP below 20 x 20 and for the
            rest), ``"mlp"``, ``"nature"``, ``"small"``, ``"spatial"``, or a callable
            ``(space) -> nn.Module with .features``.
        hidden_sizes: of the MLP.
        activation: of the MLP.

    Raises:
        ConfigError: an unknown name, or pictures too small.
    """
    if callable(network):
        return network(space)
    if network not in NETWORKS:
        raise ConfigError(f"unknown network {network!r}.{did_you_mean(network, NETWORKS)}")
    if activation not in ACTIVATIONS:
        raise ConfigError(f"unknown activation {activation!r}.{did_you_mean(activation, list(ACTIVATIONS))}")

    def encoder(box: spaces.Space[Any]) -> nn.Module:
        assert isinstance(box, spaces.Box)  # ObservationLayout lets nothing else through
        side = min(box.shape[1:]) if is_picture(box) else 0
        if network == "mlp" or not side or (network == "auto" and side < SMALL_SIDE):
            return MLP(box, hidden_sizes, activation)
        if network == "spatial":
            return SpatialCNN(box)
        return small_cnn(box) if network == "small" or (network == "auto" and side < NATURE_SIDE) else nature_cnn(box)

    if isinstance(space, spaces.Dict):
        return DictEncoder(space, encoder)
    if network in ("nature", "small", "spatial") and not is_picture(space):
        raise ConfigError(
            f"network={network!r} needs uint8 pictures (or others of 36 x 36 and more with finite bounds, the same for "
            f'all entries), not {space}; use network="mlp"'
        )
    return encoder(space)
