"""What DQN draws from besides its ring: demonstrations, which its checkpoints hold, and older rows."""

import copy
import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos import DQN, DQNConfig
from hakisa_algos.data.collect import Collector
from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.dataset import open_rows, write_rows
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.replay import ReplaySampler
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.learners.demonstrations import held, state_of
from hakisa_algos.learners.dqn import DQNLearner
from hakisa_algos.policy.q_network import QNetwork
from tests.helpers.counting import RandomPolicy, counting_envs
from tests.helpers.learning import assert_same

CONFIG = DQNConfig(
    num_envs=3, buffer_size=60, learning_starts=12, train_every=6, gradient_steps=2, batch_size=16, hidden_sizes=(8,)
)


class Keyed(gym.Env):
    """Dict observations, and ends of both kinds."""

    observation_space = spaces.Dict({"a.b": spaces.Box(-1, 1, (2,)), "c": spaces.Box(0, 255, (3,), np.uint8)})
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        ends = self.np_random.random(2) < 0.2
        return self.observation_space.sample(), float(action), bool(ends[0]), bool(ends[1] and not ends[0]), {}


def played(env=None, *, columns=2, rows=40, capacity=50, options=None, seed=9):
    """Random play; the oldest rows are gone where the capacity is smaller."""
    envs = counting_envs(n=columns) if env is None else make_envs(env, columns, options)
    policy = QNetwork(envs.single_observation_space, envs.single_action_space, network="mlp", hidden_sizes=(4,))
    layout = policy.observation
    stack = FrameStack.of(envs.metadata.get("frame_stack"), layout.raw_space, layout.space)
    buffer = RolloutBuffer(capacity, columns, layout, stack)
    Collector(envs, policy, buffer, seed=seed).collect(Rows(rows))
    return buffer


def learner_of(**options):
    import dataclasses

    envs = counting_envs(n=3)
    config = dataclasses.replace(CONFIG, **options)
    space, actions = envs.single_observation_space, envs.single_action_space
    learner = DQNLearner(space, actions, config, num_envs=3, seed=0, device=torch.device("cpu"))
    buffer = RolloutBuffer(learner.facts().capacity, 3, learner.policy.observation)
    collector = Collector(envs, RandomPolicy(), buffer, seed=0)
    return learner, buffer, collector


PONG = {"frame_size": 16, "frame_stack": 2, "frame_skip": 16, "max_episode_steps": 15}


