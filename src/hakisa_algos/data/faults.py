"""What an env did that trainers cannot live with, in words: which env and column, what was expected, what was found.

The single envs of Gymnasium's own vector envs are not looked at before something has gone wrong, so that being told
costs nothing.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv, VectorEnv

from hakisa_algos.errors import ConfigError, ObservationError, PoolError
from hakisa_algos.policy.observations import keyed

_API = (
    "Gymnasium's step(action) returns (observation, reward, terminated, truncated, info), of which the reward is one "
    "number and the info a dict, and reset(seed=, options=) (observation, info). Mend the env; one of the old API of "
    "gym goes through the package shimmy"
)
# Who takes apart what an env returned: an error that is raised there is about that, and not the env's own.
_TAKERS = ("gymnasium.vector.", "gymnasium.wrappers.", "hakisa_algos.data.")
_MISFITS = (ValueError, TypeError, AttributeError, KeyError, IndexError)
# The same where it comes from another process, without its traceback.
_TOLD = re.compile(r"values to unpack|could not broadcast|argument '(seed|options)'|Cannot cast")


def env_name(envs: VectorEnv[Any, Any, Any]) -> str:
    """What messages call it: the id, or else the class of its single envs."""
    inner = getattr(envs.unwrapped, "envs", None)
    spec = envs.spec or (inner[0].spec if inner else None)
    if spec is not None:
        return str(spec.id)
    return type(inner[0].unwrapped if inner else envs.unwrapped).__name__


def raise_clearer(envs: VectorEnv[Any, Any, Any], method: str, error: Exception) -> None:
    """Raises what says better than ``error``, which a call of ``envs`` raised, what is wrong; else does nothing.

    Args:
        envs: that were asked.
        method: by which.
        error: what came of it.

    Raises:
        ConfigError: they keep neither to Gymnasium's API nor to their space.
        PoolError: a process has died.
    """
    processes = getattr(envs.unwrapped, "processes", None)
    if isinstance(error, EOFError | ConnectionError) and processes:
        raise PoolError(f"{env_name(envs)}: {deaths(processes)}") from error
    if isinstance(error, _MISFITS) and not isinstance(error, ConfigError) and _is_about_returns(error):
        wrong = _shown_wrongly(envs) or f"in {method}(), {type(error).__name__}: {str(error).rstrip('.')}. {_API}"
        raise ConfigError(f"{env_name(envs)} does not keep to what it says: {wrong}") from error


def deaths(processes: Any) -> str:
    """Which of the processes of single envs have died, in words."""
    for process in processes:
        process.join(1.0)  # of the dead one the status is there by then
    dead = [f"{n} (exit code {p.exitcode})" for n, p in enumerate(processes) if p.exitcode is not None]
    return f"the process of env {', '.join(dead) or 'unknown'} has died; look at what it said"


def flags(given: Any, n: int, what: str) -> np.ndarray:
    """``terminated`` or ``truncated`` as bool ``[n]``: also whole numbers are taken, 0 and 1.

    Raises:
        ConfigError: they are something else.
    """
    array = np.asarray(given)
    if array.dtype.char == "?" and array.shape == (n,):
        return array
    if array.shape == (n,) and array.dtype.kind in "biuf" and np.isin(array, (0, 1)).all():
        return np.asarray(array == 1)
    raise ConfigError(f"{what} is {given!r}; it must be {n} bools, one for each column")


def rewards(given: Any, n: int) -> np.ndarray:
    """Numbers ``[n]``.

    Raises:
        ConfigError: they are something else.
    """
    array = np.asarray(given)
    if array.shape == (n,) and array.dtype.kind in "biuf":
        return array
    raise ConfigError(f"reward is {given!r}; it must be {n} numbers, one for each column")


def check_rewards(given: np.ndarray, idle: np.ndarray, where: Callable[[int], tuple[str, str]]) -> None:
    """Looks for NaN and infinity in rewards ``[n]``; the rest is as of `check_finite`.

    Raises:
        ObservationError: names the reward and where it was.
    """
    if np.isfinite(given).all():
        return
    wrong = np.flatnonzero(~np.isfinite(given) & ~idle)
    if len(wrong):
        which, when = where(int(wrong[0]))
        raise ObservationError(
            f"{which}: the reward is {given[wrong[0]]}, {when} (None counts as nan). Nothing can be learned from that, "
            "and nothing of it was stored: mend the env",
            {"reward": given},
        )


def check_finite(encoded: Any, idle: np.ndarray, where: Callable[[int], tuple[str, str]]) -> None:
    """Looks for NaN and infinity in encoded observations, whose bytes and whole numbers cannot have any.

    Args:
        encoded: ``[n, ...]``, or a dict of such.
        idle: bool ``[n]``: columns that do not matter.
        where: of a column, says in words which one and which moment of it this is.

    Raises:
        ObservationError: names the key, the entry, its value and where it was.
    """
    for key, entries in keyed(encoded).items():
        if entries.dtype.kind != "f" or np.isfinite(entries).all():
            continue
        wrong = ~np.isfinite(entries)
        wrong[idle] = False
        if wrong.any():
            column, *entry = (int(index) for index in np.argwhere(wrong)[0])
            name = f"observation {key!r}" if key else "the observation"
            which, when = where(column)
            raise ObservationError(
                f"{which}: {name} holds {entries[(column, *entry)]} at entry {tuple(entry)}, {when}. Nothing can be "
                "learned from that, and nothing of it was stored: mend the env",
                {name.replace("the ", ""): entries},
            )


def _is_about_returns(error: Exception) -> bool:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    modules = [str(frame.f_globals.get("__name__")) for frame in frames]
    while modules and modules[-1].startswith("numpy"):
        modules.pop()
    if "_raise_if_errors" in (frame.f_code.co_name for frame in frames):
        return _TOLD.search(str(error)) is not None
    return bool(modules) and modules[-1].startswith(_TAKERS)


def _shown_wrongly(envs: VectorEnv[Any, Any, Any]) -> str | None:
    """The first column whose newest observation is not of the space, and how."""
    inner = envs.unwrapped
    if not isinstance(inner, SyncVectorEnv):
        return None
    for column, seen in enumerate(inner._env_obs):
        wrong = _misfit(inner.single_observation_space, seen)
        if seen is not None and wrong:
            return f"column {column}: {wrong}; mend the env or its observation_space"
    return None


def _misfit(space: spaces.Space[Any], seen: Any, name: str = "the observation") -> str | None:
    """How ``seen`` is not of ``space``; None where it has its type and shape."""
    if isinstance(space, spaces.Dict):
        if not isinstance(seen, Mapping) or not space.keys() <= seen.keys():
            found = sorted(map(str, seen)) if isinstance(seen, Mapping) else type(seen).__name__
            return f"{name} is {found}, but its space is a Dict of {sorted(space.keys())}"
        return next(filter(None, (_misfit(space[key], seen[key], f"observation {key!r}") for key in space)), None)
    try:
        array = np.asarray(seen)
    except ValueError:  # of uneven parts
        array = np.zeros(0, object)
    if array.dtype.kind not in "biuf":
        return f"{name} is a {type(seen).__name__}, but its space says {space}"
    if space.shape is not None and array.shape != space.shape:
        return f"{name} has the shape {array.shape}, but its space says {space.shape}"
    if space.dtype is not None and not np.can_cast(array.dtype, space.dtype, "same_kind"):
        return f"{name} is of type {array.dtype}, but its space says {space.dtype}"
    return None
