"""Steps the envs with a policy and fills the buffer; the only one who knows how episodes are started anew."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from hakisa_algos.data.action_log import ActionLog
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.vectorize import (
    ResetMode,
    episodes_per_seed,
    is_deterministic,
    overlaps_resets,
    reset_columns,
    reset_mode,
)
from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.observations import RawObservation, map_observation, pick, same_observation, to_tensors
from hakisa_algos.policy.policy import Policy, Seated
from hakisa_algos.policy.precision import torch_threads, weights_cast_once

logger = logging.getLogger(__name__)

# Beyond so many steps an episode is not replayed on resume: the log of its actions would outgrow the run.
_LONGEST_REPLAY = 200_000


@dataclass(frozen=True)
class Rows:
    """Collect ``n`` rows: one step of every env each."""

    n: int


@dataclass(frozen=True)
class Episodes:
    """Collect until ``n`` episodes have ended, but at most what the buffer holds."""

    n: int


@dataclass(frozen=True)
class Games:
    """Collect until a :class:`Seated` policy has played all games that it has, but at most ``rows`` (None: any)."""

    rows: int | None = None


Need = Rows | Episodes | Games


def episode_seed(run_seed: int, column: int, episode: int) -> int:
    """The seed of a column's ``episode``-th reset: the same for ever, and different for each."""
    return int(np.random.SeedSequence((run_seed, column, episode)).generate_state(1)[0] >> 1)


