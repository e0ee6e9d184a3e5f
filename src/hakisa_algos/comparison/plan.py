"""What is compared: the runs, their budget, and the presets."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hakisa_algos.data.contract import stored_option
from hakisa_algos.learners.validation import check_config

RANDOM = "random"
PEER_PREFIX = "sb3-"
PEERS = ("sb3-ppo", "sb3-dqn", "sb3-a2c")
PeerSettings = Literal["defaults", "zoo"]


@dataclass(frozen=True)
class Protocol:
    """How every run of a comparison is run and measured.

    Attributes:
        steps: env steps of each run, all its envs together; schedules end with it.
        steps_on: other env steps than these, by env.
        minutes: of training after which a run ends earlier, its evaluations not counted; None for no limit.
        points: evaluations along the curve, evenly spread, besides the one before training.
        curve_episodes: episodes of each of those, deterministic.
        final_episodes: episodes of the two final evaluations, deterministic and stochastic.
        evaluate_steps: longest episode of an evaluation; None: the env's own limit, else see
            :data:`hakisa_algos.data.vectorize.LONGEST_EPISODE`.
        film_steps: longest video; 0 films nothing.
        threads: of torch, in each run.
        peer_settings: hyperparameters of SB3: its own, or those of its zoo where it has some for the env.
        env_options: keyword arguments of every env.
        changes: hyperparameters that are not the algorithm's recommended ones, by ``"algorithm.name"``.
    """

    steps: int = 100_000
    steps_on: Mapping[str, int] = field(default_factory=dict)
    minutes: float | None = None
    points: int = 10
    curve_episodes: int = 10
    final_episodes: int = 100
    evaluate_steps: int | None = None
    film_steps: int = 500
    threads: int = 1
    peer_settings: PeerSettings = "defaults"
    env_options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks types and ranges; options become as files hold them."""
        object.__setattr__(self, "env_options", stored_option(self.env_options))
        counts = ("steps", "points", "curve_episodes", "final_episodes", "evaluate_steps", "threads")
        check_config(self, positive=(*counts, "minutes"), not_negative=("film_steps",))
        for env in self.steps_on:
            self.on(env)

    def on(self, env: str) -> Protocol:
        """The same for one env alone."""
        return dataclasses.replace(self, steps=self.steps_on.get(env, self.steps), steps_on={})

    def changes_of(self, algorithm: str) -> dict[str, Any]:
        """The changed hyperparameters of one algorithm, by name."""
        return {
            key.partition(".")[2]: value for key, value in self.changes.items() if key.partition(".")[0] == algorithm
        }


@dataclass(frozen=True)
class Job:
    """One run: what it depends on, and nothing else."""

    algorithm: str
    env: str
    seed: int
    protocol: Protocol

    def __str__(self) -> str:
        return f"{self.algorithm} on {self.env}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """A whole comparison; algorithms (of the registry, ``"sb3-..."``, :data:`RANDOM`) stand in the order of tables."""

    algorithms: tuple[str, ...]
    envs: tuple[str, ...]
    seeds: tuple[int, ...]
    protocol: Protocol

    @property
    def jobs(self) -> list[Job]:
        """All runs; every algorithm's first seed comes before anybody's second, so that early reports are fair."""
        order = itertools.product(self.seeds, self.envs, self.algorithms)
        return [Job(algorithm, env, seed, self.protocol.on(env)) for seed, env, algorithm in order]


PRESETS = {
    "quick": Plan(("ppo", "dqn", "ga"), ("CartPole-v1", "Hakisa/Press-v0"), (1, 2, 3, 4, 5), Protocol(steps=20_000)),
    "full": Plan(
        ("ppo", "a2c", "dqn", "pqn", "ga"),
        ("CartPole-v1", "Acrobot-v1", "Hakisa/Press-v0"),
        tuple(range(1, 11)),
        Protocol(steps=300_000, points=20, curve_episodes=20),
    ),
    # Nearly all of its time goes to Pong, where both limits of a run count.
    "standard": Plan(
        ("ppo", "dqn", "pqn", "ga"),
        ("CartPole-v1", "Hakisa/Press-v0", "LunarLander-v3", "Hakisa/Pong-v0"),
        (1, 2, 3, 4),
        Protocol(
            steps=50_000,
            steps_on={"LunarLander-v3": 200_000, "Hakisa/Pong-v0": 250_000},
            minutes=6,
            curve_episodes=5,
            final_episodes=40,
        ),
    ),
    "pong": Plan(
        ("ppo", "dqn", "pqn", "ga"), ("Hakisa/Pong-v0",), (1, 2, 3), Protocol(steps=500_000, final_episodes=40)
    ),
}
