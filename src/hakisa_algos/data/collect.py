"""Fills the buffer: has columns played, in this thread or in others, and commits what comes of it."""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import nn

from hakisa_algos.data.contract import GROUPS, PAUSE, REAL_TIME, RESUME, declared, follows
from hakisa_algos.data.episodes import EpisodeCounter
from hakisa_algos.data.needs import Elsewhere, Episodes, Games, MakeEnvs, Need, Nothing, Play, Rows
from hakisa_algos.data.notes import Note
from hakisa_algos.data.rebuild import Rebuilder
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.stepper import Part, Standing, Stepper, joined
from hakisa_algos.data.threads import in_threads
from hakisa_algos.data.vectorize import ResetMode, call_envs, check_seedable
from hakisa_algos.errors import Stopped
from hakisa_algos.policy.observations import map_observation
from hakisa_algos.policy.policy import Policy, Seated, acting, state_on
from hakisa_algos.policy.precision import torch_threads, weights_cast_once

logger = logging.getLogger(__name__)

T = TypeVar("T")
# Hears the notes of a row, by column, where episodes begin after it, and the env steps so far.
Listener = Callable[[Mapping[int, Note], np.ndarray, int], None]

# Fewer rows are not worth a thread.
_FEWEST_ROWS = 8
# Rows that a thread may be ahead of the one that writes the buffer: more hide longer resets, and hold more pictures.
_LEAD = 8


