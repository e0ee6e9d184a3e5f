"""From whatever the user calls an env to a Gymnasium VectorEnv, and how that one starts new episodes."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import traceback
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.envs import registration
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit

from hakisa_algos.data.contract import (
    EPISODES_PER_SEED,
    LAUNCHES_PROGRAMS,
    MASKED_RESET,
    OVERLAPPING_RESETS,
    REAL_TIME,
    declared,
)
from hakisa_algos.data.processes import ProcessEnvs
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
        raise ConfigError(
            f"env {env!r} is neither an id, an env, a vector env nor a callable that returns an env{_old(env)}"
        )
    return _from_factories([functools.partial(_made_by, env)] * count, vectorization)


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
            'NEXT_STEP or SAME_STEP, or declare metadata["hakisa_contract"] = 1 and metadata["masked_reset"] = True if '
            'reset takes options={"reset_mask": bool array} and a list with a seed per column (docs/contract.md)'
        )
    return ResetMode.NEXT_STEP if mode is AutoresetMode.NEXT_STEP else ResetMode.SAME_STEP


def reset_columns(
    envs: VectorEnv[Any, Any, Any], mask: np.ndarray, seeds: list[int | None], overlap: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Resets the columns in the bool ``mask`` and returns all observations, and infos.

    Args:
        envs: with :attr:`ResetMode.MASKED`.
        mask: bool ``[num_envs]``; all of them need no mask, which some envs do not take before their first reset.
        seeds: one per column, None where the env's generator goes on; those of other columns do not matter.
        overlap: do not wait for them; see :func:`overlaps_resets`.
    """
    options = None if mask.all() else {"reset_mask": mask} | ({"overlap": True} if overlap else {})
    if _is_ale(envs):
        # ale-py wants the seeds of the reset columns only, and -1 for none.
        chosen: Any = np.array([-1 if seed is None else seed for seed in seeds])[mask]
        return envs.reset(seed=chosen, options=options)
    return envs.reset(seed=seeds, options=options)  # type: ignore[arg-type]


def check_seedable(envs: VectorEnv[Any, Any, Any]) -> None:
    """Refuses envs whose episodes a collector cannot begin with seeds of its choice: a ConfigError."""
    mode = reset_mode(envs)
    if mode is not ResetMode.MASKED:
        raise ConfigError(
            f"the episodes of {type(envs).__name__} cannot be given seeds: they are begun by {mode.value}. Players "
            "would be compared by different games; pass an env id, a callable that makes an env, or a vector env that "
            'takes reset(seed=[...], options={"reset_mask": ...}) and declares metadata["hakisa_contract"] = 1 and '
            'metadata["masked_reset"] = True'
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


# Steps of an episode where neither the env nor anybody else sets a limit, but there must be one.
LONGEST_EPISODE = 30_000


def own_limit(envs: VectorEnv[Any, Any, Any]) -> int | None:
    """The steps after which the env itself cuts an episode, by its registration or a TimeLimit round it, if it does."""
    singles = getattr(envs.unwrapped, "envs", ())
    env = singles[0] if singles else None
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            return env._max_episode_steps
        env = env.env
    spec = envs.spec or (env.spec if env is not None else None)
    return spec.max_episode_steps if spec is not None else None


def episodes_per_seed(envs: VectorEnv[Any, Any, Any]) -> int:
    """How many episodes of a column share one seed: 1, or what ``metadata["episodes_per_seed"]`` asks for.

    An env asks for more where a seeded reset is dear. ale-py loads the ROM again, 65 ms a column: as much as a
    tenth of an episode of Pong.
    """
    return int(declared(envs, EPISODES_PER_SEED, 8 if _is_ale(envs) else 1))


def why_not_from_file(name: str) -> str | None:
    """Why a file alone must not choose the env ``name`` and its options; None where it may.

    An env whose options name programs to run says so by ``metadata["launches_programs"]``, honoured of any env.
    """
    if ":" in name:
        return "whose module would be imported"
    _import_own(name)
    spec = gym.registry.get(name)
    entry = spec and spec.entry_point
    creator = registration.load_env_creator(entry) if isinstance(entry, str) else entry
    return "which starts programs" if getattr(creator, "metadata", {}).get(LAUNCHES_PROGRAMS) else None


def is_deterministic(envs: VectorEnv[Any, Any, Any]) -> bool:
    """False if the env says that the same seed and actions may not give the same episode.

    It says so in its registration, or by ``metadata["real_time"]``.
    """
    if declared(envs, REAL_TIME):
        return False
    spec = envs.spec
    if spec is None and isinstance(envs, SyncVectorEnv):
        spec = envs.envs[0].spec
    return spec is None or not spec.nondeterministic


def overlaps_resets(envs: VectorEnv[Any, Any, Any]) -> bool:
    """Whether a column is to be reset while the others step on.

    So it is with games in real time, where a reset takes seconds, if the vector env can do it, which
    ``metadata["overlapping_resets"]`` says. How many rows it takes is chance, so deterministic envs are waited for.
    """
    return bool(declared(envs, OVERLAPPING_RESETS)) and not is_deterministic(envs)


def _from_id(name: str, count: int, options: dict[str, Any], vectorization: Vectorization) -> VectorEnv[Any, Any, Any]:
    _import_own(name)
    module, colon, registered = name.rpartition(":")
    if colon and not (module and registered):
        raise ConfigError(f"env id {name!r} is not whole: it must be Id, or package:Id")
    try:
        if module:  # gym.make imports it, gym.spec does not
            importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"env id {name!r}: the module {module!r} cannot be imported ({error}); name one that is installed or in "
            f"PYTHONPATH, and registers {registered!r}"
        ) from error
    try:
        spec = gym.spec(registered)
    except gym.error.Error as error:
        near = did_you_mean(registered, list(gym.registry))
        fix = f"module {module!r} does not do it" if module else f'import what registers it, or write "package:{name}"'
        raise ConfigError(f"env id {registered!r} is not registered; {fix}.{near}") from error
    if vectorization in ("auto", "vector_entry_point") and spec.vector_entry_point is not None:
        try:
            envs = gym.make_vec(name, count, vectorization_mode="vector_entry_point", **options)
        except (ValueError, TypeError, gym.error.Error) as error:
            # Options that only the single env takes: "auto" falls back to it, and if they are wrong there too
            # the error comes from there.
            if vectorization == "vector_entry_point":
                _raise_if_refused(error, name, options)
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
        envs = _from_factories([factory] * count, vectorization)
        envs.spec = envs.spec or spec
        return envs
    except (ValueError, TypeError, gym.error.Error) as error:
        _raise_if_refused(error, name, options)
        raise


