"""A vector env whose columns come in groups that different threads may step, and policies that carry no state."""

import threading

import numpy as np
import torch
from gymnasium.vector import SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

from hakisa_algos.policy.observations import ObservationLayout
from hakisa_algos.policy.policy import Decision
from tests.helpers.counting import CountingEnv


class GroupedEnvs(VectorEnv):
    """CountingEnvs in groups of the given sizes."""

    def __init__(self, sizes, make=CountingEnv, **options):
        starts = np.cumsum([0, *sizes])
        self.groups = tuple(
            SyncVectorEnv(
                [lambda i=i: make(i, **options) for i in range(start, start + size)], autoreset_mode="Disabled"
            )
            for start, size in zip(starts, sizes, strict=False)
        )
        self._parts = [slice(start, start + size) for start, size in zip(starts, sizes, strict=False)]
        first = self.groups[0]
        self.num_envs = sum(sizes)
        self.metadata = {**first.metadata, "masked_reset": True}
        self.single_observation_space, self.single_action_space = (
            first.single_observation_space,
            first.single_action_space,
        )
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._seen = [None] * len(sizes)

    @property
    def envs(self):
        """All columns."""
        return [env for group in self.groups for env in group.envs]

    def reset(self, *, seed=None, options=None):
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        for i, (group, part) in enumerate(zip(self.groups, self._parts, strict=True)):
            if mask[part].any():
                wanted = None if mask[part].all() else {"reset_mask": mask[part]}
                self._seen[i] = group.reset(seed=seed[part], options=wanted)[0]
        return np.concatenate(self._seen), {}

    def step(self, actions):
        steps = [group.step(actions[part]) for group, part in zip(self.groups, self._parts, strict=True)]
        self._seen = [step[0] for step in steps]
        return *(np.concatenate([step[i] for step in steps]) for i in range(4)), {}


class StatelessPolicy:
    """Acts by what it sees, or, with ``explore``, at random; ``threads`` are those that it acted in."""

    version = 0

    def __init__(self, space=None, choices=3, random=False):
        self.observation = ObservationLayout(space or CountingEnv().observation_space)
        self.choices, self.random = choices, random
        self.threads = []

    def act(self, observation, state, explore, generator):
        self.threads.append((threading.get_ident(), torch.get_num_threads()))
        if self.random:
            action = torch.randint(self.choices, (len(observation),), generator=generator)
        else:
            rows = observation.reshape(len(observation), -1).long()
            action = (rows * torch.arange(1, rows.shape[1] + 1)).sum(1) % 1009 % self.choices
        return Decision(action, {"twice": 2 * action}, {})

    def initial_state(self, n):
        return {}

    def begin(self, mask, state):
        return state