class Collector:
    """Plays ``envs`` with ``policy`` into ``buffer``. One thread plays all columns, or:

    * the env has ``groups`` of columns that different threads may step: then each group has a thread of its own, which
      acts in one torch thread and goes on without waiting for the others, so that no core idles while another acts or
      steps. Rows reach the buffer whole and in order; all of a collection are of one version of the policy. Actions do
      not depend on which thread is faster;
    * something is to be done meanwhile: then all columns play in another thread with a copy of the policy.

    Games in real time are paused from the end of one collection to the beginning of the next. There the policy acts in
    one thread: the games need the cores, and a thread that waits for one holds up the others (with two busy cores: 2 ms
    for eight pictures became 300).

    After an exception the envs are ahead of the buffer: the running episodes are closed as truncated when it collects
    again.

    Args:
        envs: any VectorEnv; None: only :class:`Nothing` can be asked for.
        policy: who acts, in ``eval()`` mode.
        buffer: where the rows go.
        seed: of the run.
        device: where the policy lives.
        episode_limit: steps after which an episode is cut off, which counts as truncated; None: never.
        discount: of the discounted returns of episodes.
        make_envs: makes the same envs again, for those who play elsewhere.

    Attributes:
        nanoseconds: time spent since the start in ``"env"``, the envs themselves, and in ``"act"``; means over threads.
        info_keys: entries of the last infos that episodes keep, where they are numbers.
        listener: hears what infos say beside transitions; None: nobody does.
        has_learned: whether any row since the start can be learned from.
        stop: asked before every row; True ends a collection by :class:`hakisa_algos.errors.Stopped`.
    """

    def __init__(
        self,
        envs: VectorEnv[Any, Any, Any] | None,
        policy: Policy,
        buffer: RolloutBuffer,
        *,
        seed: int = 0,
        device: torch.device | None = None,
        episode_limit: int | None = None,
        discount: float = 1.0,
        make_envs: MakeEnvs | None = None,
    ) -> None:
        self.policy = policy
        self.buffer = buffer
        self.device = device or torch.device("cpu")
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.nanoseconds = {"env": 0, "act": 0}
        self.info_keys: tuple[str, ...] = ()
        self.stop: Callable[[], bool] = bool
        self.has_learned = False
        self.listener: Listener | None = None
        self._counter = EpisodeCounter(buffer.num_envs, discount)
        self._make_envs = make_envs
        self._play: Play | None = None
        self._standing: Standing | None = None
        self._episode = np.zeros(buffer.num_envs, np.int64)  # where the next opening begins
        self._first = self._chunk = 0  # of this collection, see Rows
        self._lost = self._paused = False
        self._actor: Policy | None = None
        self.envs = envs
        if envs is None:
            return

        def stepper(part: VectorEnv[Any, Any, Any], first: int = 0) -> Stepper:
            return Stepper(
                part, policy, seed, first=first, device=self.device, episode_limit=episode_limit
            )  # fmt: skip

        self._whole = stepper(envs)
        self._real_time = bool(declared(envs, REAL_TIME))
        self._pausable = follows(envs.metadata)
        seated = isinstance(policy, Seated)
        if seated:
            check_seedable(envs)
        # Asked of the env itself: a wrapper, which would hand the attribute on, may change what its env shows.
        groups = vars(envs).get(GROUPS, ()) if follows(envs.metadata) else ()
        apart = self._whole.mode is ResetMode.MASKED and not (seated or self._real_time or self.device.type != "cpu")
        firsts = itertools.accumulate((group.num_envs for group in groups), initial=0)
        self._groups = [stepper(group, first) for group, first in zip(groups, firsts, strict=False)] if apart else []
        # Players of games are not stopped in the middle of one.
        self._rebuilder = Rebuilder(envs, None if seated else self._whole.mode, self._whole.masks)

    @property
    def observation(self) -> Any:
        """The newest ones, encoded, each array ``[num_envs, ...]``; None before the first reset."""
        return None if self._standing is None else self._standing.observation

    @property
    def games_left(self) -> bool:
        """Whether a :class:`Seated` policy is still at games."""
        assert isinstance(self.policy, Seated)
        return self._standing is None or bool((self.policy.games(self._standing.state) >= 0).any())

    def collect(self, need: Need, meanwhile: Callable[[], T] | None = None) -> T | None:
        """Plays until ``need`` is met; the first call resets the envs.

        Args:
            need: what to collect.
            meanwhile: is called while rows are played by a copy of the policy, as it was when this began; they are
                written into the buffer, which it may read, when it is done. What is played does not depend on what it
                does, on when, or on whether torch has a thread to spare: where it has none, it is called afterwards.

        Returns:
            What ``meanwhile`` returned.
        """
        if isinstance(need, Nothing):
            return None
        if isinstance(need, Elsewhere):
            self._collect_elsewhere(need.play)
            return None
        assert self.envs is not None, "this run has no envs to collect in"
        self._hold(False)
        for stepper in (self._whole, *self._groups):
            stepper.info_keys, stepper.stop = self.info_keys, self.stop
            stepper.takes_notes = self.listener is not None
        try:
            with acting(self.policy):
                return self._collect(need, meanwhile)
        except Stopped:  # between rows
            raise
        except BaseException:
            self._lost = True
            raise

    def _collect(self, need: Need, meanwhile: Callable[[], T] | None) -> T | None:
        self._open()
        self._first, self._chunk = self.buffer.rows, need.chunk if isinstance(need, Rows) else 0
        result = None
        if meanwhile is not None:
            assert isinstance(need, Rows)
            result = self._collect_beside(need.n, meanwhile)
        else:
            threads = torch_threads(1) if self._real_time else contextlib.nullcontext()
            with threads, weights_cast_once(self.device):
                self._collect_here(need)
            if self._chunk:
                self.buffer.keep_state(self._stands.state)
            self._hold(True)
        self._rebuilder.trim()
        return result

    def _collect_here(self, need: Need) -> None:
        buffer = self.buffer
        if isinstance(need, Rows) and self._groups and need.n >= _FEWEST_ROWS and torch.get_num_threads() > 1:
            self._collect_apart(need.n)
            return
        last, enough = buffer.rows + buffer.capacity, len(buffer.finished)
        parts = self._whole.play(self._stands, self.generator, need.n if isinstance(need, Rows) else None)
        if isinstance(need, Games) and not self.games_left:
            return
        for part in parts:
            self._commit(part, self.policy.version)
            if isinstance(need, Games) and not self.games_left:
                return
            if isinstance(need, Episodes) and (buffer.rows >= last or len(buffer.finished) >= enough + need.n):
                return

    def _collect_apart(self, rows: int) -> None:
        """A thread for each group but the first, which plays in this one."""
        seeds = torch.randint(2**62, (len(self._groups),), generator=self.generator).tolist()
        with torch_threads(1):
            players = []
            for group, seed in zip(self._groups, seeds, strict=True):
                standing, generator = self._stands.part(group.columns), torch.Generator().manual_seed(seed)
                # Before threads start: what a policy makes at its first call after an update is then there.
                players.append(group.play(standing, generator, rows, group.decide(standing, generator)))
            first, *others = players
            with in_threads(others, _LEAD) as workers:
                try:
                    for part in first:
                        self._commit(joined([part, *(worker.take() for worker in workers)]), self.policy.version)
                except Stopped:
                    self._lost = True  # some groups are ahead
                    raise

    def _collect_beside(self, rows: int, meanwhile: Callable[[], T]) -> T:
        """One thread plays all columns, with a copy of the policy."""
        version, spare = self.policy.version, torch.get_num_threads() - 1
        seed = int(torch.randint(2**62, (), device=self.device, generator=self.generator))
        generator = torch.Generator(self.device).manual_seed(seed)
        parts = self._held(self._whole.played_by(self._copied_policy()).play(self._stands, generator, rows))
        with torch_threads(max(1, spare)), in_threads([parts], rows, at_once=not spare) as (worker,):
            result = meanwhile()
            for _ in range(rows):
                self._commit(worker.take(), version)
        return result

    def _held(self, parts: Iterable[Part]) -> Iterator[Part]:
        """``parts``, safe from being written over by their env; after the last one a game in real time is paused."""
        for part in parts:
            if not self._groups:  # which promise that themselves
                seen = map_observation(np.array, part.standing.observation)
                values = {name: np.array(value) for name, value in part.values.items()}
                part = part._replace(values=values, standing=part.standing._replace(observation=seen))
            yield part
        self._hold(True)

    def _copied_policy(self) -> Policy:
        policy: Any = self.policy
        if self._actor is None or not isinstance(policy, nn.Module):
            self._actor = copy.deepcopy(policy)
        elif isinstance(self._actor, nn.Module):
            with torch.no_grad():  # what is derived from the state and not saved with it is copied, too
                for own, current in zip(_tensors(self._actor), _tensors(policy), strict=True):
                    own.copy_(current)
        assert self._actor is not None
        return self._actor

    def _collect_elsewhere(self, play: Play) -> None:
        self._play = play
        assert self.envs is not None
        self._hold(False)
        with acting(self.policy):
            played = play(self.envs, self._make_envs, self.info_keys, self.stop)
        self._hold(True)
        self.buffer.count_elsewhere(played.rows)
        self.buffer.finished.extend(played.episodes)
        self.has_learned = True
        for name, spent in played.nanoseconds.items():
            self.nanoseconds[name] += spent

    def _commit(self, part: Part, version: int) -> None:
        """The only way into the buffer: one row, of all columns."""
        values = part.values
        values["policy_version"] = version
        if self._chunk and not (self.buffer.rows - self._first) % self._chunk:
            self.buffer.keep_state(self._stands.state)
        self.buffer.add(values, part.final, part.final_state)
        self.buffer.finished += self._counter.count(values["reward"], part.counted, values.get("seat"), part.told)
        self.has_learned = self.has_learned or bool(values["learned"].any())
        self._rebuilder.played(values["action"])
        self._follow(part)
        self.nanoseconds["act"] += part.act
        self.nanoseconds["env"] += part.env

    def _follow(self, part: Part) -> None:
        """Takes over where the columns stand after a row; everybody hears here that episodes begin."""
        self._standing = part.standing
        self._rebuilder.seeded(part.seeds)
        if np.count_nonzero(part.start):
            self._counter.begin(part.start)
        self.buffer.observe(part.standing.observation, part.start)
        if self.listener is not None:
            self.listener(part.notes, part.start, self.buffer.steps)

    def _open(self) -> None:
        if self._lost:
            self.begin_anew()
        if self._standing is None:
            part = self._whole.open(self._episode)
            self._rebuilder.forget()
            self._follow(part)

    @property
    def _stands(self) -> Standing:
        assert self._standing is not None
        return self._standing

    def begin_anew(self) -> None:
        """Closes the running episodes as truncated; the next collection begins new ones."""
        self._lost = False
        if self._standing is None:
            return
        state = {} if isinstance(self.policy, Seated) else self._standing.state
        self.buffer.close_episodes(self._standing.observation, state)
        self._episode = self._standing.episode + 1
        self._standing = None

    @contextlib.contextmanager
    def lend(self) -> Iterator[VectorEnv[Any, Any, Any]]:
        """The envs, for somebody else to play in meanwhile; the running episodes are closed as truncated before."""
        assert self.envs is not None
        self.begin_anew()
        self._hold(False)
        yield self.envs

    def close(self) -> None:
        """Lets paused games go on, and ends what was started; the envs belong to whoever made them."""
        self._hold(False)
        if self._play is not None:
            self._play.close()

    def _hold(self, paused: bool) -> None:
        """Holds games that run in real time while nobody plays, or lets them go on; other envs do not notice."""
        if self.envs is not None and self._pausable and paused != self._paused:
            call_envs(self.envs, PAUSE if paused else RESUME)
            self._paused = paused

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, the running episodes as the states of their envs, or as seeds and actions."""
        if self._lost and self._rebuilder.from_envs:  # which are ahead of the rows
            self.begin_anew()
        standing = self._standing
        return {
            "generator": self.generator.get_state(),
            "counter": self._counter.state(),
            "episode": self._episode if standing is None else standing.episode,
            "standing": None if standing is None else standing._replace(
                observation=map_observation(np.array, standing.observation)
            )._asdict(),
            "running": None if standing is None else self._rebuilder.state(),
        }  # fmt: skip

    def load_state(self, state: Mapping[str, Any], same_env: bool = True) -> bool:
        """Restores what :meth:`state` gave; returns whether the envs stand exactly where they stood.

        Where they cannot be brought there, or are not the ``same_env``, the running episodes are closed as truncated,
        and new ones begin; so too in another number of columns, where the buffer has none of their rows.
        """
        self.generator.set_state(state["generator"])
        if len(state["episode"]) != self.buffer.num_envs:
            logger.warning(
                "%d envs instead of %d: the running episodes are closed as truncated; this resume is not bit for bit",
                self.buffer.num_envs,
                len(state["episode"]),
            )
            # Beyond all that were played, so that no episode is played twice.
            self._episode[:] = state["episode"].max() + 1
            return False
        self._episode = state["episode"].copy()
        if state["standing"] is None:
            return True  # nothing was played yet
        self._counter.load_state(state["counter"])
        standing = Standing(**state["standing"])
        self._standing = standing = standing._replace(state=state_on(self.device, standing.state))
        encode = self.policy.observation.encode
        if same_env and self._rebuilder.rebuild(state["running"], standing.observation, encode):
            return True
        logger.warning(
            "the running episodes cannot %s: they are closed as truncated, and this resume is not bit for bit",
            "be rebuilt in this env" if same_env else "go on in an env that was changed",
        )
        self.begin_anew()
        return False


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    return itertools.chain(module.parameters(), module.buffers())
