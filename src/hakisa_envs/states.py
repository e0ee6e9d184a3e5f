"""What an env would go on from, through the wrappers round it: `get_state` and `set_state` of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from hakisa_envs.contract import CONTRACT, GET_STATE, SET_STATE, VERSION

# The wrappers that `gymnasium.make` puts round an env, and what of theirs changes from step to step.
COUNTERS: dict[type, tuple[str, ...]] = {
    TimeLimit: ("_elapsed_steps",),
    OrderEnforcing: ("_has_reset",),
    PassiveEnvChecker: (),
}


def follows_contract(env: gym.Env[Any, Any]) -> bool:
    """Whether the env says that it means by the words of `hakisa_envs.contract` what they mean."""
    return bool(env.metadata.get(CONTRACT) == VERSION)


def why_no_state(env: gym.Env[Any, Any]) -> str:
    """Why the state of ``env`` cannot be had; empty if it can."""
    name = type(env.unwrapped).__name__
    if not follows_contract(env):
        return f"{name} does not declare metadata[{CONTRACT!r}] = {VERSION}"
    owner = _owner(env)
    if owner is None:
        return f"{name} has no {GET_STATE}() and {SET_STATE}(state)"
    for wrapper in _wrappers(env, owner):
        if type(wrapper) not in COUNTERS:
            return (
                f"{type(wrapper).__name__}, a wrapper round {name}, may have a state of its own and has no "
                f"{GET_STATE}() and {SET_STATE}(state)"
            )
    return ""


def get_state(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """The state of ``env`` and of its wrappers, where `why_no_state` knows no objection."""
    owner: Any = _owner(env)
    counters = [{name: getattr(w, name) for name in COUNTERS[type(w)]} for w in _wrappers(env, owner)]
    return {"env": owner.get_state(), "wrappers": counters}


def set_state(env: gym.Env[Any, Any], state: Mapping[str, Any]) -> None:
    """Put ``env``, which need not have been reset, where `get_state` was called."""
    owner: Any = _owner(env)
    wrappers = _wrappers(env, owner)
    if len(wrappers) != len(state["wrappers"]):
        raise ValueError(
            f"The state is of an env with {len(state['wrappers'])} wrappers, and this {type(env.unwrapped).__name__} "
            f"has {len(wrappers)}: make the env as it was made then."
        )
    owner.set_state(state["env"])
    for wrapper, counters in zip(wrappers, state["wrappers"], strict=True):
        if type(wrapper) is PassiveEnvChecker:  # it would compare the next step with a reset that it has not seen
            vars(wrapper).update(checked_reset=True, checked_step=True, checked_data_reuse=True)
        for name in COUNTERS[type(wrapper)]:
            setattr(wrapper, name, counters[name])


def _owner(env: gym.Env[Any, Any]) -> gym.Env[Any, Any] | None:
    """The outermost wrapper, or the env itself, that has both methods."""
    layer: gym.Env[Any, Any] = env
    while not (hasattr(layer, GET_STATE) and hasattr(layer, SET_STATE)):
        if not isinstance(layer, gym.Wrapper):
            return None
        layer = layer.env
    return layer


def _wrappers(env: gym.Env[Any, Any], owner: gym.Env[Any, Any]) -> list[gym.Env[Any, Any]]:
    """The wrappers outside of ``owner``."""
    found: list[gym.Env[Any, Any]] = []
    layer: Any = env
    while layer is not owner:
        found.append(layer)
        layer = layer.env
    return found
