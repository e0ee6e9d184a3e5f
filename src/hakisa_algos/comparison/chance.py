"""The player that draws its actions evenly: what every algorithm must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.comparison.contestant import Watch
from hakisa_algos.comparison.plan import Job
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.policy.observations import Observation, ObservationLayout
from hakisa_algos.policy.policy import Decision, State
from hakisa_algos.training.evaluate import Evaluation, evaluate


class RandomPlayer:
    """See :class:`hakisa_algos.comparison.contestant.Contestant`; there is nothing to train."""

    source = "draws every action evenly; not trained"
    steps = 0

    def __init__(self, job: Job) -> None:
        self._job = job
        self._options = dict(job.protocol.env_options)
        envs = make_envs(job.env, 1, self._options)
        self._policy = _Even(envs.single_observation_space, envs.single_action_space)
        envs.close()

    def train(self, watch: Watch) -> None:
        """Nothing to do."""

    def evaluate(self, episodes: int, *, seed: int, deterministic: bool, num_envs: int) -> Evaluation:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`; it draws either way."""
        self._policy.action_space.seed(seed % 2**32)
        envs = make_envs(self._job.env, min(episodes, num_envs), self._options)
        try:
            return evaluate(self._policy, envs, episodes=episodes, seed=seed, deterministic=deterministic)
        finally:
            envs.close()

    def predict(self, observation: Any, state: Any = None, *, deterministic: bool = True) -> tuple[Any, Any]:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        return self._policy.action_space.sample(), state

    def identity(self) -> Mapping[str, Any]:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        return {"env": self._job.env, "env_options": self._options, "config": {}}

    def close(self) -> None:
        """Nothing is open."""


class _Even:
    """See :class:`hakisa_algos.policy.policy.Policy`."""

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.observation = ObservationLayout(observation_space)
        self.action_space = action_space
        self.version = 0

    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        batch = len(next(iter(observation.values())) if isinstance(observation, dict) else observation)
        return Decision(torch.as_tensor(np.stack([np.asarray(self.action_space.sample()) for _ in range(batch)])))

    def initial_state(self, n: int) -> State:
        return {}

    def begin(self, mask: Tensor, state: State) -> State:
        return state
