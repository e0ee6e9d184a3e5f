"""Envs whose observations say what is allowed, so that a mask can be checked against the observation that it is of."""

import functools

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from hakisa_envs.spaces import ConditionalMultiDiscrete
from hakisa_envs.vector import ProcessVectorEnv
from tests.helpers.counting import CountingEnv, counting_envs

ACTIONS = 5
CONDITIONAL = ConditionalMultiDiscrete([3, 4, 3], [[0, 0], [4, 0], [1, 3]])  # 3 commands, 4 and 3 choices


def allowed_after(observation):
    """The mask of an observation that is acted on, ``[..., 4]`` -> bool ``[..., ACTIONS]``; never of nothing."""
    name, count = (np.asarray(observation)[..., i].astype(np.int64) for i in (1, 2))
    bits = (name * 7 + count * 13) % (2**ACTIONS - 1) + 1
    return (bits[..., None] >> np.arange(ACTIONS)) % 2 == 1


class MaskedEnv(CountingEnv):
    """A counting env that forbids, refuses what is forbidden, and forbids everything once it has terminated.

    Args:
        give: ``"info"``, ``"method"`` or ``"nothing"``.
        dead: steps after which nothing is allowed although the episode goes on.
        options: of CountingEnv.
    """

    def __init__(self, column=0, give="info", dead=None, **options):
        super().__init__(column, metadata=options.pop("metadata", {"hakisa_contract": 0}), **options)
        self.action_space = spaces.Discrete(ACTIONS)
        self.give, self.dead, self.over = give, dead, False
        if give == "method":
            self.action_masks = self._mask

    def _mask(self):
        if self.over or (self.dead is not None and self.count >= self.dead):
            return np.zeros(ACTIONS, np.int8)
        return allowed_after(self.observe()).astype(np.int8)

    def _info(self):
        return {"action_mask": self._mask()} if self.give == "info" else {}

    def reset(self, *, seed=None, options=None):
        self.over = False
        observation, _ = super().reset(seed=seed)
        return observation, self._info()

    def step(self, action):
        assert self.dead is not None or allowed_after(self.observe())[action], "forbidden"
        observation, reward, terminated, truncated, _ = super().step(action)
        self.over = terminated
        return observation, reward, terminated, truncated, self._info()


MODES = ("disabled", "next_step", "same_step", "foreign_next_step", "foreign_same_step", "async", "processes")


def masked_envs(mode="disabled", n=3, make=MaskedEnv, **options):
    """``n`` columns of ``make``."""
    factories = [functools.partial(make, column, **options) for column in range(n)]
    if mode == "processes":
        return ProcessVectorEnv(factories)
    if mode == "async":
        return AsyncVectorEnv(factories, autoreset_mode=AutoresetMode.DISABLED)
    return counting_envs(mode, n, make, **options)
