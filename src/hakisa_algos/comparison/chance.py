"""The player that draws its actions evenly: what every algorithm must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hakisa_algos.comparison.contestant import Watch
from hakisa_algos.comparison.plan import Job
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.policy.random_policy import RandomPolicy
from hakisa_algos.training.evaluate import Evaluation, evaluate


class RandomPlayer:
    """See :class:`hakisa_algos.comparison.contestant.Contestant`; there is nothing to train."""

    source = "draws every action evenly; not trained"
    steps = 0

    def __init__(self, job: Job) -> None:
        self._job = job
        self._options = dict(job.protocol.env_options)
        envs = make_envs(job.env, 1, self._options)
        self._policy = RandomPolicy(envs.single_observation_space, envs.single_action_space)
        envs.close()

    def train(self, watch: Watch) -> None:
        """Nothing to do."""

    def evaluate(self, episodes: int, *, seed: int, deterministic: bool, num_envs: int) -> Evaluation:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`; it draws either way."""
        self._policy.seed(seed)
        envs = make_envs(self._job.env, min(episodes, num_envs), self._options)
        try:
            return evaluate(self._policy, envs, episodes=episodes, seed=seed, deterministic=deterministic)
        finally:
            envs.close()

    def predict(self, observation: Any, state: Any = None, *, deterministic: bool = True) -> tuple[Any, Any]:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        return self._policy.sample(), state

    def identity(self) -> Mapping[str, Any]:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        return {"env": self._job.env, "env_options": self._options, "config": {}}

    def close(self) -> None:
        """Nothing is open."""
