"""The DQN update: targets, target network, shaping, demonstrations, faults; and that it learns."""

import copy
import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos import DQN, DQNConfig
from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import ConfigError, NonFiniteError
from hakisa_algos.learners.dqn import DQNLearner as Learner
from hakisa_algos.learners.dqn import pointwise_loss
from hakisa_envs.spaces import ConditionalMultiDiscrete
from tests.helpers.counting import RandomPolicy, counting_envs

SMALL = DQNConfig(
    total_steps=1000,
    buffer_size=60,
    learning_starts=30,
    train_every=3,
    gradient_steps=2,
    batch_size=16,
    hidden_sizes=(8,),
    learning_rate=1e-3,
)


def made(**options):
    """A learner and a buffer of random play in the counting env."""
    config = dataclasses.replace(SMALL, **options)
    envs = counting_envs(n=3)
    learner = Learner(
        envs.single_observation_space,
        envs.single_action_space,
        config,
        num_envs=3,
        seed=0,
        device=torch.device("cpu"),
    )
    buffer = RolloutBuffer(learner.facts().capacity, 3, learner.policy.observation)
    collector = Collector(envs, RandomPolicy(), buffer, seed=0)
    collector.collect(Rows(20))
    return learner, buffer, collector


def weights(learner):
    state = learner.state()
    tensors = [*state["policy"].values(), *state["target"].values()]
    for entry in state["optimizer"]["state"].values():
        tensors += [v for v in entry.values() if isinstance(v, torch.Tensor)]
    return [t.clone() for t in tensors]


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("n_step", [1, 3])
def test_targets_are_the_papers(double, n_step):
    learner, buffer, _ = made(double=double, n_step=n_step, gamma=0.9, reward_scale=0.1, reward_clip=4.0)
    for parameter in learner.target.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    batch, *_ = learner._draw(buffer, 1.0)
    targets = learner.targets(batch)
    online, target = learner.policy(batch.next_observation), learner.target(batch.next_observation)
    for i in range(len(batch)):
        k = int(batch.steps[i])
        value = sum(0.9**j * min(0.1 * float(batch.reward[i, j]), 4.0) for j in range(k))
        if not batch.terminated[i]:
            chooser = online if double else target
            value += 0.9**k * float(target.table[i, 0, chooser.table[i, 0].argmax()])
        assert float(targets[i]) == pytest.approx(value, rel=1e-4)


def test_rewards_in_the_buffer_and_in_the_statistics_stay_raw():
    _, buffer, _ = made(reward_scale=0.1, reward_clip=1.0)
    assert buffer.take("reward", np.arange(60)).max() > 10


def test_the_losses_are_the_named_ones():
    error = torch.tensor([-3.0, -0.5, 0.0, 2.0])
    assert pointwise_loss(error, "mse").tolist() == [4.5, 0.125, 0, 2]
    assert pointwise_loss(error, "huber").tolist() == [2.5, 0.125, 0, 1.5]


def test_nothing_is_learned_before_learning_starts_and_epsilon_waits():
    learner, buffer, collector = made(learning_starts=60, epsilon_start=0.9)
    before = weights(learner)
    buffer.rows = 19
    assert learner.update(buffer) == {"rollout/exploration_rate": pytest.approx(0.9)}
    assert same(before, weights(learner))
    buffer.rows = 20
    assert learner.update(buffer)["train/gradient_steps"] == 2
    assert not same(before, weights(learner))
    assert float(learner.policy.epsilon) < 0.9
    assert learner.policy.version == 1
    assert collector.buffer is buffer


def test_train_every_counts_env_steps():
    assert made(train_every=12)[0].facts().need == Rows(4)
    assert made(train_every=4)[0].facts().need == Rows(2)
    assert made(buffer_size=61)[0].facts().capacity == 21


def test_the_target_is_copied_every_so_many_env_steps():
    learner, buffer, collector = made(target_every=30)
    for _ in range(12):
        before = copy.deepcopy(learner.target.state_dict())
        due = buffer.steps - learner._copied_at >= 30
        learner.update(buffer)
        new = learner.policy.state_dict() if due else before
        assert all(torch.equal(v, new[k]) for k, v in learner.target.state_dict().items() if k != "epsilon")
        collector.collect(Rows(3))


def test_polyak_moves_the_target_after_each_gradient_step():
    learner, buffer, _ = made(polyak=0.25, gradient_steps=1)
    before = [p.clone() for p in learner.target.parameters()]
    learner.update(buffer)
    for old, new, online in zip(before, learner.target.parameters(), learner.policy.parameters(), strict=True):
        assert torch.allclose(new, old + 0.25 * (online - old), atol=1e-7)
    assert not any(p.requires_grad for p in learner.target.parameters())


