"""A video of a policy at play."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import SyncVectorEnv

from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError, MissingExtraError
from hakisa_algos.policy.policy import Policy
from hakisa_algos.training.evaluate import Evaluation, evaluate
from hakisa_algos.training.video import VideoWriter


def film(
    policy: Policy,
    env: str,
    env_options: Mapping[str, Any],
    path: Path,
    *,
    seed: int = 0,
    deterministic: bool = True,
    device: torch.device | None = None,
    max_steps: int = 10_000,
) -> Evaluation:
    """Evaluates one episode, which is cut after ``max_steps``, and writes what it looks like as an mp4.

    Raises:
        ConfigError: the env cannot be rendered.
        MissingExtraError: imageio-ffmpeg is not installed, or pygame, by which Gymnasium's own envs are drawn.
    """
    cannot = f"{env} has no render mode 'rgb_array' to film; leave --video out"
    try:
        envs = make_envs(env, 1, {**env_options, "render_mode": "rgb_array"}, "sync")
    except ConfigError as error:
        if "render_mode" in str(error.__cause__):
            raise ConfigError(cannot) from error
        raise
    assert isinstance(envs, SyncVectorEnv)
    try:
        if "rgb_array" not in envs.metadata.get("render_modes", ()):
            raise ConfigError(cannot)
        with VideoWriter(path, envs.metadata.get("render_fps", 30)) as video:
            envs.envs[0] = _Filmed(envs.envs[0], video)
            return evaluate(
                policy, envs, episodes=1, seed=seed, deterministic=deterministic, device=device, max_steps=max_steps
            )
    finally:
        envs.close()


def try_to_film(policy: Policy, env: str, env_options: Mapping[str, Any], path: Path, **how: Any) -> dict[str, Any]:
    """What came of :func:`film`, as JSON: ``file``, ``return``, ``steps`` and ``over``; or why it is ``missing``."""
    try:
        made = film(policy, env, env_options, path, **how)
    except MissingExtraError as error:
        return {"missing": f"{error.name} is not installed ({error})"}
    except Exception as error:  # whatever a renderer raises: what was measured must not be lost with the film
        return {"missing": str(error) or type(error).__name__}
    return {"file": path.name, "return": made.mean, "steps": int(made.lengths[0]), "over": not made.cut[0]}


class _Filmed(gym.Wrapper[Any, Any, Any, Any]):
    """Adds what the first episode looks like to a video."""

    def __init__(self, env: gym.Env[Any, Any], video: VideoWriter) -> None:
        super().__init__(env)
        self._video = video
        self._episodes = 0

    def reset(self, **options: Any) -> Any:
        found = self.env.reset(**options)
        self._episodes += 1
        self._add()
        return found

    def step(self, action: Any) -> Any:
        found = self.env.step(action)
        self._add()
        return found

    def _add(self) -> None:
        if self._episodes > 1:
            return
        try:
            frame: Any = self.env.render()
        except gym.error.DependencyNotInstalled as error:
            if "pygame" not in str(error):
                raise
            raise MissingExtraError('pip install "hakisa[video]"', name="pygame") from error
        self._video.add(np.asarray(frame))
