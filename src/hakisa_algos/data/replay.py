"""Draws transitions of one or several steps from the ring: uniformly, or by priority (Schaul et al. 2016)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.data.sum_tree import SumTree
from hakisa_algos.policy.observations import Observation, join_observations, keyed, map_observation

# Keeps a transition whose error is 0 from never being drawn again.
_SMALLEST_PRIORITY = 1e-6
# Only rows that are no transitions are drawn in vain: one after each episode, or those of a reset in real time.
_MOST_REDRAWS = 1000


Source = RolloutBuffer | StoredRows


@dataclass(frozen=True, eq=False)
class Transitions:
    """A batch of transitions over up to ``n`` steps.

    Attributes:
        observation: before the first step, ``[batch, ...]``.
        action: the first, ``[batch, *action shape]``.
        reward: raw, of each step, 0 past the last one, ``[batch, n]``.
        steps: how many there are, 1 to n, ``[batch]``.
        next_observation: after the last step; meaningless where ``terminated``.
        terminated: the episode ended for good in the last step, bool ``[batch]``.
        weight: importance weight, at most 1, ``[batch]``.
        position: ``row * num_envs + env`` of the first step, ``[batch]``; -1 in :class:`Sources` if not of the ring.
    """

    observation: Observation
    action: Tensor
    reward: Tensor
    steps: Tensor
    next_observation: Observation
    terminated: Tensor
    weight: Tensor
    position: Tensor

    def __len__(self) -> int:
        return len(self.steps)

    def to(self, device: torch.device) -> Transitions:
        """The same on ``device``."""
        moved = {
            name: map_observation(lambda x: x.to(device, non_blocking=True), getattr(self, name))
            for name in self.__dataclass_fields__
        }
        return Transitions(**moved)

    def join(self, other: Transitions) -> Transitions:
        """This batch and then ``other``."""
        names = self.__dataclass_fields__
        joined: dict[str, Any] = {n: join_observations(getattr(self, n), getattr(other, n)) for n in names}
        return Transitions(**joined)


class ReplaySampler:
    """Draws from one buffer; it holds priorities, no transitions.

    Windows of several steps end with their episode, at a reset row, and before the head: they are then shorter, none
    is left out, and none reaches into another episode. After a truncation comes the episode's own final observation.
    ``priority_exponent`` 0 draws uniformly; up to 1, transitions with large errors more and more often.
    """

    def __init__(self, capacity: int, num_envs: int, n_step: int = 1, priority_exponent: float = 0.0) -> None:
        self._num_envs = num_envs
        self._size = capacity * num_envs
        self._n_step = n_step
        self._exponent = priority_exponent
        # The readable rows are the newest ``capacity``, so a position modulo the size is a place of its own.
        self._tree = SumTree(self._size) if priority_exponent else None
        self._highest = 1.0
        self._admitted = self._oldest = 0

    def sample(self, buffer: Source, batch_size: int, rng: np.random.Generator, beta: float = 1.0) -> Transitions:
        """Draws with replacement; a ValueError if nothing is stored that could be drawn.

        ``beta`` is how far importance weights undo what priorities distort, 0 to 1.
        """
        if self._tree is None:
            return self.sample_evenly(buffer, batch_size, rng)
        self._admit(buffer, self._tree)
        return self._transitions(buffer, *self._draw_by_priority(buffer, self._tree, batch_size, rng, beta))

    def sample_evenly(self, source: Source, batch_size: int, rng: np.random.Generator) -> Transitions:
        """Draws with replacement and without priorities, from anything; see :meth:`sample`."""
        first, last = source.oldest * source.num_envs, source.steps
        if last > first:
            position = rng.integers(first, last, batch_size)
            for _ in range(_MOST_REDRAWS):
                wrong = np.flatnonzero(~source.take("learned", position))
                if not len(wrong):
                    return self.at(source, position)
                position[wrong] = rng.integers(first, last, len(wrong))
        raise ValueError(f"none of the {source.rows - source.oldest} stored rows is a transition; collect more")

    def update_priorities(self, position: np.ndarray, error: np.ndarray) -> None:
        """Gives drawn transitions the priorities of their errors, both ``[batch]``; does nothing if drawing is uniform.

        Errors have any sign, and are finite. The buffer was not written since; positions of -1 are left out.
        """
        if self._tree is None or not (position >= 0).any():
            return
        own = position >= 0
        priority = (np.abs(error[own]) + _SMALLEST_PRIORITY) ** self._exponent
        self._tree.set(position[own] % self._size, priority)
        self._highest = max(self._highest, float(priority.max()))

    def _draw_by_priority(
        self, buffer: Source, tree: SumTree, batch_size: int, rng: np.random.Generator, beta: float
    ) -> tuple[np.ndarray, np.ndarray]:
        if not tree.total > 0:
            raise ValueError(f"none of the {buffer.rows - buffer.oldest} stored rows is a transition; collect more")
        # Stratified: one from each of batch_size equal shares of the total.
        place = tree.find((np.arange(batch_size) + rng.random(batch_size)) * (tree.total / batch_size))
        # (N P)^-beta over its maximum in the batch: N and the total cancel out.
        weight = tree.values[place] ** -beta
        first = buffer.oldest * self._num_envs
        return first + (place - first) % self._size, (weight / weight.max()).astype(np.float32)

    def _admit(self, buffer: Source, tree: SumTree) -> None:
        """Gives rows that came since the last call the highest priority so far, so that each is soon drawn."""
        if buffer.oldest > max(self._oldest, buffer.rows - buffer.capacity):
            tree.replace(np.zeros(self._size))  # the ring did not come with the checkpoint
        first = max(self._admitted, buffer.oldest)
        position = np.arange(first * self._num_envs, buffer.steps)
        tree.set(position % self._size, np.where(buffer.take("learned", position), self._highest, 0.0))
        self._admitted, self._oldest = buffer.rows, buffer.oldest

    def at(self, source: Source, position: np.ndarray) -> Transitions:
        """Those that begin at chosen positions ``[batch]``, which are transitions."""
        return self._transitions(source, position, np.ones(len(position), np.float32))

    def _transitions(self, buffer: Source, position: np.ndarray, weight: np.ndarray) -> Transitions:
        window = position[:, None] + np.arange(self._n_step) * buffer.num_envs
        terminated, truncated = buffer.take("terminated", window), buffer.take("truncated", window)
        following = window[:, 1:]
        going = ~(terminated | truncated)[:, :-1] & (following < buffer.steps) & buffer.take("transition", following)
        inside = np.ones(window.shape, bool)
        np.logical_and.accumulate(going, 1, out=inside[:, 1:])
        steps = inside.sum(1)
        reward = np.zeros(window.shape, np.float32)
        reward[inside] = buffer.rewards(window[inside])
        batch, last = np.arange(len(position)), steps - 1
        after = self._after(buffer, position + steps * buffer.num_envs, truncated[batch, last])
        return Transitions(
            observation=buffer.observation(position),
            action=torch.from_numpy(buffer.take("action", position)),
            reward=torch.from_numpy(reward),
            steps=torch.from_numpy(steps),
            next_observation=after,
            terminated=torch.from_numpy(terminated[batch, last]),
            weight=torch.from_numpy(weight),
            position=torch.from_numpy(position),
        )

    def _after(self, buffer: Source, position: np.ndarray, truncated: np.ndarray) -> Observation:
        observation = buffer.observation(position)
        for i in np.flatnonzero(truncated):
            final = keyed(buffer.final_observation(int(position[i]) - buffer.num_envs))
            for key, tensor in keyed(observation).items():
                tensor[i] = torch.from_numpy(np.asarray(final[key]))
        return observation

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        if self._tree is None:
            return {}
        return {
            "num_envs": self._num_envs,
            "priorities": self._tree.values.copy(),
            "highest": self._highest,
            "admitted": self._admitted,
            "oldest": self._oldest,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` gave."""
        if self._tree is None:
            return
        if (state.get("num_envs"), len(state.get("priorities", ()))) != (self._num_envs, self._size):
            return  # of another buffer, or drawn evenly before: all that it holds is as if it were new
        self._tree.replace(state["priorities"])
        self._highest, self._admitted, self._oldest = state["highest"], state["admitted"], state["oldest"]


