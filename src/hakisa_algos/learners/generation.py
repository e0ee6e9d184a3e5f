"""Plays a generation of individuals, here or in worker processes: the same games, whoever plays them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from hakisa_algos.data.collect import Collector, Games, call_envs, check_seedable
from hakisa_algos.data.rollout import Episode, RolloutBuffer
from hakisa_algos.errors import BudgetSpent, ConfigError
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
        limit: env steps of the run, which this must not go beyond; None for no limit.
        followed_by: games that must fit into them as well, right after these: a validation.
    """

    lineages: tuple[Lineage, ...]
    games: int
    steps: int | None
    discount: float
    key: tuple[int, ...]
    limit: int | None = None
    followed_by: int = 0


@dataclass(frozen=True)
class Share:
    """A part of a generation that one worker plays.

    Attributes:
        lineages: the individuals that play in it.
        first: the number of the first of them in the generation.
        games: of each game who plays it, as an index of ``lineages``, and which of that individual's games it is.
        steps, discount, key: see :class:`Generation`.
        rows: after which it is cut; None: never.
    """

    lineages: tuple[Lineage, ...]
    first: int
    games: tuple[tuple[int, int], ...]
    steps: int | None
    discount: float
    key: tuple[int, ...]
    rows: int | None = None


def shares(generation: Generation, parts: int, rows: int | None = None) -> list[Share]:
    """All games of a generation in ``parts`` of about the same size, or in fewer if there are fewer games.

    Args:
        generation: to share out.
        parts: how many.
        rows: that all shares together may take, each as much of them as it has of the games; None: any number.
    """
    each = generation.games
    count = each * len(generation.lineages)
    found = []
    for start, end in _parts(count, parts):
        first, last = start // each, (end - 1) // each
        found.append(
            Share(
                generation.lineages[first : last + 1],
                first,
                tuple((game // each - first, game % each) for game in range(start, end)),
                generation.steps,
                generation.discount,
                generation.key,
                None if rows is None else rows * (end - start) // count,
            )
        )
    return found


def rows_of_games(games: int, steps: int, parts: int, num_envs: int) -> int:
    """Rows that so many games of ``steps`` transitions take, in envs whose every step is one."""
    return sum(math.ceil((end - start) / num_envs) * steps for start, end in _parts(games, parts))


def _parts(games: int, parts: int) -> list[tuple[int, int]]:
    ends = [games * part // parts for part in range(parts + 1)]
    return [(start, end) for start, end in pairwise(ends) if start < end]


@dataclass(frozen=True)
class Played:
    """What came of a share: rows of env steps, episodes, nanoseconds (see Collector), and whether it was cut."""

    rows: int
    episodes: list[Episode]
    nanoseconds: dict[str, int]
    cut: bool


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
            collector.collect(Games(share.rows))
        episodes = buffer.episodes()
        if share.steps is not None:
            episodes = without_cut(episodes)
        # In the buffer a seat is a game; to others it is the individual.
        individuals = [share.first + individual for individual, _ in share.games]
        episodes = [dataclasses.replace(episode, seat=individuals[episode.seat]) for episode in episodes]
        return Played(buffer.rows, episodes, collector.nanoseconds, collector.games_left)

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
        """Plays all games of all individuals; their episodes are added in the order of the shares.

        What goes beyond ``need.limit`` is not begun if that can be known, else cut: then its env steps are counted, and
        its episodes, some of which would have gone on, are not.

        Raises:
            BudgetSpent: what is left does not suffice.
            ConfigError: not even the first generation fits.
        """
        every = self._pool.map(self._player, shares(need, self._tasks, self._rows_left(need)))
        cut = any(played.cut for played in every)
        for played in every:
            self._buffer.count_elsewhere(played.rows, [] if cut else played.episodes)
            for name, spent in played.nanoseconds.items():
                self.nanoseconds[name] += spent // self._processes
        if cut:
            raise BudgetSpent(
                f"the {need.limit:,} env steps were over in the middle of a generation, which is not ranked"
            )

    def _rows_left(self, need: Generation) -> int | None:
        if need.limit is None:
            return None
        columns = self._envs.num_envs
        left = need.limit // columns - self._buffer.rows
        if need.steps is not None:
            games = (need.games * len(need.lineages), need.followed_by)
            size = sum(rows_of_games(count, need.steps, self._tasks, columns) for count in games)
            if size > left and not self._buffer.rows:
                raise ConfigError(
                    f"total_steps={need.limit} do not suffice for the first generation and its validation, which take "
                    f"{size * columns:,} env steps (idle envs counted): give more, or fewer steps_per_individual"
                )
            if size > left:
                raise BudgetSpent(
                    f"{left * columns:,} env steps are left, and the next generation takes {size * columns:,}"
                )
        if left <= 0:
            raise BudgetSpent(f"of the {need.limit:,} env steps too few are left for one of each of {columns} envs")
        return left

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
