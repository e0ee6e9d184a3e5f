"""A video of an agent at play."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv

from hakisa_algos.data.masks import mask_of
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError, MissingExtraError
from hakisa_algos.training.video import VideoWriter

_LONGEST = 10_000


class Player(Protocol):
    """Who can be filmed; an Agent made from an env id is one."""

    def predict(self, observation: Any, state: Any = None, *, deterministic: bool = True) -> tuple[Any, Any]:
        """See :meth:`hakisa_algos.agent.Agent.predict`, which takes ``action_mask`` as well."""

    def identity(self) -> Mapping[str, Any]:
        """``env``, ``env_options`` and ``config`` among others; with ``config["action_masks"]`` it acts by masks."""


@dataclass(frozen=True)
class Film:
    """A video that was made, and whether the episode ended in it; the return is undiscounted and raw."""

    path: Path
    episode_return: float
    steps: int
    over: bool


def film(player: Player, path: Path, *, seed: int = 0, deterministic: bool = True, longest: int = _LONGEST) -> Film:
    """Plays one episode, ``longest`` steps of it at most, and writes what it looks like as an mp4.

    Raises:
        ConfigError: the env cannot be rendered.
        MissingExtraError: imageio-ffmpeg is not installed, or pygame, by which Gymnasium's own envs are drawn.
    """
    identity = player.identity()
    options = {**identity["env_options"], "render_mode": "rgb_array"}
    cannot = f"{identity['env']} has no render mode 'rgb_array' to film; leave --video out"
    try:
        envs = make_envs(identity["env"], 1, options, "sync")
    except ConfigError as error:
        if "render_mode" in str(error.__cause__):
            raise ConfigError(cannot) from error
        raise
    assert isinstance(envs, SyncVectorEnv)
    env = envs.envs[0]
    try:
        if "rgb_array" not in env.metadata.get("render_modes", ()):
            raise ConfigError(cannot)
        with VideoWriter(path, env.metadata.get("render_fps", 30)) as video:
            observation, info = env.reset(seed=seed)
            masked = identity.get("config", {}).get("action_masks") is True
            video.add(_picture(env))
            state, over, steps, total = None, False, 0, 0.0
            while not over and steps < longest:
                mask: dict[str, Any] = {"action_mask": mask_of(env, info)} if masked else {}
                action, state = player.predict(observation, state, deterministic=deterministic, **mask)
                observation, reward, terminated, truncated, info = env.step(action)
                video.add(_picture(env))
                over, steps, total = terminated or truncated, steps + 1, total + float(reward)
    finally:
        envs.close()
    return Film(path, total, steps, over)


def _picture(env: gym.Env[Any, Any]) -> np.ndarray:
    try:
        frame: Any = env.render()
    except gym.error.DependencyNotInstalled as error:
        if "pygame" not in str(error):
            raise
        raise MissingExtraError('pip install "hakisa[video]"', name="pygame") from error
    return np.asarray(frame)
