"""A video of an agent at play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv

from hakisa_algos.agent import Agent
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.video import VideoWriter

_LONGEST = 10_000


def film(agent: Agent, path: Path, *, seed: int = 0, deterministic: bool = True, longest: int = _LONGEST) -> Path:
    """Plays one episode and writes what it looks like.

    Args:
        agent: made from an env id.
        path: the mp4 to write.
        seed: of the episode.
        deterministic: the policy's best actions; False draws them.
        longest: steps to film at most.

    Returns:
        ``path``.

    Raises:
        ConfigError: the env cannot be rendered.
        MissingExtraError: imageio-ffmpeg is not installed.
    """
    identity = agent.identity()
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
            observation, _ = env.reset(seed=seed)
            video.add(_picture(env))
            state, over, steps = None, False, 0
            while not over and steps < longest:
                action, state = agent.predict(observation, state, deterministic=deterministic)
                observation, _, terminated, truncated, _ = env.step(action)
                video.add(_picture(env))
                over, steps = terminated or truncated, steps + 1
    finally:
        envs.close()
    return path


def _picture(env: gym.Env[Any, Any]) -> np.ndarray:
    frame: Any = env.render()
    return np.asarray(frame)
