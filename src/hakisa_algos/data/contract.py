"""The words by which envs and trainers steer each other; docs/contract.md says what each one means.

The words are those of hakisa_envs.contract: neither package needs the other. The functions read them.

Nothing else does. An env says that it follows the contract by ``metadata[CONTRACT] = VERSION``; without that no word
below is honoured, so that an env of somebody else's whose infos happen to use one is not misread; but for action masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv

CONTRACT, VERSION = "hakisa_contract", 1

# Keys of ``metadata``.
REAL_TIME = "real_time"
FRAME_STACK = "frame_stack"
MASKED_RESET = "masked_reset"
OVERLAPPING_RESETS = "overlapping_resets"
EPISODES_PER_SEED = "episodes_per_seed"
LAUNCHES_PROGRAMS = "launches_programs"
EXCLUSIVE = "exclusive"
ASSISTS = "assists"
MEANING = "meaning"

# Keys of ``info``.
TRANSITION = "transition"
LEARNED = "learned"
COUNTED = "counted"
RESETTING = "resetting"
BEGAN = "began"
OUTCOME = "outcome"
OPPONENT = "opponent"
START = "start"
ACTION_MASK = "action_mask"
PLACE = "place"
PROGRESS = "progress"
MILESTONE = "milestone"
REWARD_PART = "reward_"  # and the name of a part

OUTCOMES = ("win", "loss", "draw")

# Methods and attributes.
PAUSE, RESUME = "pause", "resume"
GET_STATE, SET_STATE = "get_state", "set_state"
GROUPS = "groups"
ACTION_MASKS = "action_masks"
MILESTONE_FOLDER, NEXT_START, CARRY_ON = "milestone_folder", "next_start", "carry_on"

# Method of a value that is an option of an env.
AS_OPTION = "as_option"


class Said(NamedTuple):
    """What the infos of a row say of its columns, each bool ``[n]``; not to be written to."""

    transition: np.ndarray
    learned: np.ndarray
    counted: np.ndarray
    began: np.ndarray


def follows(metadata: Mapping[str, Any]) -> bool:
    """Whether the env says that it follows the contract."""
    return bool(metadata.get(CONTRACT) == VERSION)


def declared(envs: VectorEnv[Any, Any, Any] | gym.Env[Any, Any], key: str, otherwise: Any = None) -> Any:
    """What the env declares under ``key`` of its metadata; ``otherwise`` if nothing, or if it follows no contract."""
    return envs.metadata.get(key, otherwise) if follows(envs.metadata) else otherwise


def other_meaning(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> tuple[str, Any, Any] | None:
    """The first thing that two meanings (``metadata["meaning"]``) say otherwise, and both values; None: they agree.

    What only one of them says is not compared.
    """
    before, now = before or {}, now or {}
    return next(((name, was, now[name]) for name, was in before.items() if name in now and now[name] != was), None)


def stored_option(value: Any) -> Any:
    """An option of an env as files hold it: plain data, which the env takes in its place.

    What has no such form stays as it is; whoever writes a file refuses it.
    """
    if not isinstance(value, type) and hasattr(value, AS_OPTION):
        value = getattr(value, AS_OPTION)()
    if isinstance(value, Mapping):
        return {name: stored_option(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [stored_option(entry) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def said(infos: Mapping[str, Any], n: int) -> Said:
    """What the infos of a step of ``n`` columns say; a column that says nothing is at an ordinary transition."""
    # Under SAME_STEP the row's own infos are in final_info, once its episode has ended.
    told = (infos, infos.get("final_info", {}))
    began = told_bool(infos, BEGAN, n)
    transition = ~began
    for each in told:
        if TRANSITION in each:
            transition &= told_bool(each, TRANSITION, n, True)
        if RESETTING in each:
            transition &= ~told_bool(each, RESETTING, n)
    learned = counted = transition
    for each in told:
        if LEARNED in each:
            learned = told_bool(each, LEARNED, n, learned)
        if COUNTED in each:
            counted = told_bool(each, COUNTED, n, counted)
    return Said(transition, learned & transition, counted, began)


def told_bool(infos: Mapping[str, Any], key: str, n: int, otherwise: Any = False) -> np.ndarray:
    """Bool ``[n]``: what the infos say under ``key``, and ``otherwise`` of the columns that say nothing."""
    if key not in infos:
        return np.full(n, otherwise)
    speaking = np.asarray(infos.get(f"_{key}", True), bool)
    return np.where(speaking, np.asarray(infos[key]).astype(bool), otherwise)


def entry(infos: Mapping[str, Any], key: str, column: int) -> Any:
    """What a column's infos say under ``key`` at the end of its episode; None if nothing."""
    for each in (infos.get("final_info", {}), infos):
        if key in each and (f"_{key}" not in each or each[f"_{key}"][column]):
            return each[key][column]
    return None