@pytest.mark.parametrize(
    ("env", "options", "capacity"),
    [(None, None, 50), (None, None, 25), (Keyed, None, 50), ("Hakisa/Pong-v0", PONG, 30)],
    ids=["vectors", "a ring that went round", "dict", "stacks"],
)
def test_a_copy_of_a_ring_is_drawn_from_like_the_ring(env, options, capacity):
    ring = played(env, capacity=capacity, options=options)
    shown = held(copy.deepcopy(state_of(ring)))
    sampler = ReplaySampler(shown.capacity, 1, 3)
    copied = sampler.sample(shown, 300, np.random.default_rng(1))
    column, row = np.divmod(copied.position.numpy(), shown.rows // 2)
    position = (row + 40 - (shown.rows // 2 - 1)) * 2 + column
    assert set(position) <= set(range(2 * ring.oldest, ring.steps))
    assert len(set(position)) > 40
    original = sampler._transitions(ring, position, np.ones(300, np.float32))
    assert bool((original.steps < 3).any())  # ends of episodes are among them
    names = set(original.__dataclass_fields__) - {"position"}
    assert_same({name: getattr(copied, name) for name in names}, {name: getattr(original, name) for name in names})


def test_rows_on_the_disk_are_demonstrations_too_and_their_files_may_go(tmp_path):
    learner, buffer, collector = learner_of(demonstration_share=0.5)
    collector.collect(Rows(5))
    write_rows(tmp_path, played())
    learner.demonstrate(open_rows(tmp_path))
    shutil.rmtree(tmp_path)
    other, _, _ = learner_of(demonstration_share=0.5)
    other.load_state(learner.state())
    assert other._sources.demonstrations.take("action", np.arange(80)).any()
    assert np.isfinite(learner.update(buffer)["train/loss"])


def test_rewards_of_demonstrations_are_relabelled_too():
    learner, buffer, collector = learner_of(demonstration_share=0.5)
    collector.collect(Rows(5))
    learner.demonstrate(played())
    buffer.relabel = lambda rows, position: np.full(position.shape, 7, np.float32)
    batch, shown = learner._draw(buffer, 1.0)
    assert (batch.reward[-shown:, 0] == 7).all()
    stored = learner.state()["demonstrations"][0][0]["arrays"]["column.reward"]
    assert not (stored == 7).any()  # what is stored stays what it was


def test_demonstrations_are_in_checkpoints_and_the_run_goes_on_the_same(tmp_path):
    config = DQNConfig(
        total_steps=608, num_envs=2, learning_starts=64, train_every=16, gradient_steps=2, batch_size=16,
        hidden_sizes=(8,), demonstration_share=0.25,
    )  # fmt: skip

    def begun(steps, run):
        agent = DQN("CartPole-v1", config, seed=1)
        agent.learner.demonstrate(played("CartPole-v1"))
        agent.learn(run=run, callbacks=[lambda trainer, metrics: trainer.step < steps])
        return agent

    whole = begun(608, tmp_path / "whole")
    begun(304, tmp_path / "parts")
    again = DQN.load(tmp_path / "parts").learn()
    assert again.steps == whole.steps == 608
    assert_same(again.learner.state(), whole.learner.state())


def test_those_that_are_given_after_loading_take_the_place_of_the_stored_ones():
    learner, _, _ = learner_of(demonstration_share=0.25)
    learner.demonstrate(played())
    stored = copy.deepcopy(learner.state())
    other, _, _ = learner_of(demonstration_share=0.25)
    given = played(rows=10)
    other.demonstrate(given)
    other.load_state(stored)
    assert other.state()["demonstrations"][0][0]["rows"] == 10


def test_without_demonstrations_a_state_says_none():
    learner, _, _ = learner_of()
    assert learner.state()["demonstrations"] is None
    other, _, _ = learner_of()
    other.load_state(learner.state())


def test_older_rows_are_drawn_in_proportion_until_the_ring_is_full():
    learner, buffer, collector = learner_of(batch_size=400)
    older = played(columns=4, rows=12)
    older._arrays["action"][:] = 2
    buffer.older = older
    for rows, share in ((2, 48 / 54), (4, 42 / 60), (11, 9 / 60), (3, 0.0), (5, 0.0)):
        collector.collect(Rows(rows))
        buffer._arrays["action"][:] = 0
        batch, shown = learner._draw(buffer, 1.0)
        assert shown == 0
        assert len(batch) == 400
        assert (batch.action == 2).float().mean().item() == pytest.approx(share, abs=0.08)
        assert np.isfinite(learner.update(buffer)["train/loss"])


def test_demonstrations_and_older_rows_have_no_priorities_and_demonstrations_come_last():
    learner, buffer, collector = learner_of(prioritized=True, demonstration_share=0.25)
    shown = played()
    shown._arrays["action"][:] = 2
    learner.demonstrate(shown)
    buffer.older = played(columns=4, rows=12, seed=3)
    collector.collect(Rows(8))
    buffer._arrays["action"][:] = 0
    batch, count = learner._draw(buffer, 1.0)
    assert (len(batch), count) == (16, 4)
    assert (batch.action[-4:] == 2).all()
    before = learner._sources.own._tree.values.copy()
    learner.update(buffer)
    changed = np.flatnonzero(learner._sources.own._tree.values != before)
    assert len(changed) > 0
    assert (changed < 24).all()


def test_old_rows_are_enough_to_begin_with():
    learner, buffer, collector = learner_of(learning_starts=40)
    collector.collect(Rows(2))
    assert "train/loss" not in learner.update(buffer)
    buffer.older = played(columns=4, rows=12)
    assert "train/loss" in learner.update(buffer)


@pytest.mark.parametrize("beside", [False, True])
def test_whether_it_learns_beside_is_the_configs_affair_alone(beside):
    learner, _, _ = learner_of(learn_beside=beside)
    assert learner.facts().beside is beside
    box = spaces.Box(0, 255, (84, 84, 4), np.uint8)
    assert DQNLearner.default_config(box).learn_beside
    assert not DQNLearner.default_config(spaces.Box(0, 1, (4,))).learn_beside
