"""Returns and advantages as pure functions over time-major arrays ``[time, num_envs]``.

They share one rule of episode ends: a *terminated* row is worth nothing beyond itself, a *truncated* row is
worth the value of its own final observation, and nothing ever runs across either into the next episode. A row
that is not ``valid`` (the reset row of NEXT_STEP autoreset) is a boundary, too; what stands in it is meaningless.
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
    valid: Array,
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
        valid: the row is a transition.
        gamma: discount; closer to 1 looks further ahead.
        gae_lambda: 0 trusts the value estimate, 1 trusts the rewards.
    """
    delta = reward + gamma * following * ~terminated - value
    delta[~valid] = 0
    decay = np.where(terminated | truncated | ~valid, 0, gamma * gae_lambda).astype(delta.dtype)
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
    valid: Array,
    gamma: float,
    return_lambda: float,
) -> Array:
    """TD(lambda) returns, ``[time, num_envs]``: ``r + gamma * ((1 - lambda) * following + lambda * next return)``.

    The last row, and every row before a boundary, bootstraps from ``following`` alone.

    Args:
        reward: of each row.
        following: see :func:`successor_values`; for Q(lambda), the greedy value of what follows.
        terminated: the episode ended for good in this row.
        truncated: the episode was cut after this row.
        valid: the row is a transition.
        gamma: discount.
        return_lambda: 0 is one-step, 1 is Monte Carlo.
    """
    result = np.empty_like(reward)
    running = following[-1]
    next_valid = np.concatenate([valid[1:], np.zeros_like(valid[:1])])
    for t in range(len(reward) - 1, -1, -1):
        continues = next_valid[t] & ~truncated[t]
        mixed = np.where(continues, (1 - return_lambda) * following[t] + return_lambda * running, following[t])
        running = reward[t] + gamma * np.where(terminated[t], 0, mixed)
        result[t] = running
    return result


def n_step_returns(
    reward: Array,
    following: Array,
    terminated: Array,
    truncated: Array,
    valid: Array,
    gamma: float,
    n: int,
) -> Array:
    """Discounted sums of up to ``n`` rewards plus the bootstrap after them, ``[time, num_envs]``.

    At the end of an episode or of the arrays the sum is shorter and its bootstrap discounted accordingly; none
    of an episode's last ``n - 1`` rows is lost, and none reaches into the next episode.

    Args:
        reward: of each row.
        following: see :func:`successor_values`.
        terminated: the episode ended for good in this row.
        truncated: the episode was cut after this row.
        valid: the row is a transition.
        gamma: discount.
        n: most rewards to sum; larger is less biased and noisier.
    """
    result = np.zeros_like(reward)
    for t in range(len(reward)):
        going = np.ones(reward.shape[1], bool)
        for k in range(min(n, len(reward) - t)):
            row = t + k
            result[t] += np.where(going, gamma**k * reward[row], 0)
            at_end = truncated[row] | (k + 1 == min(n, len(reward) - t))
            if row + 1 < len(reward):
                at_end = at_end | ~valid[row + 1]
            bootstrap = going & at_end & ~terminated[row]
            result[t] += np.where(bootstrap, gamma ** (k + 1) * following[row], 0)
            going = going & ~at_end & ~terminated[row]
    return result
