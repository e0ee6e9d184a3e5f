"""A column that is reset in its own process while the others play: its rows are no data, and theirs go on."""

import time
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.policy.precision import torch_threads
from hakisa_envs.vector import ProcessVectorEnv
from tests.helpers.counting import RandomPolicy

RESET_S, STEP_S, LENGTH, ROWS = 0.3, 0.005, 3, 150


class SlowGame(gym.Env):
    """A game in real time: shows its last four steps' numbers, from 1 on; a step pays its number.

    Column 1 has short episodes, between which a reset takes long. The first two rows of an episode are younger than
    a stack is deep, which a wrong start of the stack would not survive.
    """

    def __init__(self, column, padding):
        self.metadata = {"hakisa_contract": 1, "real_time": True, "frame_stack": (0, 4, padding)}
        self.observation_space = spaces.Box(0, 10**6, (4,), np.float32)
        self.action_space = spaces.Discrete(3)
        self.column, self.padding, self.played, self.paused = column, padding, False, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.column == 1 and self.played:
            time.sleep(RESET_S)
        self.played, self.steps = True, 1
        return self._show(), {}

    def step(self, action):
        time.sleep(STEP_S)
        reward = float(self.steps)
        self.steps += 1
        return self._show(), reward, self.column == 1 and self.steps > LENGTH, False, {}

    def _show(self):
        return stack_at(self.steps, self.padding)


def stack_at(steps, padding):
    first = 0 if padding == "zero" else 1
    return np.array([max(first, steps - back) for back in (3, 2, 1, 0)], np.float32)


@pytest.mark.parametrize("padding", ["zero", "reset"])
def test_others_go_on_and_the_rows_of_a_reset_are_no_data(padding):
    envs = ProcessVectorEnv([partial(SlowGame, column, padding) for column in range(2)])
    policy = RandomPolicy(envs.single_observation_space)
    stack = FrameStack.of(envs.metadata["frame_stack"], envs.single_observation_space, policy.observation.space)
    buffer = RolloutBuffer(ROWS, 2, policy.observation, stack)
    collector = Collector(envs, policy, buffer, seed=3)
    try:
        collector.collect(Rows(ROWS // 2))
        collector.collect(Rows(ROWS - ROWS // 2))
    finally:
        envs.close()

    rollout = buffer.rollout(ROWS)
    valid, reward, memory = (rollout.column(name).numpy() for name in ("transition", "reward", "memory"))
    seen = rollout.observation(torch.arange(len(rollout))).numpy().reshape(ROWS, 2, 4)
    assert valid[:, 0].all()
    assert reward[:, 0].tolist() == list(range(1, ROWS + 1))  # it never waited, and nothing of it is lost

    terminated = rollout.column("terminated").numpy()
    ends = np.flatnonzero(terminated[:, 1])
    starts = [0, *(end + 1 + int(np.argmax(valid[end + 1 :, 1])) for end in ends[:-1])]
    assert len(ends) >= 2
    for start, end in zip(starts, ends, strict=True):
        rows = slice(start, end + 1)
        assert reward[rows, 1].tolist() == [1.0, 2.0, 3.0]
        assert memory[rows, 1].tolist() == [0, 1, 2]  # the policy was told of the start, once and there
        assert seen[rows, 1].tolist() == [stack_at(steps, padding).tolist() for steps in (1, 2, 3)]
    between = [start - end - 1 for start, end in zip(starts[1:], ends, strict=False)]
    assert min(between) >= RESET_S / STEP_S / 10  # so many steps of column 0 fell into one reset
    assert int(valid[: ends[-1] + 1, 1].sum()) == LENGTH * len(ends)
    episodes = [(episode.total, episode.length) for episode in buffer.episodes() if episode.env == 1]
    assert episodes == [(6.0, LENGTH)] * len(ends)


class Counting(RandomPolicy):
    """Notes how many threads torch has while it acts."""

    threads = ()

    def act(self, *arguments):
        self.threads = {*self.threads, torch.get_num_threads()}
        return super().act(*arguments)


@pytest.mark.parametrize(("make", "threads"), [(lambda: SlowGame(0, "zero"), 1), (lambda: Deterministic(0, "zero"), 2)])
def test_the_policy_leaves_the_cores_to_a_game_in_real_time(make, threads):
    policy = Counting(make().observation_space)
    envs = make_envs(make(), 1)
    envs.metadata = {**envs.metadata, **make().metadata}
    with torch_threads(2):
        Collector(envs, policy, RolloutBuffer(3, 1, policy.observation)).collect(Rows(3))
        assert policy.threads == {threads}
        assert torch.get_num_threads() == 2


def test_deterministic_games_are_waited_for():
    envs = ProcessVectorEnv([partial(Deterministic, column, "zero") for column in range(2)])
    policy = RandomPolicy(envs.single_observation_space)
    buffer = RolloutBuffer(10, 2, policy.observation)
    try:
        Collector(envs, policy, buffer, seed=3).collect(Rows(10))
    finally:
        envs.close()
    assert buffer.rollout(10).column("transition").all()


class Deterministic(SlowGame):
    """The same, but a step takes as long as it takes."""

    def __init__(self, column, padding):
        super().__init__(column, padding)
        del self.metadata["real_time"]
