"""Collection in several threads, each of which acts and steps for some of the columns."""

from __future__ import annotations

import contextlib
import copy
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor, nn

from hakisa_algos.data.collect import Collector, Need, Rows, episode_seed, transitions
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.vectorize import ResetMode, reset_columns, reset_mode
from hakisa_algos.policy.observations import RawObservation, map_observation, to_tensors
from hakisa_algos.policy.policy import Decision, Policy, Seated
from hakisa_algos.policy.precision import torch_threads, weights_cast_once

T = TypeVar("T")

# Fewer rows are not worth a thread.
_FEWEST_ROWS = 8
# Rows that a thread may be ahead of the one that writes the buffer: more hide longer resets, and hold more pictures.
_LEAD = 8


def make_collector(
    envs: VectorEnv[Any, Any, Any],
    policy: Policy,
    buffer: RolloutBuffer,
    seed: int = 0,
    device: torch.device | None = None,
) -> Collector:
    """A :class:`ConcurrentCollector` where that is possible, else a :class:`Collector`.

    It is possible on the CPU, with a policy that carries no state from step to step, in envs that are reset by mask,
    do not run in real time, and have an attribute ``groups``: vector envs that are, one after the other, their columns,
    that different threads may step. Neither these nor the whole write over what they have returned.
    """
    # Asked of the env itself: a wrapper, which would hand the attribute on, may change what its env shows.
    groups = vars(envs).get("groups", ())
    possible = (
        len(groups) > 1
        and (device is None or device.type == "cpu")
        and not isinstance(policy, Seated)
        and not policy.initial_state(envs.num_envs)
        and reset_mode(envs) is ResetMode.MASKED
        and not envs.metadata.get("real_time")
    )
    return (ConcurrentCollector if possible else Collector)(envs, policy, buffer, seed, device)


@dataclass(frozen=True)
class _Part:
    """A group's columns of one row, as the buffer takes them, and what follows the row.

    Attributes:
        observation: after the row and its resets, encoded.
        seeds: by which columns, counted in the whole, were begun anew.
        act: nanoseconds of acting.
        env: nanoseconds in the envs.
    """

    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    extras: dict[str, Tensor]
    final: dict[int, Any]
    observation: RawObservation
    seeds: dict[int, int]
    act: int
    env: int


