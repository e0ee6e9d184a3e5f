"""A network and its best action: what an evolved individual is."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.policy.heads import ActionHeads, ActionLayout
from hakisa_algos.policy.networks import width
from hakisa_algos.policy.observations import Observation, split_mask
from hakisa_algos.policy.policy import Decision, NetworkPolicy, State


class GreedyPolicy(NetworkPolicy):
    """Always takes the likeliest action that is allowed; see :class:`hakisa_algos.policy.policy.Policy`.

    Args:
        observation_space: Box or Dict of Box.
        action_space: Discrete, MultiDiscrete, MultiBinary, or a space with a ``sizes`` table.
        options: see :class:`hakisa_algos.policy.policy.NetworkPolicy`.
    """

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], **options: Any) -> None:
        super().__init__(observation_space, **options)
        self.heads = ActionHeads(ActionLayout.of(action_space), width(self.trunk))
        self.eval()

    @torch.inference_mode()
    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        """See :class:`hakisa_algos.policy.policy.Policy`; ``explore`` changes nothing."""
        observation, mask = split_mask(observation)
        action: Tensor = self.heads(self.trunk(observation), mask).mode()
        return Decision(action, {}, state)
