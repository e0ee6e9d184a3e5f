"""A genetic algorithm on the weights of networks (Such et al. 2017, "Deep Neuroevolution").

Mutation only, no crossover. Every individual of a generation plays games with the same seeds; the best have mutated
children; and the best of all, the elite, passes on unchanged until another one beats it on fresh games.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from hakisa_algos.data.episodes import Episode
from hakisa_algos.data.needs import Elsewhere
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import ConfigError, NonFiniteError
from hakisa_algos.learners.config import ActionMasks, no_preset, refuse_memory
from hakisa_algos.learners.generation import Generation, GenerationPlay
from hakisa_algos.learners.learner import Facts
from hakisa_algos.learners.lineage import Genome, Lineage, Mutation, birth, diversity, from_arrays, to_arrays
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.greedy import GreedyPolicy
from hakisa_algos.policy.heads import ActionLayout
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.precision import has_pictures

# What a generation's games are for; part of what their seeds come from.
_FITNESS, _VALIDATION = 0, 1
_COUNTERS = ("generation", "elite_since", "updates")


@dataclass(frozen=True)
class GAConfig:
    """Hyperparameters of the genetic algorithm. The defaults are the preset ``small``; see :data:`PRESETS`."""

    total_steps: int = 100_000
    """Env steps of the whole run, all envs together, validation and idle envs included. A generation that was begun is
    finished, with its validation, so that a run ends a little beyond."""
    num_envs: int = 8
    """Envs that are stepped together, an individual in each. More are faster, but idle longer at a generation's end."""
    population: int = 64
    """Individuals of a generation. More find better ones, and take longer."""
    parents: int = 4
    """The best so many, the elite among them, have children, each about as many. Fewer press harder."""
    survivors: int = 1
    """The best so many pass on unchanged as well; the first of them is the elite."""
    episodes: int = 1
    """Games that each individual plays in a generation. More tell luck from skill, and take longer."""
    steps_per_individual: int | None = None
    """Steps of a game, over as many episodes as it takes. None: a game is one episode."""
    candidates: int = 3
    """The best so many play fresh games against the elite; the best of these is the next elite. 0 goes without: the
    elite is then who was best in the generation, with luck or without."""
    validation_episodes: int = 5
    """Games of each candidate, and of the elite. More mistake luck for skill less often, and take longer."""
    gamma: float = 1.0
    """Discount of the rewards in the fitness. Below 1, early rewards count more."""
    mutation_scale: float = 1.0
    """Noise that a mutation adds, relative to each layer's initial weights. More searches wider."""
    mutation_scale_decay: float = 1.0
    """What the scale is multiplied by after each generation. Below 1 the search becomes finer."""
    mutation_share: float = 1.0
    """Share of the weights that a mutation changes, among those of the inputs that it reaches."""
    mutation_share_decay: float = 1.0
    """What the share is multiplied by after each generation. Below 1 there are fewer mutations each time."""
    mutation_inputs: float = 1.0
    """Share of each layer's inputs that a mutation reaches. Below 1 it changes what a network makes of a few inputs, in
    several weights at once, and leaves the rest as it was."""
    mutation_replaces: bool = False
    """Give the weights that a mutation changes new values, instead of adding to them. They then stay of one size, and
    an old one is as easily changed as a new one; but a small change becomes impossible."""
    network: str = "auto"
    """auto, mlp, nature, small, or spatial, which is run for one individual after the other."""
    hidden_sizes: tuple[int, ...] = ()
    """Widths of an MLP's layers; none is a linear policy. Fewer weights are easier to search."""
    activation: str = "relu"
    """tanh or relu, of an MLP."""
    workers: int = 0
    """Processes that play, each in num_envs envs of its own; 0 plays in this one. The result is the same. There must be
    at least as many tasks, so set both."""
    action_masks: ActionMasks = "auto"
    """Never do what the env forbids: auto (where it says so in a way that fits), True (it must say so), or False. What
    auto found is True or False in the agent's config."""
    tasks: int = 1
    """Parts of a generation, each played by one worker; at least as many as workers. Each ends with idle envs."""
    memory: None = None
    """There is none; for PPO, A2C and REINFORCE."""

    def __post_init__(self) -> None:
        """Checks types and ranges.

        Raises:
            ConfigError: names the field, its value and the rule.
        """
        refuse_memory(self.memory, "the genetic algorithm")
        counts = ("total_steps", "num_envs", "population", "parents", "survivors", "episodes", "validation_episodes")
        sizes = ("steps_per_individual", "mutation_scale", "mutation_share", "mutation_inputs", "hidden_sizes", "tasks")
        decays = ("mutation_scale_decay", "mutation_share_decay")
        check_config(
            self,
            positive=(*counts, *sizes, *decays),
            not_negative=("candidates", "workers"),
            shares=("gamma", "mutation_share", "mutation_inputs", *decays),
        )
        limits = [
            ("parents", "population", self.population),
            ("survivors", "population - 1", self.population - 1),
            ("candidates", "population - 1", self.population - 1),
            ("workers", "tasks", self.tasks),
        ]
        for name, limit, most in limits:
            if getattr(self, name) > most:
                fix = f"; set {limit}={getattr(self, name)} too" if limit == "tasks" else ""
                raise ConfigError(f"{name}={getattr(self, name)} must be at most {limit}, which is {most}{fix}")