class Sources:
    """Draws batches from the ring, from older rows of the run (see :attr:`RolloutBuffer.older`), and demonstrations.

    The ring and older rows are together one memory of the ring's capacity: as the ring fills, older rows are drawn less
    often, and in the end never.

    Attributes:
        own: draws from the ring.
        demonstrations: of the same spaces, with any number of columns; None if there are none.
    """

    def __init__(self, own: ReplaySampler) -> None:
        self.own = own
        self.demonstrations: Source | None = None

    def size(self, buffer: RolloutBuffer) -> tuple[int, int]:
        """How many env steps of the ring, and how many older ones, are remembered."""
        own = buffer.readable * buffer.num_envs
        older = buffer.older.steps if buffer.older is not None else 0
        return own, min(older, buffer.capacity * buffer.num_envs - own)

    def sample(
        self,
        buffer: RolloutBuffer,
        batch_size: int,
        rng: np.random.Generator,
        beta: float = 1.0,
        demonstrated: int = 0,
    ) -> Transitions:
        """See :meth:`ReplaySampler.sample`; of the batch ``demonstrated``, at its end, are demonstrations."""
        remembered = batch_size - demonstrated
        own, older = self.size(buffer)
        before = int(rng.binomial(remembered, older / (own + older))) if older else 0
        batches = [self.own.sample(buffer, remembered - before, rng, beta)] if remembered > before else []
        for source, count in ((buffer.older, before), (self.demonstrations, demonstrated)):
            if source is not None and count:
                source.relabel = buffer.relabel
                drawn = self.own.sample_evenly(source, count, rng)
                batches.append(replace(drawn, position=torch.full_like(drawn.position, -1)))
        return functools.reduce(Transitions.join, batches)
