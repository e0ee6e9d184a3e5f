"""Returns and advantages as pure functions over time-major arrays ``[time, num_envs]``.

They share one rule of episode ends: a *terminated* row is worth nothing beyond itself, a *truncated* row is
worth the value of its own final observation, and nothing ever runs across either into the next episode. A row
that is no ``transition`` (the reset row of NEXT_STEP autoreset) is a boundary, too; what stands in it is meaningless.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def successor_values(values: Array, last: Array, truncated: Array, final: Array) -> Array:
    """The value of what follows each row.

    Args:
        values: of the rows' observations, ``[time, num_envs]``.
        last: of the observation after the last row, ``[num_envs]``.
        truncated: bool ``[time, num_envs]``.
        final: of the final observations of the truncated rows, in time-major order, ``[truncated.sum()]``.

    Returns:
        ``[time, num_envs]``; what it holds at terminated rows must not be used.
    """
    following: Array = np.concatenate([values[1:], last[None]])
    following[truncated] = final
    return following


def generalized_advantages(
    reward: Array,
    value: Array,
    following: Array,
    terminated: Array,
    truncated: Array,
    transition: Array,
    gamma: float,
    gae_lambda: float,
) -> Array:
    """Generalized advantage estimation (Schulman et al. 2016), ``[time, num_envs]``.

    Args:
        reward: of each row.
        value: of each row's observation.
        following: see :func:`successor_values`.
        terminated: the episode ended for good in this row.
        truncated: the episode was cut after this row.
        transition: the row is a transition.
        gamma: discount; closer to 1 looks further ahead.
        gae_lambda: 0 trusts the value estimate, 1 trusts the rewards.
    """
    delta = reward + gamma * following * ~terminated - value
    delta[~transition] = 0
    decay = np.where(terminated | truncated | ~transition, 0, gamma * gae_lambda).astype(delta.dtype)
    advantage = np.empty_like(delta)
    running = np.zeros_like(delta[0])
    for row, gain, factor in zip(advantage[::-1], delta[::-1], decay[::-1], strict=True):
        np.multiply(factor, running, out=row)
        row += gain
        running = row
    return advantage


def lambda_returns(
    reward: Array,
    following: Array,
    terminated: Array,
    truncated: Array,
    transition: Array,
    gamma: float,
    return_lambda: float,
) -> Array:
    """TD(lambda) returns, ``[time, num_envs]``: ``r + gamma * ((1 - lambda) * following + lambda * next return)``.

    The last row, and every row before a boundary, bootstraps from ``following`` alone, which for Q(lambda) is the
    greedy value of what follows. With ``return_lambda`` 0 it is one-step, with 1 Monte Carlo. For the other arguments
    see :func:`generalized_advantages`.
    """
    result = np.empty_like(reward)
    running = following[-1]
    next_transition = np.concatenate([transition[1:], np.zeros_like(transition[:1])])
    for t in range(len(reward) - 1, -1, -1):
        continues = next_transition[t] & ~truncated[t]
        mixed = np.where(continues, (1 - return_lambda) * following[t] + return_lambda * running, following[t])
        running = reward[t] + gamma * np.where(terminated[t], 0, mixed)
        result[t] = running
    return result