def test_priorities_are_the_errors():
    learner, buffer, _ = made(prioritized=True, priority_exponent=1.0, gradient_steps=1, batch_size=40)
    drawn = []
    loss = learner._loss
    learner._loss = lambda batch, *more: drawn.append((batch, out := loss(batch, *more))) or out
    learner.update(buffer)
    batch, (_, error, _) = drawn[0]
    values = learner._sources.own._tree.values
    last = {int(p): float(e) for p, e in zip(batch.position, error.abs(), strict=True)}
    for position, e in last.items():
        assert values[position % 60] == pytest.approx(e + 1e-6, rel=1e-5)
    untouched = set(range(60)) - {p % 60 for p in last}
    assert {values[p] for p in untouched} == {1.0}
    assert untouched


def test_beta_goes_to_1():
    learner, buffer, _ = made(prioritized=True, priority_beta=0.4)
    betas = []
    draw = learner._sources.own.sample
    learner._sources.own.sample = lambda b, n, rng, beta: betas.append(beta) or draw(b, n, rng, beta)
    for total in (60_000, 120, 60, 30):
        learner.config = dataclasses.replace(learner.config, total_steps=total)
        learner.update(buffer)
    assert betas[::2] == pytest.approx([0.4 + 0.6 * 0.001, 0.7, 1.0, 1.0])


class Shown:
    """A buffer whose every action is 2, to tell demonstrations from the agent's own play."""

    def __init__(self):
        envs = counting_envs(n=2)
        policy = RandomPolicy()
        act = policy.act

        def shown(*args):
            decision = act(*args)
            return dataclasses.replace(decision, action=torch.full_like(decision.action, 2))

        policy.act = shown
        self.buffer = RolloutBuffer(50, 2, policy.observation)
        Collector(envs, policy, self.buffer, seed=9).collect(Rows(40))


@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize(("share", "count"), [(0.25, 4), (0.5, 8), (1.0, 16)])
def test_a_stated_share_of_each_batch_is_demonstrated(share, count, prioritized):
    learner, buffer, _ = made(demonstration_share=share, prioritized=prioritized, n_step=2)
    learner.demonstrate(Shown().buffer)
    buffer._arrays["action"][:] = 0
    for _ in range(5):
        batch, demonstrated = learner._draw(buffer, 1.0)
        assert demonstrated == count
        assert batch.action.tolist() == [0] * (16 - count) + [2] * count
    metrics = learner.update(buffer)
    assert metrics["train/margin_loss"] >= 0


@pytest.mark.parametrize(("coefficient", "follows"), [(10.0, True), (0.0, False)])
def test_the_margin_makes_demonstrated_actions_the_best_and_nothing_else_does(coefficient, follows):
    learner, buffer, _ = made(
        demonstration_share=0.5, margin_coefficient=coefficient, gradient_steps=100, learning_rate=1e-2
    )
    shown = Shown().buffer
    rng = np.random.default_rng(0)
    for each in (buffer, shown):
        each._observations[""]._array[:] = rng.normal(size=each._observations[""]._array.shape)
        each._arrays["reward"][:] = 0
    learner.demonstrate(shown)
    for _ in range(3):
        metrics = learner.update(buffer)
    followed = (learner.policy(shown.observation(np.arange(80))).greedy() == 2).float().mean().item()
    assert (followed > 0.95) is follows
    assert metrics.get("train/margin_loss", 1.0) < 0.2 or not follows


def test_a_share_without_demonstrations_says_what_to_do():
    learner, buffer, _ = made(demonstration_share=0.25)
    with pytest.raises(ConfigError, match=r"learner\.demonstrate"):
        learner.update(buffer)


@pytest.mark.parametrize("gradient_steps", [1, 3])
@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("polyak", [None, 0.5])
def test_a_nan_leaves_the_learner_as_it_was(gradient_steps, prioritized, polyak):
    learner, buffer, collector = made(
        gradient_steps=gradient_steps, prioritized=prioritized, polyak=polyak, target_every=1, batch_size=100
    )
    learner.update(buffer)
    collector.collect(Rows(1))
    before, rng = weights(learner), copy.deepcopy(learner.rng.bit_generator.state)
    highest, epsilon = learner._sources.own._highest, float(learner.policy.epsilon)
    reward = buffer._arrays["reward"]
    good = reward.copy()
    reward[:] = np.nan
    with pytest.raises(NonFiniteError, match=r"update 2: .*loss.* became NaN") as caught:
        learner.update(buffer)
    assert np.isnan(caught.value.arrays["reward"]).any()
    assert same(before, weights(learner))
    assert str(learner.rng.bit_generator.state) == str(rng)
    assert (learner.descent.updates, learner.policy.version) == (1, 1)
    assert learner._sources.own._highest == highest
    assert float(learner.policy.epsilon) == epsilon
    reward[:] = good
    assert np.isfinite(list(learner.update(buffer).values())).all()


