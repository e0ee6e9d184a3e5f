"""Stable-Baselines3's algorithms on the same envs, as its users run them (extra ``sb3``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.comparison.contestant import Watch
from hakisa_algos.comparison.peer_settings import ZOO, PeerSetting
from hakisa_algos.comparison.plan import PEER_PREFIX, Job
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError, require
from hakisa_algos.policy.observations import Observation, ObservationLayout, is_picture
from hakisa_algos.policy.policy import Decision, State
from hakisa_algos.policy.precision import resolve_device, torch_threads
from hakisa_algos.training.evaluate import Evaluation, evaluate


class Peer:
    """See :class:`hakisa_algos.comparison.contestant.Contestant`.

    Args:
        job: ``algorithm`` is ``"sb3-ppo"``, ``"sb3-dqn"`` or ``"sb3-a2c"``. Its ``changes`` are SB3's own keyword
            arguments, and ``num_envs`` (default 1).

    Raises:
        MissingExtraError: stable_baselines3 is not installed.
        ConfigError: it does not take the env or the hyperparameters.
    """

    def __init__(self, job: Job) -> None:
        library = require("stable_baselines3", "sb3")
        self._job, self._options = job, dict(job.protocol.env_options)
        probe = make_envs(job.env, 1, self._options)
        self._layout = ObservationLayout(probe.single_observation_space)
        probe.close()
        setting = _setting(job)
        self.source = setting.source
        arguments = dict(setting.arguments) | job.protocol.changes_of(job.algorithm)
        num_envs = arguments.pop("num_envs", 1)
        self._config = {"num_envs": num_envs, **arguments}
        space = self._layout.raw_space
        policy = "CnnPolicy" if is_picture(space) else "MlpPolicy"
        name = job.algorithm.removeprefix(PEER_PREFIX).upper()
        make_vec_env = require("stable_baselines3.common.env_util", "sb3").make_vec_env
        self._envs = make_vec_env(job.env, num_envs, seed=job.seed, env_kwargs=self._options)
        try:
            self._model = getattr(library, name)(
                policy,
                self._envs,
                seed=job.seed,
                device=resolve_device("auto", space),
                **{key: _value(value) for key, value in arguments.items()},
            )
        except (AssertionError, TypeError, ValueError) as error:
            self._envs.close()
            raise ConfigError(f"SB3's {name} does not take {job.env} with {arguments}: {error}") from error
        self._policy = _ModelPolicy(self._model, self._layout)

    @property
    def steps(self) -> int:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        return int(self._model.num_timesteps)

    def train(self, watch: Watch) -> None:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        callbacks = require("stable_baselines3.common.callbacks", "sb3")

        class Watching(callbacks.BaseCallback):  # type: ignore[misc, name-defined]
            def _on_step(self) -> bool:
                return watch(self.num_timesteps)

        with torch_threads(self._job.protocol.threads):
            self._model.learn(self._job.protocol.steps, callback=Watching())

    def evaluate(self, episodes: int, *, seed: int, deterministic: bool, num_envs: int) -> Evaluation:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        if not deterministic:  # SB3 draws from the global generators; deterministic play draws nothing
            self._model.set_random_seed(seed % 2**32)
            self._model.action_space.seed(seed % 2**32)
        envs = make_envs(self._job.env, min(episodes, num_envs), self._options)
        try:
            with torch_threads(self._job.protocol.threads):
                return evaluate(self._policy, envs, episodes=episodes, seed=seed, deterministic=deterministic)
        finally:
            envs.close()

    def predict(self, observation: Any, state: Any = None, *, deterministic: bool = True) -> tuple[Any, Any]:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        action, _ = self._model.predict(observation, deterministic=deterministic)
        return (action.item() if np.ndim(action) == 0 else action), None

    def identity(self) -> Mapping[str, Any]:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        return {"env": self._job.env, "env_options": self._options, "config": self._config}

    def close(self) -> None:
        """See :class:`hakisa_algos.comparison.contestant.Contestant`."""
        self._envs.close()


class _ModelPolicy:
    """An SB3 model as a :class:`hakisa_algos.policy.policy.Policy` that only plays."""

    def __init__(self, model: Any, layout: ObservationLayout) -> None:
        self._model = model
        self.observation = layout
        self.version = 0

    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        raw: Any = _arrays(observation)
        action, _ = self._model.predict(raw, deterministic=not explore)
        return Decision(torch.as_tensor(action))

    def initial_state(self, n: int) -> State:
        return {}

    def begin(self, mask: Tensor, state: State) -> State:
        return state


def _arrays(observation: Observation) -> Any:
    if isinstance(observation, dict):
        return {key: value.numpy() for key, value in observation.items()}
    return observation.numpy()


def _setting(job: Job) -> PeerSetting:
    if job.protocol.peer_settings == "zoo" and (job.algorithm, job.env) in ZOO:
        return ZOO[job.algorithm, job.env]
    return PeerSetting({}, "SB3's own defaults")


def _value(value: Any) -> Any:
    """A hyperparameter as SB3 wants it: ``"lin_0.001"`` is the zoo's word for a value that falls to 0."""
    if not isinstance(value, str) or not value.startswith("lin_"):
        return value
    start = float(value.removeprefix("lin_"))
    schedule: Callable[[float], float] = lambda remaining: start * remaining  # noqa: E731
    return schedule
