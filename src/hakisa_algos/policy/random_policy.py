"""A policy that draws its actions evenly: what every agent is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from hakisa_algos.policy.observations import Observation, ObservationLayout
from hakisa_algos.policy.policy import Decision, FeedForward, State


class RandomPolicy(FeedForward):
    """See :class:`hakisa_algos.policy.policy.Policy`; it draws by the action space's own generator.

    Args:
        observation_space: of the env.
        action_space: of the env, any.
    """

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.observation = ObservationLayout(observation_space)
        self.version = 0
        self._action_space = action_space

    def seed(self, seed: int) -> None:
        """What it draws from now on depends on ``seed`` alone."""
        self._action_space.seed(seed % 2**32)

    def sample(self) -> Any:
        """One action."""
        return self._action_space.sample()

    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        """Any actions, each as likely as the others."""
        batch = len(next(iter(observation.values())) if isinstance(observation, dict) else observation)
        return Decision(torch.as_tensor(np.stack([np.asarray(self.sample()) for _ in range(batch)])))
