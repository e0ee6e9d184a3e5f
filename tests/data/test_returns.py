"""Advantages and returns equal a plain-Python reference that walks through one episode at a time."""

import numpy as np
import pytest

from hakisa_algos.data.returns import (
    generalized_advantages,
    lambda_returns,
    successor_values,
)

TIME, ENVS = 40, 6
GAMMA = 0.93
# The rows of SAME_STEP lie as those of a masked reset. Gaps: a live game's rows that came too late.
every_mode = pytest.mark.parametrize("mode", ["masked", "next_step", "gaps"])


def random_rows(rng, mode):
    """Columns of random episodes, and each episode as ``(env, rows, value beyond its last row)``."""
    reward, value = rng.normal(size=(2, TIME, ENVS))
    terminated, truncated = np.zeros((2, TIME, ENVS), bool)
    valid = np.ones((TIME, ENVS), bool)
    last = rng.normal(size=ENVS)
    final, episodes = {}, []
    for env in range(ENVS):
        t = 0
        if mode == "next_step" and rng.random() < 0.5:  # the episode before ended just outside
            valid[0, env] = False
            t = 1
        while t < TIME:
            end = t + int(rng.integers(1, 9))
            rows = list(range(t, min(end, TIME)))
            if mode == "gaps" and end < TIME and rng.random() < 0.5:  # in the middle of an episode, no end
                episodes.append((env, rows, value[end, env]))
                valid[end, env] = False
                reward[end, env] = np.nan
                t = end + 1
                continue
            if end > TIME:
                episodes.append((env, rows, last[env]))
                break
            if rng.random() < 0.5:
                terminated[end - 1, env] = True
                episodes.append((env, rows, 0.0))
            else:
                truncated[end - 1, env] = True
                final[end - 1, env] = rng.normal()
                episodes.append((env, rows, final[end - 1, env]))
            t = end
            if mode == "next_step" and t < TIME:
                valid[t, env] = False
                reward[t, env] = np.nan  # whatever stands there
                t += 1
    following = successor_values(value, last, truncated, np.array([final[key] for key in sorted(final)]))
    return reward, value, following, terminated, truncated, valid, episodes


def walk(episodes, value, function):
    """``{(row, env): function(rows of the rest of the episode, value of what follows each)}``."""
    result = {}
    for env, rows, beyond in episodes:
        after = [*(value[row, env] for row in rows[1:]), beyond]
        for i, row in enumerate(rows):
            result[row, env] = function(env, rows[i:], after[i:])
    return result


def check(result, expected):
    assert expected
    for position, wanted in expected.items():
        assert result[position] == pytest.approx(wanted, abs=1e-12), position


def n_step(reward, env, rows, after, n):
    n = min(n, len(rows))
    return sum(GAMMA**k * reward[rows[k], env] for k in range(n)) + GAMMA**n * after[n - 1]


@every_mode
@pytest.mark.parametrize("decay", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_generalized_advantages(mode, decay, seed):
    reward, value, following, terminated, truncated, valid, episodes = random_rows(np.random.default_rng(seed), mode)
    result = generalized_advantages(reward, value, following, terminated, truncated, valid, GAMMA, decay)

    def advantage(env, rows, after):
        deltas = [reward[row, env] + GAMMA * v - value[row, env] for row, v in zip(rows, after, strict=True)]
        return sum((GAMMA * decay) ** k * delta for k, delta in enumerate(deltas))

    check(result, walk(episodes, value, advantage))
    assert (result[~valid] == 0).all()


@every_mode
@pytest.mark.parametrize("share", [0.0, 0.65, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_lambda_returns_are_the_weighted_n_step_returns(mode, share, seed):
    reward, value, following, terminated, truncated, valid, episodes = random_rows(np.random.default_rng(seed), mode)
    result = lambda_returns(reward, following, terminated, truncated, valid, GAMMA, share)

    def mixture(env, rows, after):
        longest = len(rows)
        steps = [n_step(reward, env, rows, after, n) for n in range(1, longest + 1)]
        return sum((1 - share) * share**k * g for k, g in enumerate(steps[:-1])) + share ** (longest - 1) * steps[-1]

    check(result, walk(episodes, value, mixture))


def test_single_precision_stays_single_and_close():
    rows = random_rows(np.random.default_rng(0), "next_step")
    single = [x.astype(np.float32) if x.dtype == np.float64 else x for x in rows[:6]]
    result = generalized_advantages(*single, GAMMA, 0.95)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, generalized_advantages(*rows[:6], GAMMA, 0.95), atol=1e-5)


def test_inputs_are_left_alone():
    reward, value, following, terminated, truncated, valid, _ = random_rows(np.random.default_rng(1), "next_step")
    before = [x.copy() for x in (reward, value, following, terminated, truncated, valid)]
    generalized_advantages(reward, value, following, terminated, truncated, valid, GAMMA, 0.9)
    lambda_returns(reward, following, terminated, truncated, valid, GAMMA, 0.9)
    for now, then in zip((reward, value, following, terminated, truncated, valid), before, strict=True):
        np.testing.assert_array_equal(now, then)
