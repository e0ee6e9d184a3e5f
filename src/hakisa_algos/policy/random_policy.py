"""A policy that draws its actions evenly: what every agent is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from hakisa_algos.policy.heads import ActionLayout, Segments, random_choice
from hakisa_algos.policy.observations import Observation, ObservationLayout, split_mask
from hakisa_algos.policy.policy import Decision, FeedForward, State


class RandomPolicy(FeedForward):
    """See :class:`hakisa_algos.policy.policy.Policy`; it draws by the action space's generator, with masks by its own.

    Args:
        observation_space: of the env.
        action_space: of the env, any.
        masked: observations carry action masks; the space is then one that has them.
    """

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], masked: bool = False
    ) -> None:
        self._segments = Segments(ActionLayout.of(action_space)) if masked else None
        size = 0 if self._segments is None else self._segments.layout.choices
        self.observation = ObservationLayout(observation_space, size)
        self.version = 0
        self._action_space = action_space
        self._generator = torch.Generator()

    def seed(self, seed: int) -> None:
        """What it draws from now on depends on ``seed`` alone."""
        self._action_space.seed(seed % 2**32)
        self._generator.manual_seed(seed)

    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        """Any actions that are allowed, command before arguments, each as likely as the others."""
        _, mask = split_mask(observation)
        if self._segments is not None and mask is not None:
            choice = random_choice(self._segments.spread(mask, False), self._generator)
            return Decision(self._segments.decode(choice))
        batch = len(next(iter(observation.values())) if isinstance(observation, dict) else observation)
        return Decision(torch.as_tensor(np.stack([np.asarray(self._action_space.sample()) for _ in range(batch)])))
