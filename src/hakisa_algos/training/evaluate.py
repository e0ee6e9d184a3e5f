"""How good a policy is: whole episodes in envs of their own, on seeds that training never sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from hakisa_algos.data.collect import Collector, Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.learners.validation import check_seed
from hakisa_algos.policy.policy import Policy

# Run seeds are small numbers; evaluation seeds lie far from them.
_SEED_OFFSET = 1_000_000_007


@dataclass(frozen=True)
class Evaluation:
    """Returns of an evaluation.

    Attributes:
        returns: undiscounted raw return of each episode, ``[episodes]``.
        lengths: of each episode in steps, ``[episodes]``.
    """

    returns: np.ndarray
    lengths: np.ndarray

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the returns."""
        return float(self.returns.std())

    def __str__(self) -> str:
        return f"{self.mean:.2f} +/- {self.std:.2f} over {len(self.returns)} episodes"


def evaluate(
    policy: Policy,
    envs: VectorEnv[Any, Any, Any],
    *,
    episodes: int = 20,
    seed: int = 0,
    deterministic: bool = True,
    device: torch.device | None = None,
) -> Evaluation:
    """Plays ``episodes`` episodes, the same number in every column.

    Every column plays the same number, because taking whichever episodes end first would favour short ones.

    Args:
        policy: who plays; it is not changed.
        envs: not those that are being trained in.
        episodes: at least so many; rounded up to a multiple of the columns.
        seed: of the evaluation; its episodes are none that a run with any small seed was trained on.
        deterministic: the policy's best actions; False draws them as in training.
        device: where the policy lives.
    """
    seed = check_seed(seed)
    n = envs.num_envs
    each = math.ceil(episodes / n)
    buffer = RolloutBuffer(1, n, policy.observation, keep_observations=False)
    collector = Collector(envs, policy, buffer, _SEED_OFFSET + seed, device, explore=not deterministic)
    returns: list[list[float]] = [[] for _ in range(n)]
    lengths: list[list[int]] = [[] for _ in range(n)]
    while min(map(len, returns)) < each:
        collector.collect(Rows(1))
        for episode in buffer.episodes():
            if len(returns[episode.env]) < each:
                returns[episode.env].append(episode.total)
                lengths[episode.env].append(episode.length)
    return Evaluation(np.array(returns).reshape(-1), np.array(lengths).reshape(-1))
