"""Plays a generation of individuals, here or in worker processes: the same games, whoever plays them."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.episodes import Episode
from hakisa_algos.data.needs import Games, MakeEnvs, Played
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.vectorize import LONGEST_EPISODE, check_seedable, own_limit
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.lineage import Genome, Lineage
from hakisa_algos.policy.greedy import GreedyPolicy
from hakisa_algos.policy.population import Population
from hakisa_algos.policy.precision import torch_threads
from hakisa_algos.pool.pool import Pool


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
        generation: with the lineages of those alone that play in it.
        first: the number of the first of them in the whole generation.
        games: of each game who plays it, as an index of the lineages, and which of that individual's games it is.
        info_keys: entries of the last infos that episodes keep.
    """

    generation: Generation
    first: int
    games: tuple[tuple[int, int], ...]
    info_keys: tuple[str, ...] = ()


def shares(generation: Generation, parts: int, info_keys: tuple[str, ...] = ()) -> list[Share]:
    """All games of a generation in ``parts`` of about the same size, or in fewer if there are fewer games."""
    each = generation.games
    count = each * len(generation.lineages)
    found = []
    for part in range(parts):
        start, end = count * part // parts, count * (part + 1) // parts
        if start == end:
            continue
        first, last = start // each, (end - 1) // each
        own = dataclasses.replace(generation, lineages=generation.lineages[first : last + 1])
        games = tuple((game // each - first, game % each) for game in range(start, end))
        found.append(Share(own, first, games, info_keys))
    return found


class Player:
    """Plays shares, in envs that it is given or makes when it is first called.

    It computes in one thread, so that results do not depend on how many there are.

    Args:
        network: the shape of all individuals, on its device.
        genome: makes their weights.
        envs: to play in, or what makes them.

    Attributes:
        stop: asked at every step; True raises :class:`hakisa_algos.errors.Stopped`.
    """

    def __init__(self, network: GreedyPolicy, genome: Genome, envs: VectorEnv[Any, Any, Any] | MakeEnvs) -> None:
        self._network = network
        self._genome = genome
        self.given = envs
        self.stop: Callable[[], bool] = bool
        self._envs = envs if isinstance(envs, VectorEnv) else None

    def __call__(self, share: Share) -> Played:
        """Plays the games of ``share``."""
        if self._envs is None:
            assert not isinstance(self.given, VectorEnv)
            self._envs = self.given()
        generation = share.generation
        population = Population(
            self._network,
            [individual for individual, _ in share.games],
            lambda individual: self._genome.weights(generation.lineages[individual]),
            lambda game, episode: game_seed((*generation.key, share.games[game][1], episode)),
            generation.steps,
        )
        buffer = RolloutBuffer(1, self._envs.num_envs, population.observation, keep_observations=False)
        collector = Collector(
            self._envs,
            population,
            buffer,
            device=self._network.heads.linear.weight.device,
            episode_limit=None if generation.steps or own_limit(self._envs) else LONGEST_EPISODE,
            discount=generation.discount,
        )
        collector.info_keys, collector.stop = share.info_keys, self.stop
        with torch_threads(1):
            collector.collect(Games())
        collector.close()
        episodes = buffer.episodes()
        if generation.steps is not None:
            episodes = without_cut(episodes)
        # In the buffer a seat is a game; to others it is the individual.
        individuals = [share.first + individual for individual, _ in share.games]
        episodes = [dataclasses.replace(episode, seat=individuals[episode.seat]) for episode in episodes]
        return Played(buffer.rows, episodes, collector.nanoseconds)

    def close(self) -> None:
        """Closes the envs that it made."""
        if self._envs is not None and self._envs is not self.given:
            self._envs.close()
            self._envs = None


def without_cut(episodes: list[Episode]) -> list[Episode]:
    """Leaves out the last episode of each seat, which its count of steps cut short, unless it is the only one."""
    last = {episode.seat: index for index, episode in enumerate(episodes)}
    played = Counter(episode.seat for episode in episodes)
    return [e for index, e in enumerate(episodes) if index != last[e.seat] or played[e.seat] == 1]


class GenerationPlay:
    """See :class:`hakisa_algos.data.needs.Play`. A generation is played from its first game to its last.

    Args:
        network: the shape of all individuals, on its device.
        genome: makes their weights.
        asked: says what is to be played.
        workers: processes, each with envs of its own; 0 plays here, in the envs of the run.
        tasks: parts of a generation. It alone decides on how many rows a generation takes, so that the number of
            workers changes nothing.
    """

    def __init__(
        self, network: GreedyPolicy, genome: Genome, asked: Callable[[], Generation], *, workers: int, tasks: int
    ) -> None:
        self._network, self._genome, self._asked = network, genome, asked
        self._workers, self._tasks = workers, tasks
        self._pool = Pool(workers)
        self._player: Player | None = None

    def __call__(
        self,
        envs: VectorEnv[Any, Any, Any],
        make_envs: MakeEnvs | None,
        info_keys: tuple[str, ...] = (),
        stop: Callable[[], bool] = bool,
    ) -> Played:
        """Plays all games of all individuals; their episodes come in the order of the shares.

        Raises:
            Stopped: ``stop`` said so.
            ConfigError: the envs cannot be given seeds, or workers cannot make them.
        """
        check_seedable(envs)
        if self._workers and make_envs is None:
            raise ConfigError(
                f"workers={self._workers} need envs of their own, and an env object cannot be copied: pass an env id "
                "or a callable that makes one, or workers=0"
            )
        given = make_envs if self._workers and make_envs else envs
        if self._player is None or self._player.given is not given:  # workers keep what is the same object
            self._player = Player(self._network, self._genome, given)
        if not self._workers:  # those are ended, and cannot be asked
            self._player.stop = stop
        every = self._pool.map(self._player, shares(self._asked(), self._tasks, info_keys), stop=stop)
        spent = {name: sum(each.nanoseconds[name] for each in every) for name in ("env", "act")}
        return Played(
            sum(each.rows for each in every),
            [episode for each in every for episode in each.episodes],
            {name: nanoseconds // max(self._workers, 1) for name, nanoseconds in spent.items()},
        )

    def close(self) -> None:
        """Ends the workers; a later call starts them again."""
        self._pool.close()


@functools.lru_cache(maxsize=4096)  # all individuals play games with the same seeds
def game_seed(key: tuple[int, ...]) -> int:
    """The seed of an episode: of a generation's key, the number of the game and that of the episode in it."""
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
