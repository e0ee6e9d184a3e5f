"""What PPO and PQN have in common: they learn from one rollout, and then forget it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.collect import Rows
from hakisa_algos.data.returns import Array, successor_values
from hakisa_algos.data.rollout import Rollout
from hakisa_algos.learners.flat import FlatWeights
from hakisa_algos.learners.rollback import Snapshot
from hakisa_algos.policy.memory import keep_freed_memory
from hakisa_algos.policy.observations import Observation, join_observations, map_observation

# Rows of each rollout, drawn at random, that the observation statistics are taken from.
_NORMALIZER_ROWS = 256


@dataclass(frozen=True)
class Outcome:
    """What a rollout brought, as the formulas of :mod:`hakisa_algos.data.returns` take it; each ``[rows, num_envs]``.

    Attributes:
        reward: scaled and clipped.
        value: what was expected of each row's observation.
        following: what is expected of the observation after it.
        terminated: the episode ended by its own rules.
        truncated: the episode was cut off.
        valid: the row is a transition.
    """

    reward: Array
    value: Array
    following: Array
    terminated: Array
    truncated: Array
    valid: Array


class OnPolicy:
    """The part of a :class:`hakisa_algos.learners.learner.Learner` that does not depend on the loss.

    Args:
        policy: an ``nn.Module`` on ``device`` that acts, and values observations with ``value(observation)``.
        optimizer: makes the optimizer of the weights, which are one vector.
        config: the algorithm's.
        num_envs: columns of the rollouts.
        seed: of minibatches.
        device: where the policy lives.
    """

    def __init__(
        self,
        policy: Any,
        optimizer: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer],
        config: Any,
        num_envs: int,
        seed: int,
        device: torch.device,
    ) -> None:
        if device.type == "cpu":
            keep_freed_memory()
        self.policy = policy
        self.config = config
        self.num_envs = num_envs
        self.device = device
        self.generator = torch.Generator().manual_seed(seed)
        self.updates = 0
        self.learning_rate_scale = 1.0
        self._weights = FlatWeights(policy)
        self.optimizer = optimizer([self._weights.vector])
        self._snapshot = Snapshot(policy, self.optimizer)

    @property
    def need(self) -> Rows:
        """A rollout."""
        return Rows(self.config.n_steps)

    @property
    def capacity(self) -> int:
        """One rollout."""
        rows: int = self.config.n_steps
        return rows

    @property
    def remembered(self) -> int:
        """None: a rollout is used once."""
        return 0

    @property
    def keep_observations(self) -> bool:
        """Observations are what it learns from."""
        return True

    def _outcome(self, rollout: Rollout) -> Outcome:
        config = self.config
        names = ("reward", "value", "terminated", "truncated", "valid")
        reward, value, terminated, truncated, valid = (rollout.column(name).numpy() for name in names)
        reward = reward * np.float32(config.reward_scale)
        if config.reward_clip is not None:
            reward = reward.clip(-config.reward_clip, config.reward_clip)
        following, final = rollout.next_observation(), rollout.final_observations()
        if final is not None:  # all in one forward
            following = join_observations(following, final)
        expected = self.policy.value(self._to_device(following)).cpu().numpy()
        n = rollout.num_envs
        return Outcome(
            reward, value, successor_values(value, expected[:n], truncated, expected[n:]), terminated, truncated, valid
        )

    def _observation(self, rollout: Rollout, index: Tensor) -> Observation:
        return self._to_device(rollout.observation(index.cpu()))

    def _to_device(self, observation: Observation) -> Observation:
        moved: Observation = map_observation(lambda x: x.to(self.device, non_blocking=True), observation)
        return moved

    def _normalize(self, rollout: Rollout) -> None:
        if self.policy.normalizer is not None:
            valid = torch.from_numpy(np.flatnonzero(rollout.column("valid").numpy()))
            drawn = torch.randperm(len(valid), generator=self.generator)[:_NORMALIZER_ROWS]
            self.policy.normalizer.update(self._observation(rollout, valid[drawn]))

    def _not_finite(self, means: Mapping[str, float]) -> list[str]:
        wrong = [name for name, value in means.items() if not np.isfinite(value)]
        # An infinite observation is clipped to a finite one, but not before it is in the statistics.
        statistics = self.policy.normalizer.buffers() if self.policy.normalizer is not None else ()
        return wrong if all(bool(s.isfinite().all()) for s in statistics) else [*wrong, "observation statistics"]

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        return {
            "policy": dict(self.policy.state_dict()),
            "version": self.policy.version,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "updates": self.updates,
            "learning_rate_scale": self.learning_rate_scale,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        self.policy.load_state_dict(state["policy"])
        self.policy.version = state["version"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.updates = state["updates"]
        self.learning_rate_scale = state["learning_rate_scale"]
        self._snapshot = Snapshot(self.policy, self.optimizer)
