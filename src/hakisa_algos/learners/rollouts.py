"""What PPO and PQN have in common: they learn from one rollout, in shuffled minibatches, and then forget it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.returns import Array, successor_values
from hakisa_algos.data.rollout import Rollout
from hakisa_algos.learners.config import GradientConfig
from hakisa_algos.learners.gradient import NORMALIZER_ROWS
from hakisa_algos.policy.observations import Observation, join_observations, to_device


@dataclass(frozen=True)
class Outcome:
    """What a rollout brought, as the formulas of :mod:`hakisa_algos.data.returns` take it; each ``[rows, num_envs]``.

    Attributes:
        reward: scaled and clipped.
        value: what was expected of each row's observation.
        following: what is expected of the observation after it.
        terminated: the episode ended by its own rules.
        truncated: the episode was cut off.
        transition: the row is one.
    """

    reward: Array
    value: Array
    following: Array
    terminated: Array
    truncated: Array
    transition: Array

    @classmethod
    def of(cls, rollout: Rollout, policy: Any, config: GradientConfig, device: torch.device) -> Outcome:
        """Of a rollout with a column ``value``; ``policy`` has ``value(observation)``."""
        names = ("reward", "value", "terminated", "truncated", "transition")
        reward, value, terminated, truncated, transition = (rollout.column(name).numpy() for name in names)
        following, final = rollout.next_observation(), rollout.final_observations()
        if final is not None:  # all in one forward
            following = join_observations(following, final)
        expected = policy.value(to_device(following, device)).cpu().numpy()
        n = rollout.num_envs
        after = successor_values(value, expected[:n], truncated, expected[n:])
        return cls(config.shaped(reward), value, after, terminated, truncated, transition)


@dataclass(frozen=True, eq=False)
class Batch:
    """What the gradient steps of one update read: rows that are learned from, flat; each ``[batch, ...]``.

    Attributes:
        index: positions in the rollout, on the CPU.
        action: ``[batch, *action shape]``.
    """

    index: Tensor
    action: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Tensor | slice) -> Self:
        return type(self)(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def minibatches(self, epochs: int, size: int, generator: torch.Generator) -> Iterator[Self]:
        """All rows ``epochs`` times, each time in another order."""
        for _ in range(epochs):
            shuffled = self[torch.randperm(len(self), generator=generator)]
            for first in range(0, len(self), size):
                yield shuffled[first : first + size]


def learned_from(rollout: Rollout) -> Tensor:
    """Flat positions of the rows that are learned from."""
    return torch.from_numpy(np.flatnonzero(rollout.column("learned").numpy()))


def drawn_observations(rollout: Rollout, batch: Batch, generator: torch.Generator, device: torch.device) -> Observation:
    """A few, for the statistics of observations."""
    drawn = torch.randperm(len(batch), generator=generator)[:NORMALIZER_ROWS]
    return to_device(rollout.observation(batch.index[drawn]), device)
