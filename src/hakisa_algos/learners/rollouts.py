"""What PPO and PQN have in common: they learn from one rollout, in shuffled minibatches, and then forget it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.returns import Array, successor_values
from hakisa_algos.data.rollout import Rollout
from hakisa_algos.learners.chunks import ChunkedRollout
from hakisa_algos.learners.config import GradientConfig
from hakisa_algos.learners.gradient import NORMALIZER_ROWS
from hakisa_algos.policy.observations import Observation, join_observations, to_device
from hakisa_algos.policy.policy import Chunks, State, state_on


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
    def of(
        cls,
        rollout: Rollout,
        value_of: Callable[[Observation, State], Tensor],
        config: GradientConfig,
        device: torch.device,
    ) -> Outcome:
        """Of a rollout with a column ``value``; ``value_of`` says what is expected, in a state of the policy."""
        names = ("reward", "value", "terminated", "truncated", "transition")
        reward, value, terminated, truncated, transition = (rollout.column(name).numpy() for name in names)
        following, state = rollout.next_observation(), rollout.state(rollout.length)
        final = rollout.final_observations()
        if final is not None:  # all in one forward
            following, ends = join_observations(following, final), rollout.final_states()
            state = {name: torch.cat([entries, ends[name]]) for name, entries in state.items()}
        expected = value_of(to_device(following, device), state_on(device, state)).cpu().numpy()
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
        return self.index.shape[0]

    def __getitem__(self, rows: Tensor | slice) -> Self:
        return type(self)(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def shuffled(self, size: int, generator: torch.Generator) -> Iterator[Self]:
        """All rows once, in any order, ``size`` of them at a time."""
        shuffled = self[torch.randperm(len(self), generator=generator)]
        for first in range(0, len(self), size):
            yield shuffled[first : first + size]

    def in_chunks(
        self, chunked: ChunkedRollout, size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Self, Chunks]]:
        """All chunks once, in any order, about ``size`` rows of them at a time.

        Yields:
            The positions of all their rows; those rows of them that are learned from; and how they hang together.
        """
        place = torch.empty(int(self.index[-1]) + 1, dtype=torch.int64)
        place[self.index] = torch.arange(len(self))
        order = torch.randperm(len(chunked), generator=generator)
        for chosen in torch.split(order, max(1, size // chunked.length)):
            index, chunks = chunked.pick(chosen)
            wanted = chunked.learned(index)
            rows = index if wanted is None else index[wanted]
            if len(rows):
                yield index, self[place[rows]], replace(chunks, wanted=wanted)


def learned_from(rollout: Rollout) -> Tensor:
    """Flat positions of the rows that are learned from."""
    return torch.from_numpy(np.flatnonzero(rollout.column("learned").numpy()))


def drawn_observations(rollout: Rollout, batch: Batch, generator: torch.Generator, device: torch.device) -> Observation:
    """A few, for the statistics of observations."""
    drawn = torch.randperm(len(batch), generator=generator)[:NORMALIZER_ROWS]
    return to_device(rollout.observation(batch.index[drawn]), device)
