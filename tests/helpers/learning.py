"""A learner with its envs, buffer and collector, put together as the trainer does it, small and in one call."""

from dataclasses import dataclass
from typing import Any

import torch

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.learners.ppo import PPOLearner


@dataclass
class Loop:
    envs: Any
    learner: Any
    buffer: RolloutBuffer
    collector: Collector

    def collect(self):
        """Collects what the next update needs."""
        self.collector.collect(self.learner.facts().need)
        return self.buffer.rollout(self.learner.config.n_steps)

    def step(self):
        """Collects and updates; returns the metrics."""
        self.collect()
        return self.learner.update(self.buffer)


def make_loop(env, learner_class=PPOLearner, config=None, *, num_envs=4, options=None, seed=0, factory=None, **changes):
    """``changes`` go into the config, whose rollouts are short here."""
    envs = make_envs(env, None if hasattr(env, "num_envs") else num_envs, options)
    if config is None:
        small = {"n_steps": 16, "minibatch_size": 32, "num_envs": envs.num_envs, "precision": "fp32"}
        config = learner_class.config_class(**(small | changes))
    learner = learner_class(
        envs.single_observation_space,
        envs.single_action_space,
        config,
        num_envs=envs.num_envs,
        seed=seed,
        device=torch.device("cpu"),
        network=factory,
    )
    layout = learner.policy.observation
    stack = FrameStack.of(envs.metadata.get("frame_stack"), layout.raw_space, layout.space)
    buffer = RolloutBuffer(learner.facts().capacity, envs.num_envs, layout, stack)
    return Loop(envs, learner, buffer, Collector(envs, learner.policy, buffer, seed=seed))


def assert_same(a, b, path="state"):
    """Nested states are equal to the last bit."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}.{i}")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b) or ((a.isnan() == b.isnan()).all() and torch.equal(a[~a.isnan()], b[~b.isnan()])), path
    elif hasattr(a, "dtype"):
        assert a.dtype == b.dtype, path
        assert a.tobytes() == b.tobytes(), path
    else:
        assert a == b or (a != a and b != b), path