class ConcurrentCollector(Collector):
    """A :class:`Collector` that plays each of the env's ``groups`` in a thread of its own.

    A thread acts for its columns in one torch thread, steps them, and goes on without waiting for the others, so no
    core idles while another acts or steps. Rows reach the buffer whole and in order; all of a collection are of one
    version of the policy, and between collections no thread runs. It plays like a :class:`Collector`, all columns in
    one thread, where torch has one thread, and where fewer than eight rows, or episodes, are asked for. Or all columns
    play in one thread while the learner learns: see :meth:`collect_beside`.

    Each collection gives every group a generator with a seed drawn from :attr:`generator`, so the actions do not depend
    on which thread is faster. The first row is acted before threads start: what a policy makes at its first call after
    an update is then there. :attr:`nanoseconds` are means over the threads.

    After an exception the envs are ahead of the buffer: the running episodes are closed as truncated when it collects
    again.
    """

    _lost = False
    _actor: nn.Module | None = None

    def collect(self, need: Need) -> None:
        """See :meth:`Collector.collect`."""
        self._begin_where_lost()
        super().collect(need)

    @property
    def plays_beside(self) -> bool:
        """Whether :meth:`collect_beside` is of use: torch has a thread to spare, and the policy can be copied."""
        return torch.get_num_threads() > 1 and isinstance(self.policy, nn.Module)

    def collect_beside(self, rows: Rows, work: Callable[[], T]) -> T:
        """Plays ``rows`` in another thread while ``work`` runs in this one, and then writes them into the buffer.

        A copy of the policy plays, as it was when this began, so what is played does not depend on how ``work`` changes
        the policy, nor when.

        Args:
            rows: how many; they are held until ``work`` is done.
            work: may read the buffer and change the policy; it has all torch threads but one.

        Returns:
            What ``work`` returned.
        """
        self._begin_where_lost()
        if self.observation is None:
            self._reset_all()
        version = self.policy.version
        with torch_threads(max(1, torch.get_num_threads() - 1)):
            seed = int(torch.randint(2**62, (), generator=self.generator))
            everyone = slice(0, self.envs.num_envs)
            player = self._parts(self._copied_policy(), self.envs, everyone, rows.n, seed)
            # It first says that it has acted, by None, which is nothing to wait for here.
            with self._threads([itertools.islice(player, 1, None)], rows.n) as (worker,):
                result = work()
                for _ in range(rows.n):
                    self._commit([worker.take()], version)
        self._trim_log()
        return result

    def _play(self, rows: int) -> None:
        if rows < _FEWEST_ROWS or torch.get_num_threads() == 1:
            super()._play(rows)
            return
        groups: Sequence[VectorEnv[Any, Any, Any]] = self.envs.groups  # type: ignore[attr-defined]
        seeds = torch.randint(2**62, (len(groups),), generator=self.generator).tolist()
        with torch_threads(1):
            players, start = [], 0
            for group, seed in zip(groups, seeds, strict=True):
                players.append(self._parts(self.policy, group, slice(start, start + group.num_envs), rows, seed))
                start += group.num_envs
            for player in players:
                next(player)
            first, *others = players
            with self._threads(others, _LEAD) as workers:
                for part in first:
                    assert part
                    self._commit([part, *(worker.take() for worker in workers)], self.policy.version)

    def _begin_where_lost(self) -> None:
        if self._lost:
            self._begin_anew()
            self._lost = False

    def _copied_policy(self) -> Policy:
        policy: Any = self.policy
        if self._actor is None:
            self._actor = copy.deepcopy(policy)
        with torch.no_grad():  # what is derived from the state and not saved with it is copied, too
            for own, current in zip(_tensors(self._actor), _tensors(policy), strict=True):
                own.copy_(current)
        return self._actor  # type: ignore[return-value]

    @contextlib.contextmanager
    def _threads(self, players: Sequence[Iterator[_Part | None]], lead: int) -> Iterator[list[_Worker]]:
        """A thread for each of ``players`` while entered."""
        workers = [_Worker(player, lead) for player in players]
        try:
            yield workers
        except BaseException:
            self._lost = True
            raise
        finally:
            for worker in workers:
                worker.stop()

    def _parts(
        self, policy: Policy, envs: VectorEnv[Any, Any, Any], columns: slice, rows: int, seed: int
    ) -> Iterator[_Part | None]:
        """None, once the first actions are there, then the rows of a group; it changes nothing but ``envs``."""
        generator = torch.Generator().manual_seed(seed)
        episode = self._episode[columns].copy()
        observation = map_observation(lambda x: x[columns], self.observation)

        def act() -> tuple[Decision, np.ndarray]:
            decision = policy.act(to_tensors(observation, self.device), {}, self.explore, generator)
            return decision, decision.action.numpy()

        began = time.perf_counter_ns()
        decision, action = act()
        spent = time.perf_counter_ns() - began
        yield None
        for row in range(rows):
            began = time.perf_counter_ns()
            if row:
                decision, action = act()
                spent = time.perf_counter_ns() - began
            acted = time.perf_counter_ns()
            raw, reward, terminated, truncated, infos = envs.step(action)
            in_env = time.perf_counter_ns() - acted
            truncated = truncated & ~terminated
            done = terminated | truncated
            final: dict[int, Any] = {}
            seeds: dict[int, int] = {}
            if np.count_nonzero(done):
                final = self._final_observations(raw, infos, truncated)
                episode += done
                for column in np.flatnonzero(done & (episode % self._episodes_per_seed == 0)).tolist():
                    seeds[column] = episode_seed(self.seed, columns.start + column, int(episode[column]))
                began = time.perf_counter_ns()
                raw, _ = reset_columns(envs, done, [seeds.get(column) for column in range(len(done))])
                in_env += time.perf_counter_ns() - began
            observation = policy.observation.encode(raw)
            yield _Part(
                action,
                reward,
                terminated,
                truncated,
                transitions(infos, len(reward)),
                decision.extras,
                {columns.start + column: seen for column, seen in final.items()},
                observation,
                {columns.start + column: seed for column, seed in seeds.items()},
                spent,
                in_env,
            )

    def _commit(self, parts: Sequence[_Part], version: int) -> None:
        action, terminated, truncated = (_joined(parts, name) for name in ("action", "terminated", "truncated"))
        extras = {name: torch.cat([part.extras[name] for part in parts]) for name in parts[0].extras}
        final = {column: seen for part in parts for column, seen in part.final.items()}
        self.buffer.add(
            action,
            _joined(parts, "reward"),
            terminated,
            truncated,
            _joined(parts, "valid"),
            version,
            extras,
            final,
        )
        if self._replayable:
            self._actions.append(action)
        done = terminated | truncated
        self._episode += done
        for part in parts:
            for column, seed in part.seeds.items():
                self._seed[column], self._seeded[column] = seed, len(self._actions)
        self.observation = _joined_observations([part.observation for part in parts])
        self.buffer.observe(self.observation, done)
        self.nanoseconds["act"] += sum(part.act for part in parts) // len(parts)
        self.nanoseconds["env"] += sum(part.env for part in parts) // len(parts)


class _Worker(threading.Thread):
    """Takes parts from where they are made, in a thread of its own, at most so many ahead of who wants them."""

    def __init__(self, parts: Iterator[_Part | None], lead: int) -> None:
        super().__init__(name="hakisa collector", daemon=True)
        self._parts = parts
        self._made: SimpleQueue[Any] = SimpleQueue()
        self._room = threading.Semaphore(lead)
        self._stopped = False
        self.start()

    def run(self) -> None:
        torch.set_num_threads(1)  # of this thread
        try:
            with weights_cast_once(torch.device("cpu")):
                for part in self._parts:
                    self._made.put(part)
                    self._room.acquire()
                    if self._stopped:
                        return
        except BaseException as error:  # raised where it can be seen
            self._made.put(error)

    def take(self) -> _Part:
        """The next part; waits for it."""
        part = self._made.get()
        if isinstance(part, BaseException):
            raise part
        self._room.release()
        assert isinstance(part, _Part)
        return part

    def stop(self) -> None:
        """Ends the thread after the row that it is at, and waits for it."""
        self._stopped = True
        self._room.release()
        self.join()


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    return itertools.chain(module.parameters(), module.buffers())


def _joined(parts: Sequence[_Part], name: str) -> np.ndarray:
    return np.concatenate([getattr(part, name) for part in parts])


def _joined_observations(observations: Sequence[RawObservation]) -> RawObservation:
    if isinstance(observations[0], dict):
        return {key: np.concatenate([seen[key] for seen in observations]) for key in observations[0]}
    return np.concatenate(observations)
