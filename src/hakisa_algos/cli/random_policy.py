"""A policy that draws its actions evenly: what every agent is measured against."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.observations import Observation, ObservationLayout
from hakisa_algos.policy.policy import Decision, State


class RandomPolicy:
    """See :class:`hakisa_algos.policy.policy.Policy`.

    Args:
        observation_space: of the env.
        action_space: Discrete.
    """

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        if not isinstance(action_space, spaces.Discrete):
            raise ConfigError(f"RandomPolicy draws from a Discrete space, not from {action_space}")
        self.observation = ObservationLayout(observation_space)
        self.version = 0
        self._first, self._count = int(action_space.start), int(action_space.n)

    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        """Any action, each as likely as the others."""
        batch = len(next(iter(observation.values())) if isinstance(observation, dict) else observation)
        return Decision(self._first + torch.randint(self._count, (batch,), generator=generator))

    def initial_state(self, n: int) -> State:
        """Nothing."""
        return {}

    def begin(self, mask: Tensor, state: State) -> State:
        """Nothing."""
        return state