def _raise_if_refused(error: Exception, name: str, options: dict[str, Any]) -> None:
    """A ConfigError, if ``error`` says that the env does not take its options rather than that it is broken."""
    # gym.make raises a copy of the constructor's error, from that error.
    error = error.__cause__ if isinstance(error.__cause__, type(error)) else error
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    # A keyword that the constructor does not have, or lacks, is noticed by the one who calls it: Gymnasium.
    by_call = frame.f_globals.get("__name__") == registration.__name__
    named = any(re.search(rf"\b{re.escape(option)}\b", str(error)) for option in options)
    refused = by_call or named if isinstance(error, TypeError) else options or isinstance(error, gym.error.Error)
    if refused:
        what = f"does not take the options {options}" if options else "cannot be made without options"
        raise ConfigError(f"{name} {what}: {error}") from error


def _import_own(name: str) -> None:
    if name.startswith("Hakisa/") and importlib.util.find_spec("hakisa_envs"):
        importlib.import_module("hakisa_envs")


def _from_factories(factories: list[EnvFactory], vectorization: Vectorization) -> VectorEnv[Any, Any, Any]:
    if vectorization == "async":
        return ProcessEnvs(factories)
    # The collector copies what it keeps.
    envs = SyncVectorEnv(factories, copy=False, autoreset_mode=AutoresetMode.DISABLED)
    if len({id(env.unwrapped) for env in envs.envs}) < len(factories):
        raise ConfigError(
            "the callable returned the same env object more than once; each column needs an env of its own: "
            "make it inside the callable"
        )
    return envs


def _made_by(factory: Callable[[], Any]) -> gym.Env[Any, Any]:
    env = factory()
    if isinstance(env, gym.Env):
        return env
    if isinstance(env, VectorEnv):
        raise ConfigError(
            f"the callable returned {env}, a vector env; pass it itself, as env=, or return a single env, one column"
        )
    raise ConfigError(f"the callable returned {env!r}; it must return a Gymnasium env, one column{_old(env)}")


def _old(env: Any) -> str:
    """What may be meant by something that is no env."""
    if not (hasattr(env, "reset") and hasattr(env, "step")) or isinstance(env, type):
        return ""
    return "; it looks like one of the old API of gym: derive it from gymnasium.Env, or use the package shimmy"


def _resets_by_mask(envs: VectorEnv[Any, Any, Any]) -> bool:
    if isinstance(envs, SyncVectorEnv | AsyncVectorEnv):
        # In SAME_STEP they have reset a column before anybody could do it with a mask.
        return envs.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP
    # A wrapper may not pass the mask on, so wrapped envs count only if they say so themselves.
    return bool(declared(envs, MASKED_RESET)) or _is_ale(envs)


def _is_ale(envs: VectorEnv[Any, Any, Any]) -> bool:
    return f"{type(envs).__module__}.{type(envs).__name__}" == "ale_py.vector_env.AtariVectorEnv"