def test_an_infinite_observation_reaches_neither_the_statistics_nor_the_weights():
    learner, buffer, collector = made(normalize_observation=True, target_every=1)
    learner.update(buffer)
    collector.collect(Rows(1))
    before, rng = weights(learner), str(learner.rng.bit_generator.state)
    buffer._observations[""].data[:] = torch.inf
    with pytest.raises(NonFiniteError, match=r"update 2: .*observation statistics became NaN"):
        learner.update(buffer)
    assert same(before, weights(learner))
    assert str(learner.rng.bit_generator.state) == rng


def test_both_networks_see_the_same_statistics():
    learner, buffer, collector = made(normalize_observation=True, target_every=20)
    for _ in range(4):
        learner.update(buffer)
        collector.collect(Rows(5))
    assert learner.policy.normalizer.parts[0].count > 256
    assert learner.target.normalizer is learner.policy.normalizer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 must be greater than 0"),
        ({"gamma": 1.2}, r"gamma=1.2 must lie in 0\.\.1"),
        ({"polyak": 2.0}, "polyak=2.0"),
        ({"loss": "mae"}, "Did you mean 'mse'"),
        ({"learning_starts": 70}, "learning_starts=70 must be at most buffer_size=60"),
        ({"reward_clip": 0.0}, "reward_clip=0.0"),
        ({"margin": -1.0}, "margin=-1.0 must not be negative"),
        ({"learning_rate_schedule": "lineal"}, "Did you mean 'linear'"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SMALL, **options)


class Clicking(gym.Env):
    """Waiting is worth a little, one click of 20 much, every other click nothing: the mean click is a loss."""

    def __init__(self):
        self.observation_space = spaces.Box(0, 1, (1,), np.float32)
        self.action_space = ConditionalMultiDiscrete([2, 20], [[0], [20]])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action):
        command, place = action
        reward = (1.0 if place == 13 else 0.0) if command == 1 else 0.3
        return np.ones(1, np.float32), reward, True, False, {}


@pytest.mark.parametrize("seed", range(10))
def test_the_one_good_click_of_20_is_found(seed):
    config = DQNConfig(
        num_envs=8,
        learning_starts=64,
        train_every=16,
        gradient_steps=1,
        learning_rate=1e-2,
        hidden_sizes=(16,),
        epsilon_end=0.1,
        epsilon_fraction=0.5,
    )
    agent = DQN(Clicking, config, seed=seed).learn(5000)
    action, _ = agent.predict(np.ones(1, np.float32))
    assert action.tolist() == [1, 13]


@pytest.mark.parametrize("space", [spaces.MultiDiscrete([3, 2, 4]), spaces.MultiBinary(3)])
def test_it_acts_and_learns_in_spaces_of_several_heads(space):
    class Matching(gym.Env):
        """Rewards each head that shows its last choice."""

        observation_space = spaces.Box(0, 1, (1,), np.float32)
        action_space = space
        best = np.array(space.nvec if isinstance(space, spaces.MultiDiscrete) else [2] * space.n) - 1

        def reset(self, *, seed=None, options=None):
            return np.ones(1, np.float32), {}

        def step(self, action):
            return np.ones(1, np.float32), float((action == self.best).sum()), False, True, {}

    config = dataclasses.replace(SMALL, num_envs=4, buffer_size=1000, gamma=0.0, learning_rate=1e-2)
    agent = DQN(Matching, config, seed=0).learn(600)
    assert agent.predict(np.ones(1, np.float32))[0].tolist() == Matching.best.tolist()


def test_it_learns_cartpole():
    config = DQNConfig(learning_starts=500, train_every=64, gradient_steps=24, hidden_sizes=(64, 64))
    best = []

    def watch(trainer, metrics):
        if trainer.step % 2048 == 0:
            best.append(agent.evaluate(8).mean)
            return max(best) < 150
        return None

    agent = DQN("CartPole-v1", config, seed=1)
    agent.learn(15_000, callbacks=[watch])
    assert max(best) >= 150, best  # a random policy scores 22


def test_default_config_for_pictures_builds_a_dueling_cnn():
    box = spaces.Box(0, 255, (84, 84, 4), np.uint8)
    config = Learner.default_config(box)
    learner = Learner(box, spaces.Discrete(6), config, num_envs=8, seed=0, device=torch.device("cpu"))
    assert learner.policy.heads.state_value is not None
    observation = torch.zeros(2, 4, 84, 84, dtype=torch.uint8)
    assert learner.policy(observation).max().shape == (2,)
    assert Learner.default_config(spaces.Box(0, 1, (4,))) == DQNConfig()