SMALL = GAConfig()
HAKISA = GAConfig(
    total_steps=150_000,
    num_envs=10,
    population=20,
    parents=10,
    survivors=10,
    steps_per_individual=1_000,
    candidates=1,
    gamma=0.99,
    mutation_scale=0.3,
    mutation_share_decay=0.5,
    hidden_sizes=(64, 64),
)
UBER = GAConfig(
    total_steps=1_000_000_000,
    num_envs=32,
    population=1_000,
    parents=20,
    candidates=10,
    validation_episodes=30,
    mutation_scale=0.05,
    hidden_sizes=(64, 64),
    tasks=16,
)
PRESETS = MappingProxyType({"small": SMALL, "hakisa": HAKISA, "uber": UBER})
"""Named settings.

``small``: few individuals and games, for cheap tasks. ``hakisa``: 20 individuals, the best 10 and a mutated copy of
each, 5 generations of 1000 steps per individual, half as many mutations each time, discounted rewards (and a validation
of 1 candidate against the elite, 5 games each). ``uber``: as Such et al. 2017 had it on Atari; their mutations of 0.002
are, next to the weights of the Nature network, about 0.05.
"""


class GALearner:
    """See :class:`hakisa_algos.learners.learner.Learner`. An update ends either a generation or its validation."""

    config_class: ClassVar[type] = GAConfig

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: GAConfig,
        *,
        num_envs: int,
        seed: int,
        device: torch.device,
        network: NetworkFactory | None = None,
    ) -> None:
        self.config = config
        self.seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # for a network of the user's own, whose vectors begin as it makes them
            self.policy = GreedyPolicy(
                observation_space,
                action_space,
                network=network or config.network,
                hidden_sizes=config.hidden_sizes,
                activation=config.activation,
                mask_size=ActionLayout.of(action_space).choices if config.action_masks is True else 0,
            ).to(device)
        self.rng = np.random.Generator(np.random.Philox(seed))
        # Made before the elite is published: individuals begin with what the network begins with.
        self._genome = Genome(self.policy, config.parents + config.survivors)
        self._play = GenerationPlay(self.policy, self._genome, self.games, workers=config.workers, tasks=config.tasks)
        self.generation = 0
        self.population: list[Lineage] = [birth(self._new_seed()) for _ in range(config.population)]
        self.elite = self.population[0]
        self.elite_since = 0
        self.updates = 0
        # Between a generation and its validation: the candidates, and the fitness of everyone.
        self._candidates: list[int] = []
        self._fitness = np.zeros(0)
        self._publish()

    @classmethod
    def default_config(cls, observation_space: spaces.Space[Any], preset: str | None = None) -> GAConfig:
        """One of :data:`PRESETS`: ``hakisa`` for pictures, ``small`` for vectors."""
        if preset is not None and preset not in PRESETS:
            raise no_preset(preset, PRESETS)
        return PRESETS[preset or ("hakisa" if has_pictures(observation_space) else "small")]

    def facts(self) -> Facts:
        """It learns from returns, not from rows."""
        config = self.config
        return Facts(
            Elsewhere(self._play),
            config.total_steps,
            keep_observations=False,
            midway=bool(self._candidates),
        )

    def games(self) -> Generation:
        """Those of the whole population, or those of the candidates."""
        config = self.config
        players = [self.population[i] for i in self._candidates] or self.population
        games = config.validation_episodes if self._candidates else config.episodes
        key = (self.seed, self.generation, _VALIDATION if self._candidates else _FITNESS)
        return Generation(tuple(players), games, config.steps_per_individual, config.gamma, key)

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Ranks what was played: the population, then the candidates, after which the next generation is bred."""
        fitness = self._measure(buffer.finished)
        metrics = self._validated(fitness) if self._candidates else self._ranked(fitness)
        self.updates += 1
        self.policy.version += 1
        return metrics | {"train/n_updates": self.updates}

    def _measure(self, episodes: Iterable[Episode]) -> np.ndarray:
        """Fitness of everyone who played: the mean of their episodes' discounted returns."""
        players = len(self._candidates) or len(self.population)
        total, ended = np.zeros(players), np.zeros(players)
        for episode in episodes:
            total[episode.seat] += episode.discounted
            ended[episode.seat] += 1
        missing = ended == 0
        fitness = total / np.maximum(ended, 1)
        if not np.isfinite(fitness).all():
            raise NonFiniteError(
                f"generation {self.generation}: the fitness of {int((~np.isfinite(fitness)).sum())} individuals is NaN "
                "or infinite. Look for such rewards in the env",
                {"fitness": fitness},
            )
        if missing.any():  # the env failed in all of their games
            fitness[missing] = fitness[~missing].min(initial=0.0)
        return fitness

    def _ranked(self, fitness: np.ndarray) -> dict[str, float]:
        """Chooses the candidates, or without validation the elite, after the population has played."""
        self._fitness = fitness
        metrics = {
            "train/generation": self.generation,
            "train/fitness_max": float(fitness.max()),
            "train/fitness_mean": float(fitness.mean()),
            "train/fitness_std": float(fitness.std()),
            "train/diversity": diversity([self.population[i] for i in self._ranking()[: self.config.parents]]),
            "train/mutation_scale": self._mutation(0).scale,
            "train/mutation_share": self._mutation(0).share,
        }
        ranking = self._ranking()
        if self.config.candidates:
            elite = [0] if self.generation else []  # the first of the population; at first there is none
            others = [i for i in ranking if i not in elite]
            self._candidates = elite + others[: self.config.candidates]
        else:
            self._breed(ranking[0])
        return metrics

    def _validated(self, fitness: np.ndarray) -> dict[str, float]:
        """Chooses the elite after the candidates have played; the old one stays if no other is better."""
        best = int(fitness.argmax())
        elite, self._candidates = self._candidates[best], []
        self._breed(elite)
        return {"train/elite_fitness": float(fitness[best]), "train/elite_age": self.generation - self.elite_since}

    def _ranking(self) -> list[int]:
        """Everyone, best first; of equals the elder, and above all the elite, come first."""
        ranking: list[int] = np.argsort(-self._fitness, kind="stable").tolist()
        return ranking

    def _breed(self, elite: int) -> None:
        config = self.config
        if self.population[elite] != self.elite or not self.generation:
            self.elite, self.elite_since = self.population[elite], self.generation + 1
        ranking = [elite] + [i for i in self._ranking() if i != elite]
        survivors = [self.population[i] for i in ranking[: config.survivors]]
        children = config.population - len(survivors)
        parents = min(config.parents, len(ranking))  # of a run that goes on with more of them
        each, rest = divmod(children, parents)
        chosen = [*np.repeat(np.arange(parents), each), *self.rng.choice(parents, rest, replace=False)]
        self.population = survivors + [
            (*self.population[ranking[parent]], self._mutation(self._new_seed())) for parent in chosen
        ]
        self.generation += 1
        self._publish()

    def _mutation(self, seed: int) -> Mutation:
        """As strong as it is in this generation."""
        config = self.config
        scale = config.mutation_scale * config.mutation_scale_decay**self.generation
        share = config.mutation_share * config.mutation_share_decay**self.generation
        return Mutation(seed, scale, share, config.mutation_inputs, config.mutation_replaces)

    def _new_seed(self) -> int:
        return int(self.rng.integers(2**63))

    def _publish(self) -> None:
        """Gives the elite's weights to the policy that is evaluated and saved."""
        weights = torch.tensor(self._genome.weights(self.elite), device=next(self.policy.parameters()).device)
        nn.utils.vector_to_parameters(weights, self.policy.parameters())

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        return {name: getattr(self, name) for name in _COUNTERS} | {
            "policy": dict(self.policy.state_dict()),
            "version": self.policy.version,
            "rng": self.rng.bit_generator.state,
            "population": to_arrays(self.population),
            "elite": to_arrays([self.elite]),
            "candidates": list(self._candidates),
            "fitness": self._fitness.copy(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        for name in _COUNTERS:
            setattr(self, name, state[name])
        self.policy.load_state_dict(state["policy"])
        self.policy.version = state["version"]
        self.rng.bit_generator.state = state["rng"]
        self.population = from_arrays(state["population"])
        (self.elite,) = from_arrays(state["elite"])
        self._candidates = list(state["candidates"])
        self._fitness = state["fitness"].copy()
