"""Who plays a job of a comparison: an algorithm of ours, one of Stable-Baselines3, or chance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces

from hakisa_algos.agent import Agent, config_from
from hakisa_algos.comparison.plan import PEER_PREFIX, PEERS, RANDOM, Job, Plan
from hakisa_algos.data.masks import decided
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError, did_you_mean
from hakisa_algos.learners.registry import algorithms, find_algorithm
from hakisa_algos.policy.policy import Policy
from hakisa_algos.policy.random_policy import RandomPolicy

# Called with the env steps so far, between updates; False ends the training.
Watch = Callable[[int], bool]


class Interrupted(Exception):
    """A signal ended a job, whose result would not be what its protocol says; which one, and what it ended."""

    def __str__(self) -> str:
        return ": ".join(self.args)


@dataclass(frozen=True)
class Player:
    """Trains, plays and says what it is.

    Attributes:
        source: where its hyperparameters come from, in words.
        config: the hyperparameters.
        policy: what plays in evaluations.
        device: where that lives.
        train: trains for the whole budget, or until its :data:`Watch` says False, and returns the env steps it took;
            raises :class:`Interrupted`.
        seed: what the policy draws from now on depends on its argument, where it has generators of its own.
        close: closes its envs.
    """

    source: str
    config: Mapping[str, Any]
    policy: Policy
    device: torch.device
    train: Callable[[Watch], int]
    seed: Callable[[int], None]
    close: Callable[[], None]


def make_player(job: Job) -> Player:
    """Who plays ``job``, not trained yet."""
    if job.algorithm == RANDOM:
        return _chance(job)
    if job.algorithm.startswith(PEER_PREFIX):
        from hakisa_algos.comparison.peers import peer

        return peer(job)
    return _ours(job)


def check_plan(plan: Plan) -> None:
    """Finds before the first run what would end every run of an algorithm or in an env: a ConfigError."""
    known = [*algorithms(), *PEERS, RANDOM]
    for name in plan.algorithms:
        if name not in known:
            raise ConfigError(f"algorithm {name!r} is unknown.{did_you_mean(name, known)}")
    for name in plan.algorithms:
        if name.startswith(PEER_PREFIX):
            from hakisa_algos.comparison.peers import check_peer

            check_peer(Job(name, "", 0, plan.protocol))
    for env in plan.envs:
        observation_space, action_space = spaces_of(Job(RANDOM, env, 0, plan.protocol))
        for name in plan.algorithms:
            if name == RANDOM or name.startswith(PEER_PREFIX):
                continue
            config = _config(Job(name, env, 0, plan.protocol.on(env)), observation_space)
            if getattr(config, "action_masks", False) == "auto":
                config = dataclasses.replace(config, action_masks=False)
            # Made and thrown away: what it refuses is found here, and not in every run of its own.
            find_algorithm(name)(
                observation_space,
                action_space,
                config,
                num_envs=config.num_envs,
                seed=0,
                device=torch.device("cpu"),
                network=None,
            )


def spaces_of(job: Job) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """Observations and actions of the job's env."""
    envs = make_envs(job.env, 1, job.protocol.env_options)
    try:
        return envs.single_observation_space, envs.single_action_space
    finally:
        envs.close()


def _ours(job: Job) -> Player:
    """A registered algorithm, with the hyperparameters that it recommends for the env."""
    protocol = job.protocol
    agent = Agent(
        job.env,
        _config(job, spaces_of(job)[0]),
        algorithm=job.algorithm,
        seed=job.seed,
        threads=protocol.threads,
        env_options=dict(protocol.env_options),
    )

    def train(watch: Watch) -> int:
        agent.learn(callbacks=[lambda trainer, metrics: watch(trainer.step)])
        if agent.stopped_by not in (None, "callback"):
            raise Interrupted(agent.stopped_by, f"the training ended at step {agent.steps}")
        return agent.steps

    return Player(
        source="this package's defaults for the env",
        config=dataclasses.asdict(agent.config),
        policy=agent.policy,
        device=agent.device,
        train=train,
        seed=lambda seed: None,  # it draws from the generator that it is given
        close=agent.close,
    )


def _config(job: Job, observation_space: spaces.Space[Any]) -> Any:
    learner = find_algorithm(job.algorithm)
    recommended = dataclasses.asdict(learner.default_config(observation_space))
    changed = job.protocol.changes_of(job.algorithm) | {"total_steps": job.protocol.steps}
    return config_from(learner.config_class, recommended | changed)


def _chance(job: Job) -> Player:
    """What draws its actions evenly, and every algorithm must beat; where they are masked, among the allowed ones."""
    with closing(make_envs(job.env, 1, job.protocol.env_options)) as envs:
        masked = decided("auto", envs) is not None
        policy = RandomPolicy(envs.single_observation_space, envs.single_action_space, masked)
    policy.seed(job.seed)  # "deterministic", too, it draws
    return Player(
        source="draws every action evenly; not trained",
        config={},
        policy=policy,
        device=torch.device("cpu"),
        train=lambda watch: 0,
        seed=policy.seed,
        close=lambda: None,
    )
