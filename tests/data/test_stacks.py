"""Frames stored once give back exactly the stacks that the env showed, or the env's declaration is refused."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation

from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.ppo import PPOLearner
from hakisa_algos.policy.observations import ObservationLayout
from hakisa_algos.training.trainer import Trainer
from tests.helpers.rows import carry_over

ENVS = 3


class Film:
    """Columns of random frames, stacked along ``axis``, with random ends; ``step`` gives stacks and starts."""

    def __init__(self, rng, space, stack):
        self.rng, self.space, self.stack = rng, space, stack
        shape = list(space.shape)
        shape[stack.axis] //= stack.size
        self.frame_shape = shape
        self.frames = [[] for _ in range(ENVS)]
        self.over = np.ones(ENVS, bool)

    def frame(self):
        return self.rng.integers(1, 255, self.frame_shape).astype(self.space.dtype)

    def next(self):
        start = self.over.copy()
        for env in range(ENVS):
            if start[env]:
                first = self.frame()
                padding = np.zeros_like(first) if self.stack.padding == "zero" else first
                self.frames[env] = [padding] * (self.stack.size - 1)
                self.frames[env].append(first)
            else:
                self.frames[env] = [*self.frames[env][1:], self.frame()]
        self.over = self.rng.random(ENVS) < 0.25
        return np.stack([np.concatenate(f, axis=self.stack.axis) for f in self.frames]), start


def add(buffer):
    n = buffer.num_envs
    nothing = np.zeros(n, bool)
    row = {"terminated": nothing, "truncated": nothing, "transition": ~nothing, "learned": ~nothing}
    buffer.add(row | {"action": np.zeros(n, np.int64), "reward": np.zeros(n), "policy_version": 0}, {})


CASES = {
    "frames first": (spaces.Box(0, 255, (4, 5, 6), np.uint8), (0, 4)),
    "frames last, so transposed": (spaces.Box(0, 255, (5, 6, 4), np.uint8), (-1, 4)),
    "colour frames last": (spaces.Box(0, 255, (8, 9, 6), np.uint8), (2, 2)),
    "colour frames first": (spaces.Box(0, 255, (6, 8, 9), np.uint8), (0, 2)),
    "vectors": (spaces.Box(-1e3, 1e3, (3, 5), np.float32), (0, 3)),
    "flat vectors": (spaces.Box(-1e3, 1e3, (15,), np.float32), (-1, 3)),
    "stack of one": (spaces.Box(0, 255, (1, 5, 6), np.uint8), (0, 1)),
}


@pytest.mark.parametrize("padding", ["zero", "reset"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("capacity", [1, 7])
def test_stacks_equal_naive_storage_across_episode_ends_and_the_seam(case, padding, capacity):
    space, (axis, size) = CASES[case]
    layout = ObservationLayout(space)
    stack = FrameStack.of((axis, size, padding), space, layout.space)
    assert stack is not None
    buffer = RolloutBuffer(capacity, ENVS, layout, stack)
    film = Film(np.random.default_rng(size), space, stack)
    shown = []
    for _ in range(6 * (capacity + size)):
        raw, start = film.next()
        shown.append(layout.encode(raw).copy())
        buffer.observe(shown[-1], start)
        if len(shown) > 1:
            length = min(len(shown) - 1, capacity)
            rollout = buffer.rollout(length)
            naive = np.concatenate(shown[-length - 1 : -1])
            np.testing.assert_array_equal(rollout.observation(torch.arange(length * ENVS)), naive)
            np.testing.assert_array_equal(rollout.next_observation(), shown[-1])
            some = torch.randint(length * ENVS, (5,), generator=torch.Generator().manual_seed(len(shown)))
            np.testing.assert_array_equal(rollout.observation(some), naive[some])
        add(buffer)


@pytest.mark.parametrize("rows", [0, 7])
@pytest.mark.parametrize("at", [0, 1, 2, 5, 30])
def test_a_loaded_buffer_rebuilds_the_stacks_of_the_saved_one(rows, at, tmp_path):
    """Also with no rows kept: the stack at the head, where the next rollout begins, needs the frames before it."""
    space = spaces.Box(0, 255, (4, 5, 6), np.uint8)
    stack = FrameStack(0, 4, "zero")
    layout = ObservationLayout(space)
    saved, loaded = (RolloutBuffer(7, ENVS, layout, stack) for _ in range(2))
    film = Film(np.random.default_rng(at), space, stack)
    for _ in range(at):
        saved.observe(*film.next())
        add(saved)
    saved.observe(*film.next())
    carry_over(saved, loaded, tmp_path, rows)
    for _ in range(7):
        for buffer in (saved, loaded):
            add(buffer)
        raw, start = film.next()
        for buffer in (saved, loaded):
            buffer.observe(raw, start)
    before, after = saved.rollout(7), loaded.rollout(7)
    everything = torch.arange(7 * ENVS)
    np.testing.assert_array_equal(before.observation(everything), after.observation(everything))
    np.testing.assert_array_equal(before.next_observation(), after.next_observation())


def test_stacks_are_stored_once():
    space = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    layout = ObservationLayout(space)
    once = RolloutBuffer(100, 2, layout, FrameStack(0, 4, "zero"))
    whole = RolloutBuffer(100, 2, layout)
    assert once.nbytes < 0.27 * whole.nbytes


class Pixels(gym.Env):
    """84 x 84 noise, in episodes of random length."""

    observation_space = spaces.Box(0, 255, (84, 84), np.uint8)
    action_space = spaces.Discrete(6)

    def frame(self):
        return self.np_random.integers(0, 256, (84, 84), dtype=np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.frame(), {}

    def step(self, action):
        return self.frame(), 0.0, self.np_random.random() < 0.2, self.np_random.random() < 0.2, {}


def stacked_pixels(padding="reset", declared="reset"):
    env = FrameStackObservation(Pixels(), 4, padding_type=padding)
    env.metadata = {"hakisa_contract": 1, "frame_stack": (0, 4, declared)}
    return env


def trainer_on(make, n):
    envs = make_envs(make, n)
    config = PPOLearner.default_config(envs.single_observation_space)
    learner = PPOLearner(
        envs.single_observation_space,
        envs.single_action_space,
        config,
        num_envs=n,
        seed=0,
        device=torch.device("cpu"),
    )
    return Trainer(learner, envs)


def test_a_transition_of_stacked_pixels_takes_at_most_7_5_kilobytes():
    config = PPOLearner.default_config(spaces.Box(0, 255, (4, 84, 84), np.uint8))
    trainer = trainer_on(stacked_pixels, config.num_envs)
    trainer.collector.collect(Rows(3))
    assert trainer.buffer.capacity == config.n_steps
    assert trainer.buffer.nbytes / (config.n_steps * config.num_envs) <= 7500


@pytest.mark.parametrize("padding", ["zero", "reset"])
def test_gymnasiums_own_stacks_are_taken_by_their_declaration(padding):
    trainer = trainer_on(lambda: stacked_pixels(padding, padding), 2)
    trainer.collector.collect(Rows(40))
    assert trainer.buffer._observations[""].stack is not None


@pytest.mark.parametrize("declared", ["zero", "reset"])
def test_a_wrong_padding_is_found_out(declared):
    other = {"zero": "reset", "reset": "zero"}[declared]
    with pytest.raises(ConfigError, match=r"frame_stack.*mend or remove"):
        trainer_on(lambda: stacked_pixels(other, declared), 2).collector.collect(Rows(1))


def test_a_stack_in_another_order_is_found_out():
    class Reversed(gym.ObservationWrapper):
        def observation(self, observation):
            return observation[::-1]

    def make():
        env = Reversed(stacked_pixels())
        env.metadata = {"hakisa_contract": 1, "frame_stack": (0, 4, "reset")}
        return env

    with pytest.raises(ConfigError, match="not stacks of the frames before them"):
        trainer_on(make, 1).collector.collect(Rows(20))


def test_frames_that_are_skipped_are_found_out():
    space = spaces.Box(0, 255, (2, 4, 4), np.uint8)
    layout = ObservationLayout(space)
    buffer = RolloutBuffer(8, 1, layout, FrameStack(0, 2, "zero"))
    frames = np.random.default_rng(0).integers(1, 255, (4, 4, 4), np.uint8)
    buffer.observe(np.stack([np.zeros_like(frames[0]), frames[0]])[None], np.array([True]))
    add(buffer)
    with pytest.raises(ConfigError, match="not stacks"):
        buffer.observe(frames[None, 1:3], np.array([False]))


@pytest.mark.parametrize(
    "declared",
    [(0, 3, "zero"), (0, 4, "repeat"), (5, 4, "zero"), (0, 0, "zero"), (0, -2, "zero"), (0, 4), "nonsense", 4],
)
def test_a_declaration_that_cannot_be_is_refused(declared):
    space = spaces.Box(0, 255, (4, 8, 8), np.uint8)
    with pytest.raises(ConfigError, match="does not fit observations of shape") as caught:
        FrameStack.of(declared, space, space)
    assert repr(declared) in str(caught.value)


def test_without_a_declaration_or_with_keys_observations_are_stored_whole():
    space = spaces.Box(0, 255, (4, 8, 8), np.uint8)
    assert FrameStack.of(None, space, space) is None
    keyed = spaces.Dict({"picture": space})
    assert FrameStack.of((0, 4, "zero"), keyed, keyed) is None
    along_rows = FrameStack.of((1, 4, "zero"), space, space)
    assert along_rows is None
