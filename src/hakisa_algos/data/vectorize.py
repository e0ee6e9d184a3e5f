"""From whatever the user calls an env to a Gymnasium VectorEnv, and how that one starts new episodes."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from hakisa_algos.errors import ConfigError, did_you_mean

EnvFactory = Callable[[], gym.Env[Any, Any]]
EnvLike = str | gym.Env[Any, Any] | EnvFactory | VectorEnv[Any, Any, Any]
Vectorization = Literal["auto", "sync", "async", "vector_entry_point"]
VECTORIZATIONS = ("auto", "sync", "async", "vector_entry_point")


class ResetMode(Enum):
    """Who starts the next episode of a column, and when."""

    MASKED = "the collector, through reset(options={'reset_mask': ...})"
    NEXT_STEP = "the env, in the step after the end, whose row is no transition"
    SAME_STEP = "the env, in the step of the end, with the final observation in infos"


def make_envs(
    env: EnvLike,
    num_envs: int | None = None,
    options: Mapping[str, Any] | None = None,
    vectorization: Vectorization = "auto",
) -> VectorEnv[Any, Any, Any]:
    """A VectorEnv of ``env``.

    Args:
        env: an id (those in ``Hakisa/`` need no import of hakisa_envs), an env, a callable that returns one, or a
            VectorEnv, which is taken as it is.
        num_envs: columns; default 1. An env object is one column, a VectorEnv has its own number.
        options: keyword arguments for an id.
        vectorization: ``"sync"`` steps one after the other, ``"async"`` in processes, ``"vector_entry_point"``
            uses the vector env that the id registers; ``"auto"`` the latter where hakisa can reset its columns one
            by one, else ``"sync"``.

    Raises:
        ConfigError: an id that is not registered, options that the env does not take, or a ``num_envs`` that
            contradicts the env.
    """
    if vectorization not in VECTORIZATIONS:
        raise ConfigError(f"vectorization={vectorization!r} is unknown.{did_you_mean(vectorization, VECTORIZATIONS)}")
    if options and not isinstance(env, str):
        raise ConfigError(f"options {sorted(options)} need an env id; give them to the env yourself")
    if isinstance(env, VectorEnv):
        if num_envs not in (None, env.num_envs):
            raise ConfigError(f"num_envs={num_envs}, but the vector env has {env.num_envs}; leave num_envs out")
        return env
    if isinstance(env, gym.Env):
        if num_envs not in (None, 1):
            raise ConfigError(
                f"num_envs={num_envs}, but one env object is one column; pass an id or a callable that makes envs"
            )
        return SyncVectorEnv([lambda: env], autoreset_mode=AutoresetMode.DISABLED)
    count = 1 if num_envs is None else num_envs
    if count < 1:
        raise ConfigError(f"num_envs={count} must be at least 1")
    if isinstance(env, str):
        return _from_id(env, count, dict(options or {}), vectorization)
    if not callable(env):
        raise ConfigError(f"env {env!r} is neither an id, an env, a vector env nor a callable that returns an env")
    return _from_factories([env] * count, vectorization)


def reset_mode(envs: VectorEnv[Any, Any, Any]) -> ResetMode:
    """How columns of ``envs`` begin new episodes.

    Raises:
        ConfigError: its columns can be reset neither by themselves nor one by one.
    """
    if _resets_by_mask(envs):
        return ResetMode.MASKED
    mode = envs.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
    mode = mode if isinstance(mode, AutoresetMode) else AutoresetMode(mode)
    if mode is AutoresetMode.DISABLED:
        raise ConfigError(
            f"{type(envs).__name__} has autoreset_mode DISABLED and no reset mask that hakisa knows of; use "
            'NEXT_STEP or SAME_STEP, or declare metadata["masked_reset"] = True if reset takes '
            'options={"reset_mask": bool array} and a list with a seed per column'
        )
    return ResetMode.NEXT_STEP if mode is AutoresetMode.NEXT_STEP else ResetMode.SAME_STEP


def reset_columns(envs: VectorEnv[Any, Any, Any], mask: np.ndarray, seeds: list[int]) -> Any:
    """Resets the columns in the bool ``mask`` with their entries of ``seeds``; returns all observations."""
    if _is_ale(envs):
        # ale-py wants the seeds of the reset columns only.
        chosen: Any = np.asarray(seeds)[mask]
        return envs.reset(seed=chosen, options={"reset_mask": mask})[0]
    return envs.reset(seed=seeds, options={"reset_mask": mask})[0]  # type: ignore[arg-type]


def is_deterministic(envs: VectorEnv[Any, Any, Any]) -> bool:
    """False if the env says that the same seed and actions may not give the same episode."""
    spec = envs.spec
    if spec is None and isinstance(envs, SyncVectorEnv):
        spec = envs.envs[0].spec
    return spec is None or not spec.nondeterministic


def _from_id(name: str, count: int, options: dict[str, Any], vectorization: Vectorization) -> VectorEnv[Any, Any, Any]:
    if name.startswith("Hakisa/") and importlib.util.find_spec("hakisa_envs"):
        importlib.import_module("hakisa_envs")
    try:
        spec = gym.spec(name)
    except (gym.error.Error, ModuleNotFoundError) as error:
        near = did_you_mean(name, list(gym.registry))
        raise ConfigError(
            f'env id {name!r} is not registered; import the package that registers it, or write "package:{name}".{near}'
        ) from error
    if vectorization in ("auto", "vector_entry_point") and spec.vector_entry_point is not None:
        try:
            envs = gym.make_vec(name, count, vectorization_mode="vector_entry_point", **options)
        except (ValueError, TypeError, gym.error.Error):
            # Options that only the single env takes: "auto" falls back to it, and if they are wrong there too
            # the error comes from there.
            if vectorization == "vector_entry_point":
                raise
        else:
            if vectorization == "vector_entry_point" or _resets_by_mask(envs):
                return envs
            envs.close()
    elif vectorization == "vector_entry_point":
        raise ConfigError(f'{name} registers no vector env; use vectorization="sync" or "async"')

    def factory() -> gym.Env[Any, Any]:
        # The checker costs 10 us a step and has its say in the env's own tests.
        return gym.make(name, disable_env_checker=True, **options)

    try:
        return _from_factories([factory] * count, vectorization)
    except TypeError as error:
        raise ConfigError(f"{name} does not take the options {sorted(options)}: {error}") from error


def _from_factories(factories: list[EnvFactory], vectorization: Vectorization) -> VectorEnv[Any, Any, Any]:
    if vectorization == "async":
        return AsyncVectorEnv(factories, autoreset_mode=AutoresetMode.DISABLED)
    # The collector copies what it keeps.
    return SyncVectorEnv(factories, copy=False, autoreset_mode=AutoresetMode.DISABLED)


def _resets_by_mask(envs: VectorEnv[Any, Any, Any]) -> bool:
    # A wrapper may not pass the mask on, so wrapped envs count only if they say so themselves.
    return isinstance(envs, SyncVectorEnv | AsyncVectorEnv) or bool(envs.metadata.get("masked_reset")) or _is_ale(envs)


def _is_ale(envs: VectorEnv[Any, Any, Any]) -> bool:
    return f"{type(envs).__module__}.{type(envs).__name__}" == "ale_py.vector_env.AtariVectorEnv"
