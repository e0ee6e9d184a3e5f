"""Rows that are transitions but are not learned from: no loss sees them, and yet their reward counts for others."""

import numpy as np
import pytest
import torch

from hakisa_algos.learners.dqn import DQNLearner
from hakisa_algos.learners.ppo import A2CLearner, PPOLearner
from hakisa_algos.learners.pqn import PQNLearner
from tests.helpers.counting import counting_envs
from tests.helpers.learning import make_loop

SPARED = (4, 5, 9)


def loop_of(learner_class, **changes):
    loop = make_loop(counting_envs(longest=50), learner_class, n_steps=16, minibatch_size=1000, **changes)
    loop.collect()
    return loop


def spare(loop, rows=SPARED, column=1):
    for row in rows:
        loop.buffer._arrays["learned"][row, column] = False


@pytest.mark.parametrize("learner_class", [PPOLearner, A2CLearner, PQNLearner])
def test_they_are_in_no_batch(learner_class):
    loop = loop_of(learner_class)
    spare(loop)
    batch = loop.learner._batch(loop.buffer.rollout(loop.learner.config.n_steps))
    assert sorted(set(range(48)) - set(batch.index.tolist())) == [3 * row + 1 for row in SPARED]


@pytest.mark.parametrize(("learner_class", "aim"), [(PPOLearner, "returns"), (PQNLearner, "target")])
def test_their_reward_reaches_the_rows_before_them(learner_class, aim):
    loop = loop_of(learner_class)
    spare(loop)
    rollout = loop.buffer.rollout(16)
    before = loop.learner._batch(rollout)
    loop.buffer._arrays["reward"][4, 1] += 1000
    after = loop.learner._batch(loop.buffer.rollout(16))
    assert torch.equal(before.index, after.index)
    changed = (getattr(after, aim) - getattr(before, aim)).abs() > 1e-3
    rows = before.index[changed]
    assert 3 * 3 + 1 in rows.tolist()
    assert (rows % 3 == 1).all()
    assert (rows < 4 * 3).all()


@pytest.mark.parametrize("learner_class", [PPOLearner, PQNLearner])
def test_nor_are_they_in_the_statistics(learner_class):
    loop = loop_of(learner_class, normalize_observation=True)
    spare(loop)
    loop.buffer._observations[""].data[4, 1] = 1e20
    loop.learner.update(loop.buffer)
    assert loop.learner.policy.normalizer.parts[0].count == 48 - len(SPARED)
    assert loop.learner.policy.normalizer.parts[0].mean.abs().max() < 1e10


def test_advantages_are_normalised_over_the_others():
    loop = loop_of(PPOLearner)
    loop.buffer._arrays["reward"][4, 1] = 1e6
    loop.buffer._arrays["terminated"][3, 1] = True  # so that it reaches nobody before it
    spare(loop, rows=(4,))
    batch = loop.learner._batch(loop.buffer.rollout(16))
    assert batch.advantage.abs().max() < 1e5


def test_a_rollout_of_such_rows_alone_is_passed_over():
    for learner_class in (PPOLearner, PQNLearner):
        loop = loop_of(learner_class)
        loop.buffer._arrays["learned"][:] = False
        assert loop.learner.update(loop.buffer) == {"train/gradient_steps": 0.0}


@pytest.mark.parametrize("prioritized", [False, True])
def test_replay_does_not_begin_with_them_but_goes_through_them(prioritized):
    config = DQNLearner.config_class(
        num_envs=3, n_step=3, buffer_size=48, learning_starts=1, prioritized=prioritized, train_every=48
    )
    loop = make_loop(counting_envs(longest=50), DQNLearner, config)
    loop.collector.collect(loop.learner.facts().need)
    loop.buffer._arrays["terminated"][:] = loop.buffer._arrays["truncated"][:] = False
    spare(loop)
    drawn = loop.learner._sources.own.sample(loop.buffer, 2000, np.random.default_rng(0))
    seen = dict(zip(drawn.position.tolist(), drawn.reward.tolist(), strict=True))
    assert not {3 * row + 1 for row in SPARED} & set(seen)
    rewards = loop.buffer._arrays["reward"][:, 1]
    assert seen[3 * 3 + 1] == pytest.approx(rewards[3:6].tolist())
