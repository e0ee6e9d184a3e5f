"""Draws transitions of one or several steps from the ring: uniformly, or by priority (Schaul et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.sum_tree import SumTree
from hakisa_algos.policy.observations import Observation, join_observations, map_observation

# Keeps a transition whose error is 0 from never being drawn again.
_SMALLEST_PRIORITY = 1e-6
# Only rows that are no transitions are drawn in vain: one after each episode, or those of a reset in real time.
_MOST_REDRAWS = 1000


@dataclass(frozen=True)
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
        position: ``row * num_envs + env`` of the first step, ``[batch]``.
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

    Args:
        capacity: of the buffer.
        num_envs: of the buffer.
        n_step: most steps in a transition.
        priority_exponent: 0 draws uniformly; up to 1, transitions with large errors more and more often.
    """

    def __init__(self, capacity: int, num_envs: int, n_step: int = 1, priority_exponent: float = 0.0) -> None:
        self._num_envs = num_envs
        self._size = capacity * num_envs
        self._offsets = np.arange(n_step) * num_envs
        self._exponent = priority_exponent
        # The readable rows are the newest ``capacity``, so a position modulo the size is a place of its own.
        self._tree = SumTree(self._size) if priority_exponent else None
        self._highest = 1.0
        self._admitted = self._oldest = 0

    def sample(
        self, buffer: RolloutBuffer, batch_size: int, rng: np.random.Generator, beta: float = 1.0
    ) -> Transitions:
        """Draws with replacement.

        Args:
            buffer: at least one row is stored.
            batch_size: how many.
            rng: draws.
            beta: how far importance weights undo what priorities distort, 0 to 1.

        Raises:
            ValueError: nothing is stored that could be drawn.
        """
        weight = np.ones(batch_size, np.float32)
        if self._tree is None:
            position = self._draw_uniform(buffer, batch_size, rng)
        else:
            self._admit(buffer, self._tree)
            position, weight = self._draw_by_priority(buffer, self._tree, batch_size, rng, beta)
        return self._transitions(buffer, position, weight)

    def update_priorities(self, position: np.ndarray, error: np.ndarray) -> None:
        """Gives drawn transitions the priorities of their errors, both ``[batch]``; does nothing if drawing is uniform.

        Args:
            position: as drawn; the buffer was not written since.
            error: of prediction, any sign, finite.
        """
        if self._tree is None or not len(position):
            return
        priority = (np.abs(error) + _SMALLEST_PRIORITY) ** self._exponent
        self._tree.set(position % self._size, priority)
        self._highest = max(self._highest, float(priority.max()))

    def _draw_uniform(self, buffer: RolloutBuffer, batch_size: int, rng: np.random.Generator) -> np.ndarray:
        first, last = buffer.oldest * self._num_envs, buffer.steps
        if last > first:
            position = rng.integers(first, last, batch_size)
            for _ in range(_MOST_REDRAWS):
                wrong = np.flatnonzero(~buffer.take("valid", position))
                if not len(wrong):
                    return position
                position[wrong] = rng.integers(first, last, len(wrong))
        raise ValueError(f"none of the {buffer.rows - buffer.oldest} stored rows is a transition; collect more")

    def _draw_by_priority(
        self, buffer: RolloutBuffer, tree: SumTree, batch_size: int, rng: np.random.Generator, beta: float
    ) -> tuple[np.ndarray, np.ndarray]:
        if not tree.total > 0:
            raise ValueError(f"none of the {buffer.rows - buffer.oldest} stored rows is a transition; collect more")
        # Stratified: one from each of batch_size equal shares of the total.
        place = tree.find((np.arange(batch_size) + rng.random(batch_size)) * (tree.total / batch_size))
        # (N P)^-beta over its maximum in the batch: N and the total cancel out.
        weight = tree.values[place] ** -beta
        first = buffer.oldest * self._num_envs
        return first + (place - first) % self._size, (weight / weight.max()).astype(np.float32)

    def _admit(self, buffer: RolloutBuffer, tree: SumTree) -> None:
        """Gives rows that came since the last call the highest priority so far, so that each is soon drawn."""
        if buffer.oldest > max(self._oldest, buffer.rows - buffer.capacity):
            tree.replace(np.zeros(self._size))  # the ring did not come with the checkpoint
        first = max(self._admitted, buffer.oldest)
        position = np.arange(first * self._num_envs, buffer.steps)
        tree.set(position % self._size, np.where(buffer.take("valid", position), self._highest, 0.0))
        self._admitted, self._oldest = buffer.rows, buffer.oldest

    def _transitions(self, buffer: RolloutBuffer, position: np.ndarray, weight: np.ndarray) -> Transitions:
        window = position[:, None] + self._offsets
        terminated, truncated = buffer.take("terminated", window), buffer.take("truncated", window)
        following = window[:, 1:]
        going = ~(terminated | truncated)[:, :-1] & (following < buffer.steps) & buffer.take("valid", following)
        inside = np.ones(window.shape, bool)
        np.logical_and.accumulate(going, 1, out=inside[:, 1:])
        steps = inside.sum(1)
        batch, last = np.arange(len(position)), steps - 1
        after = self._after(buffer, position + steps * self._num_envs, truncated[batch, last])
        return Transitions(
            observation=buffer.observation(position),
            action=torch.from_numpy(buffer.take("action", position)),
            reward=torch.from_numpy(np.where(inside, buffer.take("reward", window), np.float32(0))),
            steps=torch.from_numpy(steps),
            next_observation=after,
            terminated=torch.from_numpy(terminated[batch, last]),
            weight=torch.from_numpy(weight),
            position=torch.from_numpy(position),
        )

    def _after(self, buffer: RolloutBuffer, position: np.ndarray, truncated: np.ndarray) -> Observation:
        observation = buffer.observation(position)
        for i in np.flatnonzero(truncated):
            final = buffer.final_observation(int(position[i]) - self._num_envs)
            if isinstance(observation, dict):
                for key, tensor in observation.items():
                    tensor[i] = torch.from_numpy(np.asarray(final[key]))
            else:
                observation[i] = torch.from_numpy(np.asarray(final))
        return observation

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        if self._tree is None:
            return {}
        return {
            "priorities": self._tree.values.copy(),
            "highest": self._highest,
            "admitted": self._admitted,
            "oldest": self._oldest,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` gave."""
        if self._tree is None:
            return
        self._tree.replace(state["priorities"])
        self._highest, self._admitted, self._oldest = state["highest"], state["admitted"], state["oldest"]
