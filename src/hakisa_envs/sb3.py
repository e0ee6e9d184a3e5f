"""Our vector envs, live games above all, under Stable-Baselines3: a thin VecEnv, and a callback that pauses games."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Dict
from gymnasium.vector import VectorEnv
from gymnasium.wrappers.vector import DictInfoToList
from numpy.typing import NDArray

from hakisa_envs import contract
from hakisa_envs.errors import import_extra

import_extra("stable_baselines3", extra="sb3", needed_by="hakisa_envs.sb3")

from stable_baselines3.common.callbacks import BaseCallback  # noqa: E402
from stable_baselines3.common.monitor import Monitor  # noqa: E402
from stable_baselines3.common.vec_env import VecEnv  # noqa: E402


class SB3VecEnv(VecEnv):
    """A vector env of ours as a VecEnv of Stable-Baselines3, with what its Monitor would add.

    Every row that SB3 gets is one of play. A column that has ended is reset before `step_wait` returns: the row
    holds the new episode's first observation, and in its info ``terminal_observation``, ``TimeLimit.truncated`` and
    ``episode`` (``r``, ``l``, ``t``). A live game's reset takes seconds and SB3 wants a row of every column at a time,
    so the other games are paused meanwhile, as their profile says. (Hakisa's own trainers let them play on, and leave
    the rows of the reset out; SB3 cannot leave a row out.)

    Rows that an env itself calls no transition (``info["transition"]`` is False) reach SB3 all the same: a frame
    that came too late is real play, only of another length. Where a game was lost, in a step or while it was paused,
    the episode is truncated and its last good observation stands in for the one that was lost. Such rows are counted
    in ``not_transitions``.

    Args:
        envs: With ``metadata["hakisa_contract"]`` and ``metadata["masked_reset"]`` (docs/contract.md), such as
            ``gym.make_vec("Hakisa/ScreenGame-v0", 8, game=...)``.

    Attributes:
        envs: The same.
        not_transitions: How many rows were called no transition, int ``[num_envs]``.
        reset_seconds: How long all columns together stood still while some were reset, the first reset left out.

    Raises:
        ValueError: If ``envs`` do not follow the contract, their columns cannot be reset by mask, or observations are
            a `Dict`.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        if not (_follows_contract(envs.metadata) and envs.metadata.get(contract.MASKED_RESET)):
            raise ValueError(
                f"{type(envs).__name__} cannot reset single columns: it does not declare "
                f"metadata[{contract.CONTRACT!r}] = {contract.VERSION} and metadata[{contract.MASKED_RESET!r}] = True. "
                "Give a vector env of hakisa_envs, and single envs to SB3's own make_vec_env."
            )
        if isinstance(envs.single_observation_space, Dict):
            raise ValueError(f"Observations must be arrays, not {envs.single_observation_space}.")
        self.envs = envs
        self.not_transitions = np.zeros(envs.num_envs, np.int64)
        self.reset_seconds = 0.0
        self._listed: Any = DictInfoToList(envs)  # the same, with a dict of infos per column
        self._last: NDArray[Any] = np.empty(0)
        self._actions: NDArray[Any] = np.empty(0)
        self._returns = np.zeros(envs.num_envs)
        self._lengths = np.zeros(envs.num_envs, np.int64)
        self._began = time.time()
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> NDArray[Any]:
        """Reset all columns with the seeds of `seed` and the options of `set_options`, which are used once.

        Raises:
            ValueError: If the columns' options differ.
        """
        options = self._options[0]
        if any(other != options for other in self._options):
            raise ValueError(f"All columns take the same options, got {self._options}: pass set_options one dict.")
        self._last, self.reset_infos = self._listed.reset(seed=self._seeds, options=options or None)
        self._returns[:], self._lengths[:] = 0, 0
        self._reset_seeds()
        self._reset_options()
        return self._last.copy()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Step every column, and reset those that have ended."""
        observations, rewards, terminated, truncated, infos = self._listed.step(self._actions)
        # A game that was lost while it was paused has a new episode: SB3 must hear that the old one has ended.
        begun = np.array([bool(info.get(contract.BEGAN, False)) for info in infos])
        truncated = truncated | begun
        done = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        for column, info in enumerate(infos):
            info["TimeLimit.truncated"] = bool(truncated[column] and not terminated[column])
            played = info.get(contract.TRANSITION, True)
            self.not_transitions[column] += not played
            if done[column]:
                shown = observations if info.get(contract.COUNTED, played) else self._last
                info["terminal_observation"] = shown[column].copy()
                info["episode"] = {
                    "r": round(float(self._returns[column]), 6),
                    "l": int(self._lengths[column]),
                    "t": round(time.time() - self._began, 6),
                }
        if (done & ~begun).any():
            observations = self._reset(done & ~begun)
        self._returns[begun], self._lengths[begun] = 0, 0
        self._last = observations
        return observations.copy(), rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """End all games."""
        self.envs.close()

    def has_attr(self, attr_name: str) -> bool:
        """Whether the vector env, or else every env in it, has this attribute or method."""
        if self._owner(attr_name) is not None:
            return True
        owner = self._owner("call")
        return owner is not None and all(owner.call("has_wrapper_attr", attr_name))

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the vector env, or else of every env in it (a copy, where they run in processes).

        Raises:
            AttributeError: If there is none.
        """
        owner = self._owner(attr_name)
        single = self._owner("get_attr")
        if owner is None and single is not None:
            values: Sequence[Any] = single.get_attr(attr_name)
        else:
            values = [getattr(owner or self.envs, attr_name)] * self.num_envs
        return [values[column] for column in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Not offered: games run in other processes or in C++.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(f"{attr_name} cannot be set from here: pass it as an option when the envs are made.")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Call a method of every env: ``pause``, ``resume``, or any other where they run in processes.

        Raises:
            AttributeError: If there is none.
            ValueError: If ``indices`` are not all columns: methods reach all of them.
        """
        if list(self._get_indices(indices)) != list(range(self.num_envs)):
            raise ValueError(f"indices={indices!r} is not allowed: {method_name} reaches all columns, so leave it out.")
        if method_name in (contract.PAUSE, contract.RESUME) and (owner := self._owner(method_name)) is not None:
            getattr(owner, method_name)(*args, **kwargs)
            return [None] * self.num_envs
        if (owner := self._owner("call")) is None:
            raise AttributeError(f"{type(self.envs).__name__} has no single envs with {method_name!r} to call.")
        return list(owner.call(method_name, *args, **kwargs))

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """True for Monitor only, whose statistics are in the infos."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """What every env renders; None where the render mode is None."""
        pictures: Any = self.envs.render() if self.render_mode is not None else None
        return [None] * self.num_envs if pictures is None else list(pictures)

    def _owner(self, name: str) -> Any:
        """The vector env, or the one inside its wrappers, that has ``name``; None if neither has."""
        return next((envs for envs in (self.envs, self.envs.unwrapped) if hasattr(envs, name)), None)

    def _reset(self, done: NDArray[np.bool_]) -> NDArray[Any]:
        asked = time.monotonic()
        with self._paused():
            observations, infos = self._listed.reset(options={"reset_mask": done})
        self._returns[done], self._lengths[done] = 0, 0
        for column in np.flatnonzero(done):
            self.reset_infos[column] = infos[column]
        self.reset_seconds += time.monotonic() - asked
        seen: NDArray[Any] = observations
        return seen

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        envs = self._owner(contract.PAUSE)
        if envs is None:
            yield
            return
        envs.pause()
        try:
            yield
        finally:
            envs.resume()


class PauseCallback(BaseCallback):
    """Pauses live games while SB3 updates: stops their processes or presses their pause key, as the profile says.

    It works on `SB3VecEnv` and on SB3's own vector envs; envs that have no ``pause``, or do not declare
    ``metadata["hakisa_contract"]`` and so may mean something else by it, do not notice. Off-policy
    algorithms update every ``train_freq`` steps, so there that is how often a game is paused. It logs
    ``live/paused_share``, the share of the time that updates take, and on an `SB3VecEnv` ``live/reset_share`` and
    ``live/not_transitions``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pausable = False
        self._paused_at: float | None = None
        self._began = self._paused_seconds = 0.0

    def _init_callback(self) -> None:
        envs = self.training_env
        self._pausable = all(envs.has_attr(name) for name in (contract.PAUSE, contract.RESUME)) and all(
            _follows_contract(metadata) for metadata in envs.get_attr("metadata")
        )

    def _on_training_start(self) -> None:
        self._began, self._paused_seconds, self._paused_at = time.monotonic(), 0.0, None

    def _on_rollout_start(self) -> None:
        self._resume()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self._pausable:
            self.training_env.env_method(contract.PAUSE)
        self._paused_at = time.monotonic()

    def _on_training_end(self) -> None:
        self._resume()  # the last update is over, and no rollout follows

    def _resume(self) -> None:
        if self._pausable:
            self.training_env.env_method(contract.RESUME)
        if self._paused_at is None:
            return
        now = time.monotonic()
        self._paused_seconds += now - self._paused_at
        self._paused_at, elapsed = None, now - self._began
        self.logger.record("live/paused_share", self._paused_seconds / elapsed)
        envs = self.training_env.unwrapped
        if isinstance(envs, SB3VecEnv):
            self.logger.record("live/reset_share", envs.reset_seconds / elapsed)
            self.logger.record("live/not_transitions", int(envs.not_transitions.sum()))


def _follows_contract(metadata: Mapping[str, Any]) -> bool:
    return metadata.get(contract.CONTRACT) == contract.VERSION
