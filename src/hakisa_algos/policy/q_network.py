"""The policy of Q-learning: the best joint action, or with probability epsilon a random one."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from hakisa_algos.policy.heads import ActionLayout
from hakisa_algos.policy.networks import width
from hakisa_algos.policy.observations import Observation, split_mask
from hakisa_algos.policy.policy import Decision, NetworkPolicy, State
from hakisa_algos.policy.q_heads import QHeads, QValues


class QNetwork(NetworkPolicy):
    """A network that values actions; see :class:`hakisa_algos.policy.policy.Policy`.

    Args:
        observation_space: Box or Dict of Box.
        action_space: Discrete, MultiDiscrete, MultiBinary, or a space with a ``sizes`` table.
        dueling: see :class:`hakisa_algos.policy.q_heads.QHeads`.
        layer_norm: normalise after every layer of a named network; a network of your own stays as it is.
        keep_value: store the best value of each observation that is acted on, as column ``value``.
        options: see :class:`hakisa_algos.policy.policy.NetworkPolicy`.

    Attributes:
        epsilon: probability of a random choice while exploring; the learner sets it, and it travels with the weights.
    """

    epsilon: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        dueling: bool = False,
        layer_norm: bool = False,
        keep_value: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(observation_space, **options)
        self.keep_value = keep_value
        if layer_norm and not self.own_networks:
            insert_layer_norm(self.trunk)
        self.heads = QHeads(ActionLayout.of(action_space), width(self.trunk), dueling)
        self.register_buffer("epsilon", torch.tensor(1.0))
        self.eval()

    def forward(self, observation: Observation) -> QValues:
        """The values of all actions, and which of them are allowed."""
        observation, mask = split_mask(observation)
        with torch.autocast(self.epsilon.device.type, torch.bfloat16, enabled=self.bf16):
            if self.normalizer is not None:
                observation = self.normalizer(observation)
            features = self.trunk(observation)
        values: QValues = self.heads(features, mask)
        return values

    @torch.no_grad()  # in inference mode autocast would cast the weights in every step of a collection
    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        """See :class:`hakisa_algos.policy.policy.Policy`; ``explore`` is epsilon-greedy."""
        values = self(observation)
        if not explore:
            return Decision(values.greedy(), {}, state)
        extras = {"value": values.max()} if self.keep_value else {}
        return Decision(values.explore(self.epsilon, generator), extras, state)

    @torch.inference_mode()
    def value(self, observation: Observation) -> Tensor:
        """The value of the best action that is allowed, ``[batch]``."""
        values: QValues = self(observation)
        return values.max()


def insert_layer_norm(network: nn.Module) -> None:
    """Puts a LayerNorm after each linear layer and convolution of the Sequentials in ``network``.

    What lets Q-learning do without a target network (Gallici et al. 2024). Over a picture it is one mean and variance
    of all channels and places, which GroupNorm with one group computes for any size.
    """
    for name, child in network.named_children():
        if not isinstance(child, nn.Sequential):
            insert_layer_norm(child)
            continue
        layers: list[nn.Module] = []
        for layer in child:
            layers.append(layer)
            if isinstance(layer, nn.Linear):
                layers.append(nn.LayerNorm(layer.out_features))
            elif isinstance(layer, nn.Conv2d):
                layers.append(nn.GroupNorm(1, layer.out_channels))
        setattr(network, name, nn.Sequential(*layers))