class Collector:
    """Plays ``envs`` with ``policy`` into ``buffer``.

    In games in real time a column is reset while the others are stepped on. Until it is ready its rows are no
    transitions, show zeros and count as steps. There the policy acts in one thread: the games need the cores, and a
    thread that waits for one holds up the others (with two busy cores: 2 ms for eight pictures became 300).

    Args:
        envs: any VectorEnv; where columns can be reset by mask, every episode gets a seed of its own.
        policy: who acts.
        buffer: where the rows go.
        seed: of the run.
        device: where the policy lives.
        explore: act as in training; False is the policy's best.

    Attributes:
        nanoseconds: time spent since the start in ``"env"``, the envs themselves, and in ``"act"``.
        observation: the newest ones, encoded, each array ``[num_envs, ...]``; None before the first reset.
    """

    def __init__(
        self,
        envs: VectorEnv[Any, Any, Any],
        policy: Policy,
        buffer: RolloutBuffer,
        seed: int = 0,
        device: torch.device | None = None,
        explore: bool = True,
    ) -> None:
        self.envs = envs
        self.policy = policy
        self.buffer = buffer
        self.seed = seed
        self.device = device or torch.device("cpu")
        self.explore = explore
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.nanoseconds = {"env": 0, "act": 0}
        n = envs.num_envs
        self._mode = reset_mode(envs)
        self._real_time = bool(envs.metadata.get("real_time"))
        self._overlap = self._mode is ResetMode.MASKED and overlaps_resets(envs)
        self._state = policy.initial_state(n)
        self._seated = policy if isinstance(policy, Seated) else None
        if self._seated:
            check_seedable(envs)
        # Players of games are not stopped in the middle of one.
        self._replayable = self._mode is ResetMode.MASKED and is_deterministic(envs) and not self._seated
        self._episode = np.zeros(n, np.int64)
        self._done = np.zeros(n, bool)
        self._resetting = np.zeros(n, bool)  # columns that show no episode yet
        self.observation: RawObservation = None
        self._episodes_per_seed = episodes_per_seed(envs)
        # Actions since the oldest seed in use, and where in them each column was seeded.
        self._actions = ActionLog()
        self._seed = np.zeros(n, np.int64)
        self._seeded = np.zeros(n, np.int64)

    def collect(self, need: Need) -> None:
        """Steps until ``need`` is met; the first call resets the envs."""
        if self.observation is None:
            self._reset_all()
        buffer = self.buffer
        buffer.initial_state = {name: tensor.clone() for name, tensor in self._state.items()}
        if isinstance(need, Games):
            last = math.inf if need.rows is None else buffer.rows + need.rows
            while self.games_left and buffer.rows < last:
                self._step()
            return
        threads = torch_threads(1) if self._real_time else contextlib.nullcontext()
        with threads, weights_cast_once(self.device):
            if isinstance(need, Rows):
                self._play(need.n)
            else:
                last, enough = buffer.rows + buffer.capacity, len(buffer.finished) + need.n
                while buffer.rows < last and len(buffer.finished) < enough:
                    self._step()
        self._trim_log()

    @property
    def games_left(self) -> bool:
        """Whether a :class:`Seated` policy is still at games."""
        return self._seated is not None and bool((self._seated.games(self._state) >= 0).any())

    def pause(self) -> None:
        """Holds games that run in real time, while the learner thinks; other envs do not notice."""
        call_envs(self.envs, "pause")

    def resume(self) -> None:
        """Ends :meth:`pause`."""
        call_envs(self.envs, "resume")

    def close(self) -> None:
        """Nothing to do: the envs belong to whoever made them."""

    def _play(self, rows: int) -> None:
        for _ in range(rows):
            self._step()

    def _step(self) -> None:
        began = time.perf_counter_ns()
        policy = self.policy
        tensors = to_tensors(self.observation, self.device)
        decision = policy.act(tensors, self._state, self.explore, self.generator)
        self._state = decision.state
        action = decision.action.cpu().numpy()
        acted = time.perf_counter_ns()
        self.nanoseconds["act"] += acted - began

        raw, reward, terminated, truncated, infos = self.envs.step(action)
        self.nanoseconds["env"] += time.perf_counter_ns() - acted
        valid = transitions(infos, len(reward))
        if self._mode is ResetMode.NEXT_STEP:
            valid &= ~self._done
        if self._seated:
            valid &= self._seated.games(self._state) >= 0
            self._state, spent = self._seated.count(self._state, valid)
            truncated = truncated | spent
        truncated = truncated & ~terminated
        done = terminated | truncated
        final = self._final_observations(raw, infos, truncated) if np.count_nonzero(truncated) else {}
        self.buffer.add(action, reward, terminated, truncated, valid, policy.version, decision.extras, final)
        if self._replayable:
            self._actions.append(action)
        if self._mode is ResetMode.NEXT_STEP:
            start, self._done = self._done, done
        else:
            start = done
            if self._overlap:
                start = done | (self._resetting & _told(infos, "began", len(done)))
                self._resetting &= ~start
            if self._mode is ResetMode.MASKED and np.count_nonzero(done):
                if self._seated:
                    self._begin(done)  # before the reset, whose seed is that of the game which begins
                self._episode += done
                raw = self._reset(done, done & (self._episode % self._episodes_per_seed == 0))
        if not self._seated and np.count_nonzero(start):  # a tenth of what any() takes
            self._begin(start & ~self._resetting)
        self._see(raw, start)

    def _see(self, raw: RawObservation, start: np.ndarray) -> None:
        self.observation = self.policy.observation.encode(raw)
        # What a column shows while it is reset must not be stacked on the episode before, so there it starts, too.
        self.buffer.observe(self.observation, start)

    def _reset_all(self) -> None:
        everyone = np.ones(self.envs.num_envs, bool)
        if self._seated:
            self._begin(everyone)
        if self._mode is ResetMode.MASKED:
            raw = self._reset(everyone, everyone)
        else:
            # Not the run's seed alone, or every resume would begin with the same episodes.
            raw, _ = self.envs.reset(seed=episode_seed(self.seed, 0, int(self._episode[0])))
        if not self._seated:
            self._begin(everyone & ~self._resetting)
        self._see(raw, everyone)

    def _begin(self, mask: np.ndarray) -> None:
        self._state = self.policy.begin(torch.from_numpy(mask).to(self.device), self._state)

    def _reset(self, mask: np.ndarray, seeded: np.ndarray) -> RawObservation:
        if self._seated:
            seeds = self._seated.seeds(mask, self._state)
        else:
            for column in np.flatnonzero(seeded):
                self._seed[column] = episode_seed(self.seed, int(column), int(self._episode[column]))
            self._seeded[seeded] = len(self._actions)
            seeds = self._seeds(seeded)
        began = time.perf_counter_ns()
        raw, infos = reset_columns(self.envs, mask, seeds, self._overlap)
        self.nanoseconds["env"] += time.perf_counter_ns() - began
        if self._overlap:
            self._resetting |= mask & _told(infos, "resetting", len(mask))
        return raw

    def _seeds(self, seeded: np.ndarray) -> list[int | None]:
        return [int(seed) if due else None for seed, due in zip(self._seed, seeded, strict=True)]

    def _final_observations(
        self, raw: RawObservation, infos: Mapping[str, Any], truncated: np.ndarray
    ) -> dict[int, Any]:
        encode = self.policy.observation.encode
        ended = [int(env) for env in np.flatnonzero(truncated)]
        if self._mode is ResetMode.SAME_STEP:
            one = {env: map_observation(lambda x: np.asarray(x)[None], infos["final_obs"][env]) for env in ended}
            return {env: pick(encode(raw), 0) for env, raw in one.items()}
        encoded = encode(raw)
        return {env: pick(encoded, env) for env in ended}

    def _trim_log(self) -> None:
        oldest = int(self._seeded.min())
        if len(self._actions) - oldest > _LONGEST_REPLAY:
            self._replayable = False
            self._actions = ActionLog()
        elif oldest:
            self._actions.drop(oldest)
            self._seeded -= oldest

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, the running episodes as their seeds and actions."""
        return {
            "generator": self.generator.get_state(),
            "policy_state": dict(self._state),
            "episode": self._episode.copy(),
            "done": self._done.copy(),
            "observation": None if self.observation is None else map_observation(np.array, self.observation),
            "actions": self._actions.array(),
            "seed": self._seed.copy(),
            "seeded": self._seeded.copy(),
            "replayable": self._replayable,
        }

    def load_state(self, state: Mapping[str, Any]) -> bool:
        """Restores what :meth:`state` gave; returns whether the envs stand exactly where they stood.

        Running episodes are rebuilt by replaying their actions from their seeds. Where that is impossible, or
        leads to other observations, they are closed as truncated and new ones begin.
        """
        self.generator.set_state(state["generator"])
        self._episode = state["episode"].copy()
        if state["observation"] is None:
            return True  # nothing was played yet
        if state["replayable"] and self._replayable and self._replay(state):
            self._done = state["done"]
            self._state = dict(state["policy_state"])
            return True
        logger.warning(
            "the running episodes cannot be rebuilt in this env: they are closed as truncated, and this resume "
            "is not bit for bit"
        )
        self.observation = state["observation"]
        self._begin_anew()
        return False

    def _begin_anew(self) -> None:
        """Closes the running episodes as truncated and begins new ones."""
        self.buffer.close_episodes(self.observation)
        self._episode += 1
        self._done[:] = False
        self._resetting[:] = False
        self._actions = ActionLog()
        self._reset_all()

    def _replay(self, state: Mapping[str, Any]) -> bool:
        actions = state["actions"]
        self._actions.load(actions)
        self._seed, self._seeded = state["seed"].copy(), state["seeded"].copy()
        everyone = np.ones(self.envs.num_envs, bool)
        raw, _ = reset_columns(self.envs, everyone, self._seeds(everyone))
        # A column plays what the log holds for others until its own part begins with its seed.
        for t in range(len(actions) + 1):
            joining = self._seeded == t
            if t and joining.any():
                raw, _ = reset_columns(self.envs, joining, self._seeds(joining))
            if t == len(actions):
                break
            raw, _, terminated, truncated, _ = self.envs.step(actions[t])
            ended = (terminated | truncated) & (self._seeded != t + 1)
            if ended.any():
                raw, _ = reset_columns(self.envs, ended, self._seeds(~everyone))
        self.observation = self.policy.observation.encode(raw)
        return same_observation(self.observation, state["observation"])


def check_seedable(envs: VectorEnv[Any, Any, Any]) -> None:
    """Refuses envs whose episodes the collector cannot begin with seeds of its choice.

    Raises:
        ConfigError: it says who begins them, and what to use instead.
    """
    mode = reset_mode(envs)
    if mode is not ResetMode.MASKED:
        raise ConfigError(
            f"the episodes of {type(envs).__name__} cannot be given seeds: they are begun by {mode.value}. Players "
            "would be compared by different games; pass an env id, a callable that makes an env, or a vector env that "
            'takes reset(seed=[...], options={"reset_mask": ...}) and declares metadata["masked_reset"] = True'
        )


def call_envs(envs: VectorEnv[Any, Any, Any], name: str) -> None:
    """Calls a method of a vector env, or of the single envs in it, where they have it."""
    for own in (envs, envs.unwrapped):
        if hasattr(own, name):
            getattr(own, name)()
            return
    # Asked first: a call of what an env does not have ends the process of an AsyncVectorEnv's column.
    inner: Any = envs.unwrapped
    if hasattr(inner, "call") and all(inner.call("has_wrapper_attr", name)):
        inner.call(name)


def transitions(infos: Mapping[str, Any], num_envs: int) -> np.ndarray:
    """Bool ``[num_envs]``: False where the env itself says that a row is no transition.

    Live games do: of a frame that came too late, a game that was lost, a column that is still being reset.
    """
    valid = np.ones(num_envs, bool)
    # Under SAME_STEP the row's own infos are in final_info, once its episode has ended.
    for told in (infos, infos.get("final_info", {})):
        for key, fine in (("transition", True), ("resetting", False)):
            if key in told:
                valid &= _told(told, key, num_envs, fine) == fine
    return valid


def _told(infos: Mapping[str, Any], key: str, num_envs: int, otherwise: bool = False) -> np.ndarray:
    """Bool ``[num_envs]``: what the infos say under ``key``, and ``otherwise`` where they say nothing."""
    if key not in infos:
        return np.full(num_envs, otherwise)
    said = np.asarray(infos.get(f"_{key}", True), bool)  # by which columns
    return np.where(said, np.asarray(infos[key]).astype(bool), otherwise)
