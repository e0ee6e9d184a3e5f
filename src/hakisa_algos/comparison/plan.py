"""What is compared: the runs, their budget, and the presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hakisa_algos.errors import ConfigError, did_you_mean
from hakisa_algos.learners.registry import algorithms

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
    film_steps: int = 500
    threads: int = 1
    peer_settings: PeerSettings = "defaults"
    env_options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigError: names the option, its value and the rule.
        """
        names = ("steps", "points", "curve_episodes", "final_episodes", "threads")
        steps_on = {f"steps on {env}": steps for env, steps in self.steps_on.items()}
        for name, value in ({name: getattr(self, name) for name in names} | steps_on).items():
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name}={value!r} must be a whole number of at least 1")
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"minutes={self.minutes!r} must be more than 0, or left out for no limit")

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

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Plan:
    """A whole comparison.

    Attributes:
        algorithms: names from the registry, ``"sb3-..."``, and :data:`RANDOM`, in the order of tables.
        envs: ids.
        seeds: of the runs.
        protocol: of each run.
    """

    algorithms: tuple[str, ...]
    envs: tuple[str, ...]
    seeds: tuple[int, ...]
    protocol: Protocol

    @property
    def jobs(self) -> list[Job]:
        """All runs; every algorithm's first seed comes before anybody's second, so that early reports are fair."""
        return [
            Job(algorithm, env, seed, self.protocol.on(env))
            for seed in self.seeds
            for env in self.envs
            for algorithm in self.algorithms
        ]


@dataclass(frozen=True)
class Preset:
    """Defaults under one name."""

    algorithms: tuple[str, ...]
    envs: tuple[str, ...]
    seeds: int
    protocol: Protocol


PRESETS = {
    "quick": Preset(("ppo", "dqn", "ga"), ("CartPole-v1", "Hakisa/Press-v0"), 5, Protocol(steps=20_000)),
    "full": Preset(
        ("ppo", "a2c", "dqn", "pqn", "ga"),
        ("CartPole-v1", "Acrobot-v1", "Hakisa/Press-v0"),
        10,
        Protocol(steps=300_000, points=20, curve_episodes=20),
    ),
    # Nearly all of its time goes to Pong, where both limits of a run count.
    "standard": Preset(
        ("ppo", "dqn", "pqn", "ga"),
        ("CartPole-v1", "Hakisa/Press-v0", "LunarLander-v3", "Hakisa/Pong-v0"),
        4,
        Protocol(
            steps=50_000,
            steps_on={"LunarLander-v3": 200_000, "Hakisa/Pong-v0": 250_000},
            minutes=6,
            curve_episodes=5,
            final_episodes=40,
        ),
    ),
    "pong": Preset(("ppo", "dqn", "pqn", "ga"), ("Hakisa/Pong-v0",), 3, Protocol(steps=500_000, final_episodes=40)),
}


def known_algorithms() -> list[str]:
    """All names that can be compared."""
    return [*algorithms(), *PEERS]


def check_algorithms(names: tuple[str, ...]) -> None:
    """Refuses a name that is none of :func:`known_algorithms`, and one that stands there twice.

    Raises:
        ConfigError: it names it, and what is close.
    """
    for name in names:
        if name not in known_algorithms():
            raise ConfigError(f"algorithm {name!r} is unknown.{did_you_mean(name, known_algorithms())}")
        if names.count(name) > 1:
            raise ConfigError(f"algorithm {name!r} stands there twice; name each once")
