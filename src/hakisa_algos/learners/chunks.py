"""A rollout as a policy with memory learns from it: cut into chunks of rows that follow one another.

The policy's state is known at the first row of each chunk, as it was when the policy acted there. Nothing is learnt
across the join of two chunks: gradients end there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hakisa_algos.data.rollout import Rollout
from hakisa_algos.policy.observations import Observation, to_device
from hakisa_algos.policy.policy import Chunks, State, state_on


class ChunkedRollout:
    """Chunks of ``length`` rows of one column each, numbered in the order of their first rows.

    Args:
        rollout: collected by ``Rows(n, length)``.
        length: rows in a chunk; the rollout has a multiple of it.
        device: where the policy lives.
    """

    def __init__(self, rollout: Rollout, length: int, device: torch.device) -> None:
        self._rollout, self.length, self._device = rollout, length, device
        self._firsts = range(0, rollout.length, length)
        chunk = torch.arange(len(self))
        first, column = chunk // rollout.num_envs * length, chunk % rollout.num_envs
        # Each [length, chunks].
        self._position = (first + torch.arange(length).unsqueeze(1)) * rollout.num_envs + column
        self._start = (rollout.column("age") == 0).flatten()[self._position].to(device)
        self._learned = rollout.column("learned").flatten()
        self._keep([rollout.state(row) for row in self._firsts])

    def __len__(self) -> int:
        return len(self._firsts) * self._rollout.num_envs

    def _keep(self, states: list[State]) -> None:
        self._states = {name: torch.cat([state[name] for state in states]).to(self._device) for name in states[0]}

    def pick(self, chosen: Tensor) -> tuple[Tensor, Chunks]:
        """Some chunks, all their rows, time first.

        Args:
            chosen: their numbers, ``[batch]``.

        Returns:
            The flat positions of their rows in the rollout, ``[length * batch]``, and how these hang together.
        """
        there = chosen.to(self._device)
        state = {name: entries[there] for name, entries in self._states.items()}
        return self._position[:, chosen].flatten(), Chunks(state, self._start[:, there])

    def whole(self) -> tuple[Tensor, Chunks]:
        """All chunks; see :meth:`pick`."""
        return self.pick(torch.arange(len(self)))

    def learned(self, index: Tensor) -> Tensor | None:
        """Which of the rows at ``index`` are learned from; None: all."""
        learned = self._learned[index]
        return None if learned.all() else torch.nonzero(learned).squeeze(1)

    def refresh(self, remember: Callable[[Observation, Chunks], State]) -> None:
        """Computes the states anew, from the first ones on.

        Args:
            remember: the state after the last of the rows that are given.
        """
        n, states = self._rollout.num_envs, [state_on(self._device, self._rollout.state(0))]
        for number in range(len(self._firsts) - 1):
            index, chunks = self.pick(torch.arange(number * n, (number + 1) * n))
            observation = to_device(self._rollout.observation(index), self._device)
            states.append(remember(observation, Chunks(states[-1], chunks.start)))
        self._keep(states)
