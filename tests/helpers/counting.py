"""An env whose every observation says where it comes from, and policies that act in it."""

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorWrapper

from hakisa_algos.policy.observations import ObservationLayout
from hakisa_algos.policy.policy import Decision


class CountingEnv(gym.Env):
    """Observes (column, a number that names the episode, step, sum of the actions so far).

    Seed and actions decide everything: the length of 1 to ``longest`` steps, and whether the end is a termination,
    a truncation or both at once. ``real`` lists the transitions that happened, ``seeds`` how it was reset.
    """

    def __init__(self, column=0, longest=6, ends=("terminated", "truncated", "both"), metadata=None):
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = spaces.Discrete(3)
        self.metadata = {"hakisa_contract": 1, **(metadata or {})}
        self.column, self.longest, self.ends = column, longest, ends
        self.real, self.seeds = [], []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.name = int(self.np_random.integers(1 << 20))
        self.length = int(self.np_random.integers(1, self.longest + 1))
        self.end = self.np_random.choice(self.ends)
        self.count = self.total = 0
        return self.observe(), {}

    def observe(self):
        return np.array([self.column, self.name, self.count, self.total], np.float32)

    def step(self, action):
        before = self.observe()
        self.count += 1
        self.total += int(action)
        reward = self.name % 97 + self.count / 8 + int(action)
        over = self.count >= self.length
        terminated, truncated = over and self.end != "truncated", over and self.end != "terminated"
        self.real.append((before, int(action), reward, self.observe(), terminated, truncated))
        return self.observe(), reward, terminated, truncated, {}


class ForeignVectorEnv(VectorWrapper):
    """Hides what is below, so that columns cannot be reset by mask; ``rows`` counts the reset rows it returned.

    The reward of a reset row, which nobody may use, is NaN.
    """

    rows = 0
    _over = None

    def reset(self, *, seed=None, options=None):
        assert not options
        self._over = np.zeros(self.num_envs, bool)
        return self.env.reset(seed=seed)

    def step(self, actions):
        observation, reward, terminated, truncated, infos = self.env.step(actions)
        if self.env.autoreset_mode is AutoresetMode.NEXT_STEP:
            self.rows += int(self._over.sum())
            reward = np.where(self._over, np.nan, reward)
            self._over = terminated | truncated
        return observation, reward, terminated, truncated, infos


FORMS = ("disabled", "next_step", "same_step", "foreign_next_step", "foreign_same_step")


def counting_envs(form="disabled", n=3, make=CountingEnv, **options):
    """``n`` columns in one of :data:`FORMS`: SyncVectorEnv in a mode of its own, or without masked reset."""
    mode = AutoresetMode[form.removeprefix("foreign_").upper()]
    envs = SyncVectorEnv([lambda i=i: make(i, **options) for i in range(n)], copy=False, autoreset_mode=mode)
    return ForeignVectorEnv(envs) if form.startswith("foreign") else envs


def columns_of(envs):
    """The single envs inside."""
    return envs.unwrapped.envs


class RandomPolicy:
    """Draws actions; stores how often it acted since ``begin``, which a recurrent net would know."""

    def __init__(self, space=None):
        self.observation = ObservationLayout(space or CountingEnv().observation_space)
        self.version = 0

    def act(self, observation, state, explore, generator):
        n = len(state["count"])
        action = torch.randint(3, (n,), generator=generator)
        return Decision(action, {"memory": state["count"]}, {"count": state["count"] + 1})

    def initial_state(self, n):
        return {"count": torch.full((n,), -1000)}

    def begin(self, mask, state):
        return {"count": torch.where(mask, 0, state["count"])}
