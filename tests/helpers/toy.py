"""An env that can be told to misbehave, for vector envs whose processes it runs in."""

import os
import signal
import time

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete

from hakisa_envs.contract import CONTRACT, VERSION

STEP, END, DIE, HANG, RAISE, SLOW_RESET, BROKEN_RESET = range(7)


class Toy(gym.Env):
    """Shows (its seed, its steps); its action says how to misbehave."""

    metadata = {CONTRACT: VERSION, "render_modes": []}  # noqa: RUF012
    observation_space = Box(-1, 2**31, (2,), np.int64)
    action_space = Discrete(7)

    def __init__(self, end=10**9):
        self.end, self.steps, self.seed, self.last, self.paused = end, 0, -1, STEP, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        last, self.last = self.last, STEP
        if last == SLOW_RESET:
            time.sleep(0.5)
        if last == BROKEN_RESET:
            raise ZeroDivisionError("told to")
        self.seed, self.steps = -1 if seed is None else seed, 0
        return self._show(), {"pid": os.getpid()}

    def step(self, action):
        if action == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        if action == HANG:
            os.kill(os.getpid(), signal.SIGSTOP)
        if action == RAISE:
            raise ZeroDivisionError("told to")
        self.last = int(action)
        self.steps += 1
        ended = self.last in (END, SLOW_RESET, BROKEN_RESET)
        return self._show(), 1.0, ended, self.steps >= self.end, {"pid": os.getpid()}

    def pause(self):
        self.paused += 1

    def add(self, one, *, two):
        return one + two

    def _show(self):
        return np.array([self.seed, self.steps + 100 * self.paused], np.int64)


class Dice(Toy):
    """Pays what its generator throws, and knows how to go on from a state."""

    def step(self, action):
        observation, _, terminated, truncated, info = super().step(action)
        return observation, float(self.np_random.random()), terminated, truncated, info

    def get_state(self):
        if self.last == SLOW_RESET:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"numbers": [self.seed, self.steps, self.last], "generator": self.np_random.bit_generator.state}

    def set_state(self, state):
        self.seed, self.steps, self.last = state["numbers"]
        self.np_random.bit_generator.state = state["generator"]
