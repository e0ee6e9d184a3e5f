"""Who plays a job of a comparison: an algorithm of ours, one of Stable-Baselines3, or chance."""

from __future__ import annotations

import dataclasses

from hakisa_algos.agent import Agent, config_from
from hakisa_algos.comparison.chance import RandomPlayer
from hakisa_algos.comparison.contestant import Contestant, Interrupted, Watch
from hakisa_algos.comparison.peers import Peer
from hakisa_algos.comparison.plan import PEER_PREFIX, RANDOM, Job
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.learners.registry import find_algorithm


def make_contestant(job: Job) -> Contestant:
    """Who plays ``job``, not trained yet.

    Raises:
        ConfigError: algorithm, env and options do not fit together.
        MissingExtraError: SB3 is asked for and not installed.
    """
    if job.algorithm == RANDOM:
        return RandomPlayer(job)
    if job.algorithm.startswith(PEER_PREFIX):
        return Peer(job)
    return Ours(job)


class Ours:
    """See :class:`hakisa_algos.comparison.contestant.Contestant`; a registered algorithm.

    Its hyperparameters are those that it recommends for the env.
    """

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
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        return self._agent.steps

    def train(self, watch: Watch) -> None:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        self._agent.learn(callbacks=[lambda trainer, metrics: watch(trainer.step)])
        if self._agent.stopped_by not in (None, "callback") and not self._agent.budget_spent:
            raise Interrupted(f"{self._agent.stopped_by} ended the training at step {self.steps}")
