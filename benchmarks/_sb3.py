"""Stable-Baselines3 as the benchmarks run it: on its own env stack, and on the vector envs that hakisa uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ale_py  # noqa: F401 (registers the ids)
import gymnasium as gym
import numpy as np
from stable_baselines3.common.env_util import make_atari_env, make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack


class SharedVecEnv(VecEnv):
    """A Gymnasium vector env behind SB3's interface, as thin as it can be.

    Columns are reset by mask where the env declares that it can; elsewhere it resets them itself one step later, and
    SB3 learns from that row, too (which costs it nothing).
    """

    def __init__(self, envs: gym.vector.VectorEnv) -> None:
        self.envs = envs
        self._masked = bool(envs.metadata.get("masked_reset"))
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> Any:
        return self.envs.reset(seed=0)[0]

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict]]:
        observation, reward, terminated, truncated, _ = self.envs.step(self._actions)
        done = terminated | truncated
        infos: list[dict] = [{} for _ in range(self.num_envs)]
        if done.any():
            for env in np.flatnonzero(done):
                infos[env]["terminal_observation"] = observation[env].copy()
                infos[env]["TimeLimit.truncated"] = bool(truncated[env] and not terminated[env])
            if self._masked:
                observation = self.envs.reset(options={"reset_mask": done})[0]
        return observation, reward.astype(np.float32), done, infos

    def close(self) -> None:
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        if attr_name == "render_mode":
            return [None] * self.num_envs
        return [getattr(self.envs, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        return [seed] * self.num_envs


def own_stack(env: str, num_envs: int) -> VecEnv:
    """What SB3's users run: DummyVecEnv with Monitor, for Pong its Atari wrappers as the zoo has them."""
    if env == "Hakisa/Pong-v0":
        # Hakisa's Pong plays without sticky actions; so does this.
        options = {"repeat_action_probability": 0.0, "frameskip": 1}
        return VecFrameStack(make_atari_env("ALE/Pong-v5", num_envs, seed=0, env_kwargs=options), 4)
    return make_vec_env(env, num_envs, seed=0)
