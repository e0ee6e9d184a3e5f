"""What a comparison needs of a player, whoever trained it; and ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hakisa_algos.agent import Agent, config_from
from hakisa_algos.comparison.plan import PEER_PREFIX, RANDOM, Job
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import BudgetSpent
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.training.evaluate import Evaluation

# Called with the env steps so far, between updates; False ends the training.
Watch = Callable[[int], bool]


class Interrupted(Exception):
    """A signal ended the training, which is then not what its budget says."""


class Contestant(Protocol):
    """Trains, plays and says what it is.

    Attributes:
        source: where its hyperparameters come from, in words.
    """

    source: str

    def train(self, watch: Watch) -> None:
        """Trains for the whole budget, or until ``watch`` says False.

        Raises:
            Interrupted: a signal ended it.
        """

    @property
    def steps(self) -> int:
        """Env steps that it was trained for."""

    def evaluate(self, episodes: int, *, seed: int, deterministic: bool, num_envs: int) -> Evaluation:
        """Plays whole episodes in envs of their own; see :func:`hakisa_algos.training.evaluate.evaluate`."""

    def predict(self, observation: Any, state: Any = None, *, deterministic: bool = True) -> tuple[Any, Any]:
        """An action and the next state; see :meth:`hakisa_algos.agent.Agent.predict`."""

    def identity(self) -> Mapping[str, Any]:
        """``env``, ``env_options``, and the hyperparameters as ``config``."""

    def close(self) -> None:
        """Closes its envs."""


def make_contestant(job: Job) -> Contestant:
    """Who plays ``job``, not trained yet.

    Raises:
        ConfigError: algorithm, env and options do not fit together.
        MissingExtraError: SB3 is asked for and not installed.
    """
    if job.algorithm == RANDOM:
        from hakisa_algos.comparison.chance import RandomPlayer

        return RandomPlayer(job)
    if job.algorithm.startswith(PEER_PREFIX):
        from hakisa_algos.comparison.peers import Peer

        return Peer(job)
    return Ours(job)


class Ours:
    """See :class:`Contestant`; a registered algorithm with the hyperparameters that it recommends for the env."""

    source = "this package's defaults for the env"

    def __init__(self, job: Job) -> None:
        learner = find_algorithm(job.algorithm)
        protocol = job.protocol
        options = dict(protocol.env_options)
        probe = make_envs(job.env, 1, options)
        recommended = learner.default_config(probe.single_observation_space)
        probe.close()
        changed = protocol.changes_of(job.algorithm) | {"total_steps": protocol.steps}
        config = config_from(learner.config_class, dataclasses.asdict(recommended) | changed)
        agent = Agent(
            job.env, config, algorithm=job.algorithm, seed=job.seed, threads=protocol.threads, env_options=options
        )
        self._agent = agent
        self.predict, self.evaluate = agent.predict, agent.evaluate
        self.identity, self.close = agent.identity, agent.close

    @property
    def steps(self) -> int:
        """See :class:`Contestant`."""
        return self._agent.steps

    def train(self, watch: Watch) -> None:
        """See :class:`Contestant`."""
        self._agent.learn(callbacks=[lambda trainer, metrics: watch(trainer.step)])
        if self._agent.stopped_by not in (None, "callback", BudgetSpent.__name__):
            raise Interrupted(f"{self._agent.stopped_by} ended the training at step {self.steps}")
