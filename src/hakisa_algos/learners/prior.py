"""A frozen policy that PPO is held to while it plays worse: the clone that it began from."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hakisa_algos.data.rollout import Rollout
from hakisa_algos.policy.heads import ActionDistribution
from hakisa_algos.policy.networks import MLPPair
from hakisa_algos.policy.observations import Observation, to_device
from hakisa_algos.policy.policy import ActorCritic, Chunks, State


class Prior:
    """A copy of a policy, with its statistics of observations and what it remembers; nothing changes it.

    Args:
        policy: what to copy.

    Attributes:
        policy: the copy.
        clone_return: its mean return; NaN until it was evaluated.
        random_return: that of random play; likewise.
        now: that of the policy which is held to it, as it was evaluated last; likewise.
    """

    def __init__(self, policy: ActorCritic) -> None:
        self.policy = copy.deepcopy(policy).requires_grad_(False)
        self.clone_return = self.random_return = self.now = math.nan
        self._state: State = {}  # before the next rollout
        self._after: State = {}
        self._before: State = {}  # before each chunk of this one

    @property
    def weight(self) -> float:
        """See :func:`prior_weight`."""
        return prior_weight(self.clone_return, self.random_return, self.now)

    @torch.no_grad()
    def watch(self, rollout: Rollout, length: int, device: torch.device) -> None:
        """Goes through a rollout by chunks of ``length`` rows; a policy without memory has no need to."""
        if self.policy.memory is None:
            return
        n, start = rollout.num_envs, (rollout.column("age") == 0).to(device)
        fits = all(len(entries) == n for entries in self._state.values())
        state = self._state if self._state and fits else self.policy.initial_state(n)
        before = []
        for first in range(0, rollout.length, length):
            before.append(state)
            index = torch.arange(first * n, (first + length) * n)
            chunks = Chunks(state, start[first : first + length])
            state = self.policy.remember(to_device(rollout.observation(index), device), chunks)
        self._before = {name: torch.cat([each[name] for each in before]) for name in state}
        self._after = state

    def keep(self) -> None:
        """What it remembers goes on from the rollout that it watched last."""
        self._state = self._after

    @torch.no_grad()
    def distribution(self, observation: Observation, index: Tensor, chunks: Chunks | None) -> ActionDistribution:
        """What it would have done.

        Args:
            observation: of some rows of the rollout.
            index: their flat positions in it.
            chunks: how they hang together for the policy which is held to it; None without memory.
        """
        if chunks is not None:
            length, batch = chunks.start.shape
            n = len(self._after["h"])
            first = index[:batch]
            number = (first // n // length * n + first % n).to(chunks.start.device)
            own = {name: entries[number] for name, entries in self._before.items()}
            chunks = Chunks(own, chunks.start, chunks.wanted)
        found: ActionDistribution = self.policy(observation, chunks)[0]
        return found

    def state(self) -> dict[str, Any]:
        """All of it, as a checkpoint holds it."""
        returns = {"clone": self.clone_return, "random": self.random_return, "now": self.now}
        return {"policy": dict(self.policy.state_dict()), "returns": returns, "memory": dict(self._state)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` gave."""
        self.policy.load_state_dict(state["policy"])
        returns = state["returns"]
        self.clone_return, self.random_return, self.now = returns["clone"], returns["random"], returns["now"]
        self._state = dict(state["memory"])


def prior_weight(clone: float, random: float, now: float) -> float:
    """How much a policy is held to a clone: 0 where it plays as well or better, 1 where no better than random play.

    It is measured from random play, and not from 0, so that the sign of returns does not matter. A clone that is no
    better than random play holds nobody. Before there were evaluations (NaN) it is 1.

    Args:
        clone: mean return of the clone.
        random: of random play.
        now: of the policy.
    """
    if math.isnan(clone) or math.isnan(random) or math.isnan(now):
        return 1.0
    if clone <= random:
        return 0.0
    return min(max((clone - now) / (clone - random), 0.0), 1.0)


def entries_of_critic(policy: ActorCritic) -> Tensor:
    """Bool: which of all trainable weights, one after the other, are those of the critic's own networks alone.

    Returns:
        None of the trunk's, where actor and critic share it.
    """
    flags = []
    for name, weight in policy.named_parameters():
        if not weight.requires_grad:
            continue
        own = torch.zeros_like(weight, dtype=torch.bool)
        if name.startswith("value_"):
            own[:] = True
        elif isinstance(policy.trunk, MLPPair) and name.startswith("trunk."):
            own[1] = True  # the second of the pair
        flags.append(own.flatten())
    return torch.cat(flags)


def has_own_critic(policy: ActorCritic) -> bool:
    """Whether the critic shares nothing with the policy."""
    if policy.memory is not None:
        return policy.value_memory is not None
    return policy.value_trunk is not None or isinstance(policy.trunk, MLPPair)
