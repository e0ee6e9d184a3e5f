"""A network and its best action: what an evolved individual is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from hakisa_algos.policy.heads import ActionHeads, ActionLayout
from hakisa_algos.policy.networks import NetworkFactory, build_network, width
from hakisa_algos.policy.observations import Observation, ObservationLayout
from hakisa_algos.policy.policy import Decision, State


class GreedyPolicy(nn.Module):
    """Always takes the likeliest action; see :class:`hakisa_algos.policy.policy.Policy`.

    Args:
        observation_space: Box or Dict of Box.
        action_space: Discrete, MultiDiscrete, MultiBinary, or a space with a ``sizes`` table.
        network: see :func:`hakisa_algos.policy.networks.build_network`.
        hidden_sizes: of an MLP.
        activation: of an MLP.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        network: str | NetworkFactory = "auto",
        hidden_sizes: Sequence[int] = (32,),
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.observation = ObservationLayout(observation_space)
        self.version = 0
        self.trunk = build_network(self.observation.space, network, hidden_sizes, activation)
        self.heads = ActionHeads(ActionLayout.of(action_space), width(self.trunk))

    @torch.inference_mode()
    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        """See :class:`hakisa_algos.policy.policy.Policy`; ``explore`` changes nothing."""
        action: Tensor = self.heads(self.trunk(observation)).mode()
        return Decision(action, {}, state)

    def initial_state(self, n: int) -> State:
        """See :class:`hakisa_algos.policy.policy.Policy`; a feed-forward net carries nothing."""
        return {}

    def begin(self, mask: Tensor, state: State) -> State:
        """See :class:`hakisa_algos.policy.policy.Policy`."""
        return state
