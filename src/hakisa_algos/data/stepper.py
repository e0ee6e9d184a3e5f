"""Plays columns of a vector env with a policy, and says in plain arrays what came of each row.

Who drives it is not its business: the collector's own thread, another one, another process. It changes nothing but the
envs (and draws from the generator that it is given); what it did is committed by whoever takes its parts.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from hakisa_algos.data.contract import (
    OPPONENT,
    OUTCOME,
    OUTCOMES,
    RESETTING,
    START,
    Said,
    entry,
    follows,
    said,
    told_bool,
)
from hakisa_algos.data.faults import check_finite, check_rewards, env_name, flags, raise_clearer, rewards
from hakisa_algos.data.masks import MaskReader
from hakisa_algos.data.notes import Note, read_notes
from hakisa_algos.data.vectorize import ResetMode, episodes_per_seed, overlaps_resets, reset_columns, reset_mode
from hakisa_algos.errors import ConfigError, Stopped
from hakisa_algos.policy.observations import RawObservation, map_observation, pick, to_tensors
from hakisa_algos.policy.policy import Decision, Policy, Seated, State

_WORDS = (OUTCOME, OPPONENT, START)
_FINAL = "final_obs"  # what Gymnasium calls it


class Standing(NamedTuple):
    """Where columns stand between two rows; every array ``[n, ...]``.

    Attributes:
        observation: encoded.
        state: the policy's, for the next action.
        episode: number of the running episode.
        length: rows of it so far.
        done: it ended with the last row, and its env begins the next one by itself (NEXT_STEP).
        resetting: no episode runs yet: the env is still beginning it.
    """

    observation: Any
    state: State
    episode: np.ndarray
    length: np.ndarray
    done: np.ndarray
    resetting: np.ndarray

    def part(self, columns: slice) -> Standing:
        """Of some of the columns."""
        rest = (array[columns] for array in self[2:])
        state = {name: tensor[columns] for name, tensor in self.state.items()}
        return Standing(map_observation(lambda x: x[columns], self.observation), state, *rest)


class Part(NamedTuple):
    """One row of some columns, and what follows it; every array ``[n, ...]``, columns counted in the whole.

    Attributes:
        values: the row as the buffer stores it, but for ``policy_version``.
        counted: bool: it belongs to the result of its episode.
        final: the final observation of every truncated column.
        final_state: the policy's state with it.
        told: of every column whose episode ended, further fields of :class:`hakisa_algos.data.episodes.Episode`.
        notes: of every column that said where it stands, if they are wanted.
        start: bool: an episode begins with the observation that follows, or nothing of an episode is shown yet.
        standing: after the row.
        seeds: by which columns were begun anew.
        act: nanoseconds of acting.
        env: nanoseconds in the envs.
    """

    values: dict[str, Any]
    counted: np.ndarray
    final: dict[int, Any]
    final_state: dict[int, State]
    told: dict[int, dict[str, Any]]
    notes: dict[int, Note]
    start: np.ndarray
    standing: Standing
    seeds: dict[int, int]
    act: int
    env: int


class Stepper:
    """See the module.

    In games in real time a column is reset while the others are stepped on. Until it is ready its rows are no
    transitions, show zeros and count as steps.

    Args:
        envs: the columns, any VectorEnv; where they can be reset by mask, every episode gets a seed of its own.
        policy: who acts.
        seed: of the run.
        first: number of the first column in the whole.
        device: where the policy lives.
        explore: act as in training; False is the policy's best.
        episode_limit: steps after which an episode is cut off; None: never.

    Attributes:
        info_keys: entries of the last infos that episodes keep, where they are numbers.
        takes_notes: whether parts have notes.
        stop: asked before every row; True raises :class:`hakisa_algos.errors.Stopped`.
        masks: reads action masks; None where observations carry none.
    """

    def __init__(
        self,
        envs: VectorEnv[Any, Any, Any],
        policy: Policy,
        seed: int,
        *,
        first: int = 0,
        device: torch.device | None = None,
        explore: bool = True,
        episode_limit: int | None = None,
    ) -> None:
        self.envs, self.policy, self.seed, self.first = envs, policy, seed, first
        self.columns = slice(first, first + envs.num_envs)
        self.device = device or torch.device("cpu")
        self.explore = explore
        self.limit = episode_limit
        self.info_keys: tuple[str, ...] = ()
        self.takes_notes = False
        self.stop: Callable[[], bool] = bool
        self.mode = reset_mode(envs)
        self.contract = follows(envs.metadata)
        self._seated = policy if isinstance(policy, Seated) else None
        self.masks = MaskReader(envs) if policy.observation.mask_size else None
        self._overlap = self.mode is ResetMode.MASKED and overlaps_resets(envs)
        self._per_seed = episodes_per_seed(envs)
        self._all = np.ones(envs.num_envs, bool)
        self._none = np.zeros(envs.num_envs, bool)
        self._plain = Said(self._all, self._all, self._all, self._none)

    def played_by(self, policy: Policy) -> Stepper:
        """The same with another policy."""
        other = copy.copy(self)
        other.policy = policy
        return other

    def open(self, episode: np.ndarray) -> Part:
        """Resets all columns, whose episodes get these numbers, int ``[n]``; a part without a row."""
        zeros, state = np.zeros(len(episode), np.int64), self.policy.initial_state(len(episode))
        standing = Standing(None, state, episode, zeros, self._none, self._none)
        if self._seated:
            standing = standing._replace(state=self._begun(self._all, standing.state))
        began = time.perf_counter_ns()
        # Not the run's seed alone, or every resume would begin with the same episodes.
        seeds: dict[int, int | None] = {}
        seed: Any = episode_seed(self.seed, self.first, int(episode[0]))
        if self.mode is ResetMode.MASKED:
            seeds = self._seeds(self._all, standing)
            seed = list(seeds.values())
        raw, infos = self._call_reset(self._all, seed)
        spent = time.perf_counter_ns() - began
        resetting = told_bool(infos, RESETTING, len(episode)) if self._overlap else self._none
        if not self._seated:
            standing = standing._replace(state=self._begun(~resetting, standing.state))
        mask = None
        if self.masks is not None:
            mask = self._allowed(self.masks.read(infos, self._all), episode, zeros, ~resetting)
        seen = self._seen(raw, mask, episode, zeros, resetting)
        standing = standing._replace(observation=seen, resetting=resetting)
        return Part({}, self._none, {}, {}, {}, {}, self._all, standing, self._numbered(seeds), 0, spent)

    def decide(self, standing: Standing, generator: torch.Generator) -> Decision:
        """What the policy does where ``standing`` stands."""
        return self.policy.act(to_tensors(standing.observation, self.device), standing.state, self.explore, generator)

    def play(
        self, standing: Standing, generator: torch.Generator, rows: int | None = None, decided: Decision | None = None
    ) -> Iterator[Part]:
        """Plays on from ``standing``, row by row, each when it is asked for; with ``rows`` None without an end.

        ``decided`` are the first actions, where they are known already.
        """
        for _ in range(rows) if rows is not None else itertools.count():
            if self.stop():
                raise Stopped
            began = time.perf_counter_ns()
            decision = decided or self.decide(standing, generator)
            decided = None
            action = decision.action.cpu().numpy()
            part = self._step(standing, decision, action, time.perf_counter_ns() - began)
            standing = part.standing
            yield part

    def _step(self, standing: Standing, decision: Decision, action: np.ndarray, act: int) -> Part:
        began = time.perf_counter_ns()
        n = len(self._all)
        try:
            raw, reward, terminated, truncated, infos = self.envs.step(action)
        except Exception as error:
            raise_clearer(self.envs, "step", error)
            raise
        reward = rewards(reward, n)
        terminated, truncated = flags(terminated, n, "terminated"), flags(truncated, n, "truncated")
        spent = time.perf_counter_ns() - began
        state, episode, length, resetting = decision.state, standing.episode, standing.length + 1, standing.resetting
        transition, learned, counted, new = self._said(infos, standing)
        check_rewards(reward, ~transition | resetting, lambda column: self._moment(column, episode, length))
        if self._seated:
            playing = self._seated.games(state) >= 0
            learned, counted = learned & playing, counted & playing
            state, spent_games = self._seated.count(state, counted)
            truncated = truncated | spent_games
        cut = self._none
        if self.limit is not None:
            cut = (length >= self.limit) & ~(terminated | truncated | resetting)
            truncated = truncated | cut
        truncated = truncated & ~terminated
        done = terminated | truncated
        mask = None
        if self.masks is not None:  # a terminal observation needs none, unless another one stands in its place
            mask = self.masks.read(infos, self._all if self.mode is ResetMode.SAME_STEP else ~terminated)
        values = {
            "action": action,
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "transition": transition,
            "learned": learned,
        }
        for name, extra in decision.extras.items():
            values[name] = extra.cpu().numpy()
        notes: dict[int, Note] = {}
        if self.takes_notes and self.contract:
            notes = read_notes(infos, reward, counted, done, self.first)
        final: dict[int, Any] = {}
        final_state: dict[int, State] = {}
        told: dict[int, dict[str, Any]] = {}
        seeds: dict[int, int] = {}
        start = standing.done if self.mode is ResetMode.NEXT_STEP else done
        if new is not self._none and np.count_nonzero(new):
            start = start | new
            episode = episode + (new & ~resetting & ~standing.done)
            resetting = resetting & ~new
        if np.count_nonzero(done):
            final = self._finals(raw, mask, infos, truncated, cut, Standing(None, {}, episode, length, done, done))
            final_state = self._final_states(state, final)
            told = self._told(infos, done & counted, cut)
            episode = episode + done
            if self.mode is ResetMode.MASKED:
                before = Standing(None, state, episode, length, done, resetting)
                raw, mask, state, resetting, seeds, took = self._reset(done, mask, before)
                spent += took
        if np.count_nonzero(start):
            length[start] = 0
            if not self._seated:
                # What a column shows while it is reset must not be stacked on the episode before: it starts then, too,
                # and again when it is ready, which is when the policy hears of it.
                state = self._begun(start & ~resetting, state)
        waiting = done if self.mode is ResetMode.NEXT_STEP else self._none
        idle = waiting if resetting is self._none else waiting | resetting
        if mask is not None:
            mask = self._allowed(mask, episode, length, ~idle)
        encoded = self._seen(raw, mask, episode, length, idle)
        after = Standing(encoded, state, episode, length, waiting, resetting)
        return Part(values, counted, final, final_state, told, notes, start, after, seeds, act, spent)

    def _reset(
        self, done: np.ndarray, mask: np.ndarray | None, before: Standing
    ) -> tuple[RawObservation, np.ndarray | None, State, np.ndarray, dict[int, int], int]:
        """Begins the next episodes of ``done``.

        Returns:
            What all columns show, may do, carry and wait for then; seeds, and nanoseconds in the envs.
        """
        state, resetting = before.state, before.resetting
        if self._seated:  # before the reset, whose seed is that of the game which begins
            state = self._begun(done, state)
        seeds = self._seeds(done, before._replace(state=state))
        began = time.perf_counter_ns()
        raw, infos = self._call_reset(done, list(seeds.values()))
        spent = time.perf_counter_ns() - began
        if self.masks is not None and mask is not None:
            mask = np.where(done[:, None], self.masks.read(infos, done), mask)
        if self._overlap:
            resetting = resetting | (done & told_bool(infos, RESETTING, len(done)))
        return raw, mask, state, resetting, self._numbered(seeds), spent

    def _call_reset(self, mask: np.ndarray, seed: Any) -> tuple[RawObservation, Mapping[str, Any]]:
        try:
            if self.mode is ResetMode.MASKED:
                return reset_columns(self.envs, mask, seed, self._overlap)
            raw, infos = self.envs.reset(seed=seed)
            return raw, infos
        except Exception as error:
            raise_clearer(self.envs, "reset", error)
            raise

    def _seen(
        self,
        raw: RawObservation,
        mask: np.ndarray | None,
        episode: np.ndarray,
        length: np.ndarray,
        idle: np.ndarray,
        first: int = 0,
    ) -> Any:
        """Encoded observations ``[n, ...]`` of columns from ``first`` on, all finite but where nobody acts next."""
        try:
            encoded = self.policy.observation.encode(raw, mask)
        except ConfigError as error:
            raise ConfigError(f"{env_name(self.envs)} does not keep to what it says: {error}") from error
        check_finite(encoded, idle, lambda column: self._moment(column, episode, length, first))
        return encoded

    def _moment(self, column: int, episode: np.ndarray, length: np.ndarray, first: int = 0) -> tuple[str, str]:
        return (
            f"{env_name(self.envs)}, column {self.first + first + column}",
            f"at step {length[column]} of its episode {episode[column]}, both counted from 0",
        )

    def _allowed(self, mask: np.ndarray, episode: np.ndarray, length: np.ndarray, acting: np.ndarray) -> np.ndarray:
        """``mask``, all True where it allows nothing and nobody acts, as many games have it when they are over."""
        wrong = np.flatnonzero(acting & ~mask.any(1)).tolist()
        if wrong:
            which, when = self._moment(wrong[0], episode, length)
            raise ConfigError(
                f"{which}: its action mask allows nothing {when}; allow an action (with all of its arguments), or end "
                "the episode there"
            )
        return _opened(mask)

    def _said(self, infos: Mapping[str, Any], standing: Standing) -> Said:
        """What each column is at in this row."""
        row = said(infos, len(self._all)) if self.contract and infos else self._plain
        if self.mode is ResetMode.NEXT_STEP and np.count_nonzero(standing.done):
            going = ~standing.done
            row = Said(row.transition & going, row.learned & going, row.counted & going, row.began)
        return row

    def _begun(self, mask: np.ndarray, state: State) -> State:
        return self.policy.begin(torch.from_numpy(mask).to(self.device), state)

    def _seeds(self, mask: np.ndarray, standing: Standing) -> dict[int, int | None]:
        """For each column of this stepper its seed, None where its generator goes on or it is not reset."""
        if self._seated:
            return dict(enumerate(self._seated.seeds(mask, standing.state)))
        due = mask & ((standing.episode % self._per_seed == 0) | (standing.length == 0))
        return {
            column: episode_seed(self.seed, self.first + column, int(standing.episode[column])) if due[column] else None
            for column in range(len(mask))
        }

    def _numbered(self, seeds: Mapping[int, int | None]) -> dict[int, int]:
        """Those that there are, by the number of the column in the whole."""
        return {self.first + column: seed for column, seed in seeds.items() if seed is not None}

    def _finals(
        self,
        raw: RawObservation,
        mask: np.ndarray | None,
        infos: Mapping[str, Any],
        truncated: np.ndarray,
        cut: np.ndarray,
        at: Standing,
    ) -> dict[int, Any]:
        columns = np.flatnonzero(truncated).tolist()
        if not columns:
            return {}
        if mask is not None:
            mask = _opened(mask)
        told_apart = truncated & ~cut if self.mode is ResetMode.SAME_STEP else self._none
        encoded = self._seen(raw, mask, at.episode, at.length, told_apart | ~truncated)
        if self.masks is not None:  # only SAME_STEP tells of final observations apart
            mask = _opened(self.masks.read_final(infos, truncated))
        found = {}
        for column in columns:
            if told_apart[column]:
                shown = entry(infos, _FINAL, column)
                if shown is None:
                    raise ConfigError(
                        f"{env_name(self.envs)} begins the next episode in the step of the end (SAME_STEP), but "
                        f'infos["{_FINAL}"] says nothing of column {self.first + column}, which was truncated: say '
                        "there what was seen at last, or use AutoresetMode.NEXT_STEP"
                    )
                one = map_observation(lambda x: np.asarray(x)[None], shown)
                own = slice(column, column + 1)
                its_mask = None if mask is None else mask[own]
                seen = self._seen(one, its_mask, at.episode[own], at.length[own], self._none[own], column)
                found[self.first + column] = pick(seen, 0)
            else:
                found[self.first + column] = map_observation(np.array, pick(encoded, column))
        return found

    def _final_states(self, state: State, final: Mapping[int, Any]) -> dict[int, State]:
        if self._seated or not state:
            return {}
        return {column: {name: entries[column - self.first] for name, entries in state.items()} for column in final}

    def _told(self, infos: Mapping[str, Any], ended: np.ndarray, cut: np.ndarray) -> dict[int, dict[str, Any]]:
        columns = np.flatnonzero(ended).tolist()
        return {self.first + column: self._told_of(infos, column) | {"cut": bool(cut[column])} for column in columns}

    def _told_of(self, infos: Mapping[str, Any], column: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if self.contract:
            words = {word: entry(infos, word, column) for word in _WORDS}
            told = {word: str(value) for word, value in words.items() if value is not None}
            if told.get(OUTCOME) not in OUTCOMES:
                told.pop(OUTCOME, None)
        chosen = {key: entry(infos, key, column) for key in self.info_keys}
        return told | {"info": {key: float(value) for key, value in chosen.items() if _is_number(value)}}


def _opened(mask: np.ndarray) -> np.ndarray:
    """All True where nothing is allowed."""
    return mask | ~mask.any(1, keepdims=True)


def joined(parts: Sequence[Part]) -> Part:
    """One row of all columns from parts of it, in their order; times are means."""
    first = parts[0]
    values = {name: np.concatenate([part.values[name] for part in parts]) for name in first.values}
    observations = [part.standing.observation for part in parts]
    if isinstance(observations[0], dict):
        observation: Any = {key: np.concatenate([seen[key] for seen in observations]) for key in observations[0]}
    else:
        observation = np.concatenate(observations)
    state = {name: torch.cat([part.standing.state[name] for part in parts]) for name in first.standing.state}
    rest = (np.concatenate(arrays) for arrays in zip(*(part.standing[2:] for part in parts), strict=True))
    return Part(
        values,
        np.concatenate([part.counted for part in parts]),
        {column: seen for part in parts for column, seen in part.final.items()},
        {column: state for part in parts for column, state in part.final_state.items()},
        {column: told for part in parts for column, told in part.told.items()},
        {column: note for part in parts for column, note in part.notes.items()},
        np.concatenate([part.start for part in parts]),
        Standing(observation, state, *rest),
        {column: seed for part in parts for column, seed in part.seeds.items()},
        sum(part.act for part in parts) // len(parts),
        sum(part.env for part in parts) // len(parts),
    )


def episode_seed(run_seed: int, column: int, episode: int) -> int:
    """The seed of a column's ``episode``-th reset: the same for ever, and different for each."""
    return int(np.random.SeedSequence((run_seed, column, episode)).generate_state(1)[0] >> 1)


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating)
