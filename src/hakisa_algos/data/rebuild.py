"""Brings envs back to where a run stood when it was saved: by their own states, or by playing their actions again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from hakisa_algos.data.contract import GET_STATE, SET_STATE, follows
from hakisa_algos.data.faults import flags
from hakisa_algos.data.masks import MaskReader
from hakisa_algos.data.vectorize import ResetMode, is_deterministic, reset_columns
from hakisa_algos.policy.observations import same_observation, split_mask

# Beyond so many steps an episode is not replayed on resume: the log of its actions would outgrow the run.
_LONGEST_REPLAY = 200_000


class Rebuilder:
    """Remembers what it takes to rebuild the running episodes of ``envs``.

    An env that follows the contract and has ``get_state`` is asked for its state. Else the actions since the oldest
    seed in use are kept, and where in them each column was seeded. With the mode None episodes are not to be rebuilt.

    Attributes:
        from_envs: it is the envs that are asked for their states, and those are of now.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any], mode: ResetMode | None, masks: MaskReader | None = None) -> None:
        self._envs, self._masks = envs, masks
        self.from_envs = mode is not None and follows(envs.metadata) and has_states(envs)
        self._logs = not self.from_envs and mode is ResetMode.MASKED and is_deterministic(envs)
        self._forget_actions()
        self._seed = np.zeros(envs.num_envs, np.int64)
        self._seeded = np.zeros(envs.num_envs, np.int64)

    def forget(self) -> None:
        """All columns begin anew."""
        self._forget_actions()
        self._seeded[:] = 0

    def _forget_actions(self) -> None:
        # Rows end to end: thousands of small arrays, living among the large frames that come and go with every step,
        # fragment the heap (25 MB per 2,048 steps of Pong).
        self._log = bytearray()
        self._like = np.zeros(0)  # a row

    @property
    def _played(self) -> int:
        """Rows in the log."""
        return len(self._log) // max(self._like.nbytes, 1)

    def seeded(self, seeds: Mapping[int, int]) -> None:
        """Columns began an episode with these seeds, after all that was played."""
        for column, seed in seeds.items():
            self._seed[column], self._seeded[column] = seed, self._played

    def played(self, action: np.ndarray) -> None:
        """All columns took a step."""
        if self._logs:
            self._like = action
            self._log += action.tobytes()

    def trim(self) -> None:
        """Lets go of actions before the oldest seed in use."""
        oldest = int(self._seeded.min())
        if self._played - oldest > _LONGEST_REPLAY:
            self._logs = False
            self._forget_actions()
        elif oldest and self._logs:
            del self._log[: oldest * self._like.nbytes]
            self._seeded -= oldest

    def state(self) -> dict[str, Any]:
        """What :meth:`rebuild` takes."""
        return {
            "envs": get_states(self._envs) if self.from_envs else None,
            "actions": self._rows() if self._logs else None,
            "seed": self._seed.copy(),
            "seeded": self._seeded.copy(),
        }

    def _rows(self) -> np.ndarray:
        return np.ndarray((self._played, *self._like.shape), self._like.dtype, bytearray(self._log))

    def rebuild(self, state: Mapping[str, Any], seen: Any, encode: Callable[[Any], Any]) -> bool:
        """Brings envs to where :meth:`state` was taken; returns whether they show what was ``seen`` then, encoded."""
        self._seed, self._seeded = state["seed"].copy(), state["seeded"].copy()
        if state["envs"] is not None and self.from_envs:
            self._envs.reset()  # many envs, and wrappers of theirs, refuse to step before
            set_states(self._envs, state["envs"])
            return True
        if state["actions"] is None or not self._logs:
            return False
        return same_observation(encode(self._replay(state["actions"])), split_mask(seen)[0])

    def _replay(self, actions: np.ndarray) -> Any:
        self._log, self._like = bytearray(actions.tobytes()), np.zeros(actions.shape[1:], actions.dtype)
        everyone = np.ones(self._envs.num_envs, bool)
        raw, infos = reset_columns(self._envs, everyone, self._seeds(everyone))
        mask = None if self._masks is None else self._masks.read(infos, everyone)
        # A column plays what the log holds for others until its own part begins with its seed.
        for t in range(len(actions) + 1):
            joining = self._seeded == t
            if t and joining.any():
                raw, _ = reset_columns(self._envs, joining, self._seeds(joining))
            if t == len(actions):
                break
            action, waiting = actions[t], self._seeded > t
            if self._masks is not None and mask is not None and waiting.any():  # or whatever it may do
                action = action.copy()
                action[waiting] = self._masks.form.an_action(mask)[waiting]
            raw, _, *ended_by, infos = self._envs.step(action)
            terminated, truncated = (flags(each, len(everyone), "the end of an episode") for each in ended_by)
            if self._masks is not None:
                mask = self._masks.read(infos, waiting & ~(terminated | truncated))
            ended = (terminated | truncated) & (self._seeded != t + 1)
            if ended.any():
                raw, infos = reset_columns(self._envs, ended, self._seeds(~everyone))
                if self._masks is not None and mask is not None:
                    mask = np.where(ended[:, None], self._masks.read(infos, ended), mask)
        return raw

    def _seeds(self, due: np.ndarray) -> list[int | None]:
        return [int(seed) if wanted else None for seed, wanted in zip(self._seed, due, strict=True)]


def has_states(envs: VectorEnv[Any, Any, Any]) -> bool:
    """Whether every column can give its state and take it back: the vector env does it, or each single env does."""

    def has(env: Any) -> bool:
        return hasattr(env, GET_STATE) and hasattr(env, SET_STATE)

    if not isinstance(envs, SyncVectorEnv):
        return has(envs)
    inner = envs.envs[0]
    # Another wrapper may have a state of its own, of which the env inside knows nothing.
    while isinstance(inner, TimeLimit | OrderEnforcing | PassiveEnvChecker):
        inner = inner.env
    return has(inner)


def get_states(envs: VectorEnv[Any, Any, Any]) -> list[Any]:
    """The state of each column."""
    if not isinstance(envs, SyncVectorEnv):
        return list(getattr(envs, GET_STATE)())
    return [
        {"env": env.get_wrapper_attr(GET_STATE)(), "elapsed": [limit._elapsed_steps for limit in _time_limits(env)]}
        for env in envs.envs
    ]


def set_states(envs: VectorEnv[Any, Any, Any], states: list[Any]) -> None:
    """Puts back what :func:`get_states` gave."""
    if not isinstance(envs, SyncVectorEnv):
        getattr(envs, SET_STATE)(states)
        return
    for env, state in zip(envs.envs, states, strict=True):
        env.get_wrapper_attr(SET_STATE)(state["env"])
        for limit, elapsed in zip(_time_limits(env), state["elapsed"], strict=True):
            limit._elapsed_steps = elapsed


def _time_limits(env: gym.Env[Any, Any]) -> Iterator[TimeLimit[Any, Any]]:
    """The wrappers round ``env`` that count its steps: the env itself knows nothing of them."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            yield env
        env = env.env
