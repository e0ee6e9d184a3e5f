"""Plays a generation of individuals, here or in worker processes: the same games, whoever plays them."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from hakisa_algos.data.collect import Collector, Games, call_envs, check_seedable
from hakisa_algos.data.rollout import Episode, RolloutBuffer
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.lineage import Genome, Lineage
from hakisa_algos.policy.greedy import GreedyPolicy
from hakisa_algos.policy.population import Population
from hakisa_algos.policy.precision import torch_threads
from hakisa_algos.pool.pool import Pool
from hakisa_algos.pool.process import ProcessPool
from hakisa_algos.pool.serial import SerialPool

MakeEnvs = Callable[[], VectorEnv[Any, Any, Any]]


@dataclass(frozen=True)
class Generation:
    """What is to be played.

    Attributes:
        lineages: the individuals.
        games: of each individual; the k-th games of all have the same seeds.
        steps: transitions of a game; None: a game is one episode.
        discount: of the discounted returns.
        key: what the seeds come from, with the number of the game and its episode; no other generation has it.
    """

    lineages: tuple[Lineage, ...]
    games: int
    steps: int | None
    discount: float
    key: tuple[int, ...]


@dataclass(frozen=True)
class Share:
    """A part of a generation that one worker plays.

    Attributes:
        lineages: the individuals that play in it.
        first: the number of the first of them in the generation.
        games: of each game who plays it, as an index of ``lineages``, and which of that individual's games it is.
        steps, discount, key: see :class:`Generation`.
    """

    lineages: tuple[Lineage, ...]
    first: int
    games: tuple[tuple[int, int], ...]
    steps: int | None
    discount: float
    key: tuple[int, ...]


def shares(generation: Generation, parts: int) -> list[Share]:
    """All games of a generation in ``parts`` of about the same size, or in fewer if there are fewer games."""
    each = generation.games
    count = each * len(generation.lineages)
    ends = [count * part // parts for part in range(parts + 1)]
    found = []
    for start, end in pairwise(ends):
        if start == end:
            continue
        first, last = start // each, (end - 1) // each
        found.append(
            Share(
                generation.lineages[first : last + 1],
                first,
                tuple((game // each - first, game % each) for game in range(start, end)),
                generation.steps,
                generation.discount,
                generation.key,
            )
        )
    return found


@dataclass(frozen=True)
class Played:
    """What came of a share: its rows of env steps, its episodes, and the nanoseconds it took, see Collector."""

    rows: int
    episodes: list[Episode]
    nanoseconds: dict[str, int]


class Player:
    """Plays shares, in envs that it is given or makes when it is first called.

    It computes in one thread, so that results do not depend on how many there are.

    Args:
        network: the shape of all individuals, on its device.
        genome: makes their weights.
        envs: to play in, or what makes them.
    """

    def __init__(self, network: GreedyPolicy, genome: Genome, envs: VectorEnv[Any, Any, Any] | MakeEnvs) -> None:
        self._network = network
        self._genome = genome
        self._given = envs
        self._envs = envs if isinstance(envs, VectorEnv) else None

    def __call__(self, share: Share) -> Played:
        """Plays the games of ``share``."""
        if self._envs is None:
            assert not isinstance(self._given, VectorEnv)
            self._envs = self._given()
        population = Population(
            self._network,
            [individual for individual, _ in share.games],
            lambda individual: self._genome.weights(share.lineages[individual]),
            lambda game, episode: game_seed((*share.key, share.games[game][1], episode)),
            share.steps,
        )
        buffer = RolloutBuffer(
            1, self._envs.num_envs, population.observation, keep_observations=False, discount=share.discount
        )
        device = self._network.heads.linear.weight.device
        collector = Collector(self._envs, population, buffer, device=device)
        with torch_threads(1):
            collector.collect(Games())
        episodes = buffer.episodes()
        if share.steps is not None:
            episodes = without_cut(episodes)
        # In the buffer a seat is a game; to others it is the individual.
        individuals = [share.first + individual for individual, _ in share.games]
        episodes = [dataclasses.replace(episode, seat=individuals[episode.seat]) for episode in episodes]
        return Played(buffer.rows, episodes, collector.nanoseconds)

    def close(self) -> None:
        """Closes the envs that it made."""
        if self._envs is not None and self._envs is not self._given:
            self._envs.close()
            self._envs = None


def without_cut(episodes: list[Episode]) -> list[Episode]:
    """Leaves out the last episode of each seat, which its count of steps cut short, unless it is the only one."""
    last = {episode.seat: index for index, episode in enumerate(episodes)}
    played = Counter(episode.seat for episode in episodes)
    return [e for index, e in enumerate(episodes) if index != last[e.seat] or played[e.seat] == 1]


class GenerationCollector:
    """Has the face of :class:`hakisa_algos.data.collect.Collector`, for learners whose need is a :class:`Generation`.

    A generation is played from its first game to its last, so nothing is under way when a checkpoint is written.

    Args:
        network: the shape of all individuals, on its device.
        genome: makes their weights.
        envs: to play in, unless there are workers.
        buffer: takes the episodes; no rows are kept.
        make_envs: makes the same envs for a worker; can be pickled.
        workers: processes; 0 plays here.
        tasks: parts of a generation. It alone decides on how many rows a generation takes, so that the number of
            workers changes nothing.

    Raises:
        ConfigError: the envs cannot be given seeds, or workers cannot make them.
    """

    def __init__(
        self,
        network: GreedyPolicy,
        genome: Genome,
        envs: VectorEnv[Any, Any, Any],
        buffer: RolloutBuffer,
        make_envs: MakeEnvs | None,
        *,
        workers: int,
        tasks: int,
    ) -> None:
        check_seedable(envs)
        if workers and make_envs is None:
            raise ConfigError(
                f"workers={workers} need envs of their own, and an env object cannot be copied: pass an env id or a "
                "callable that makes one, or workers=0"
            )
        self._envs = envs
        self._buffer = buffer
        self._tasks = tasks
        self._processes = max(workers, 1)
        self._pool: Pool = ProcessPool(workers) if workers else SerialPool()
        self._player = Player(network, genome, make_envs if workers and make_envs else envs)
        self.nanoseconds = {"env": 0, "act": 0}

    def collect(self, need: Generation) -> None:
        """Plays all games of all individuals; their episodes are added in the order of the shares."""
        for played in self._pool.map(self._player, shares(need, self._tasks)):
            self._buffer.count_elsewhere(played.rows, played.episodes)
            for name, spent in played.nanoseconds.items():
                self.nanoseconds[name] += spent // self._processes

    def pause(self) -> None:
        """See :class:`hakisa_algos.data.collect.Collector`."""
        call_envs(self._envs, "pause")

    def resume(self) -> None:
        """See :class:`hakisa_algos.data.collect.Collector`."""
        call_envs(self._envs, "resume")

    def close(self) -> None:
        """Ends the workers; a later :meth:`collect` starts them again."""
        self._pool.close()

    def state(self) -> dict[str, Any]:
        """Nothing: see above."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> bool:
        """See :class:`hakisa_algos.data.collect.Collector`."""
        return True


@functools.lru_cache(maxsize=4096)  # all individuals play games with the same seeds
def game_seed(key: tuple[int, ...]) -> int:
    """The seed of an episode: of a generation's key, the number of the game and that of the episode in it."""
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
