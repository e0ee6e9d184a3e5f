"""Where action masks come from, and how those of a vector env are read; docs/masks.md is the page about them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from hakisa_algos.data.contract import ACTION_MASK, ACTION_MASKS, LAUNCHES_PROGRAMS, REAL_TIME
from hakisa_algos.data.vectorize import ResetMode, reset_mode
from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.masks import MaskForm

logger = logging.getLogger(__name__)

Array = np.ndarray
Source = Literal["info", "method"]


class MaskReader:
    """Reads the action masks of a vector env.

    They are in ``infos["action_mask"]``, declared in a contract or not; where the infos of a row have no such key, the
    method ``action_masks()`` of the vector env or of its single envs is called, if they have one.

    Attributes:
        form: of the masks.
        size: entries of a mask.
        name: of the env, for messages.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        self._envs: Any = envs.unwrapped
        self.form = MaskForm(envs.single_action_space)
        self._method: bool | None = None
        self.size = self.form.size
        self.name = _name(envs)

    @property
    def has_method(self) -> bool:
        """Whether there is a method ``action_masks``."""
        if self._method is None:  # asked once: of envs in processes it costs a message to each
            if isinstance(self._envs, SyncVectorEnv | AsyncVectorEnv):
                self._method = all(self._envs.call("has_wrapper_attr", ACTION_MASKS))
            else:
                self._method = hasattr(self._envs, ACTION_MASKS)
        return self._method

    def source(self, infos: Mapping[str, Any]) -> Source | None:
        """Where masks come from, by the infos of a reset; None: from nowhere."""
        if ACTION_MASK in infos:
            return "info"
        return "method" if self.has_method else None

    def read(self, infos: Mapping[str, Any], wanted: Array) -> Array:
        """The masks after a step or a reset, bool ``[num_envs, size]``; see :meth:`MaskForm.closed`.

        Those of columns that are not ``wanted``, and of columns that say nothing, are all True. A ConfigError if one
        does not fit the action space.
        """
        if ACTION_MASK in infos or not self.has_method:
            return self._said(infos, wanted)
        given: Any
        if isinstance(self._envs, SyncVectorEnv):
            asked = np.flatnonzero(wanted).tolist()
            given = {column: self._envs.envs[column].get_wrapper_attr(ACTION_MASKS)() for column in asked}
        elif isinstance(self._envs, AsyncVectorEnv):
            given = dict(enumerate(self._envs.call(ACTION_MASKS)))
        else:
            given = dict(enumerate(self._envs.action_masks()))
        return self._rows({column: mask for column, mask in given.items() if wanted[column] and mask is not None})

    def read_final(self, infos: Mapping[str, Any], wanted: Array) -> Array:
        """The same of final observations, which with SAME_STEP ``infos["final_info"]`` tells of."""
        return self._said(infos.get("final_info", {}), wanted)

    def _said(self, infos: Mapping[str, Any], wanted: Array) -> Array:
        if ACTION_MASK not in infos:
            return self._rows({})
        said = infos[ACTION_MASK]
        speaking = wanted & np.asarray(infos.get(f"_{ACTION_MASK}", True), bool)
        if isinstance(said, np.ndarray) and said.dtype != object and said[0].size == self.size:
            flat = said.reshape(len(wanted), -1)
            if ((flat == 0) | (flat == 1)).all():
                return self.form.closed((flat == 1) | ~speaking[:, None])
        return self._rows({column: said[column] for column in np.flatnonzero(speaking).tolist()})

    def _rows(self, given: Mapping[int, Any]) -> Array:
        masks = np.ones((self._envs.num_envs, self.size), bool)
        for column, mask in given.items():
            masks[column] = self.form.flat(mask, f"the action mask of {self.name}, column {column},")
        return self.form.closed(masks)


def decided(asked: Any, envs: VectorEnv[Any, Any, Any]) -> Source | None:
    """Whether to act by the masks of ``envs``, and where they come from; it resets them, unless they start programs.

    Args:
        asked: True: they must give masks; ``"auto"``: if they give some that fit; False: in no case.
        envs: to find out by. No program is started and no game in real time begun for that: there masks are taken from
            infos with True only, and with ``"auto"`` if there is the method.

    Raises:
        ConfigError: True, and there are none, or they do not fit.
    """
    if asked is False:
        return None
    try:
        reader = MaskReader(envs)
        if _is_live(envs):
            return "method" if reader.has_method else "info" if asked is True else None
        _, infos = envs.reset()
        source = reader.source(infos)
        if source is not None:
            reader.read(infos, np.ones(envs.num_envs, bool))
    except Exception as error:  # another space or size, a method that is something else, or a reset that fails
        if asked is True:
            raise
        logger.warning("action masks are not looked at: %s", error)
        return None
    if source is None and asked is True:
        raise without_masks(reader.name)
    return source


def check_final_masks(envs: VectorEnv[Any, Any, Any], algorithm: str) -> None:
    """Refuses envs that have only a method, for an algorithm whose targets take the best allowed action at the end.

    A ConfigError where they have begun the next episode before anybody could call it.
    """
    if reset_mode(envs) is ResetMode.SAME_STEP:
        raise ConfigError(
            f"{algorithm} looks at what is allowed where an episode is cut off, but in SAME_STEP {_name(envs)} has "
            f'begun the next one before its {ACTION_MASKS}() can be called: say masks in info["{ACTION_MASK}"], use '
            "AutoresetMode.NEXT_STEP, or set action_masks=False"
        )


def without_masks(name: str) -> ConfigError:
    """What to raise where masks are needed and ``name`` gives none."""
    return ConfigError(
        f'{name} gives no action masks, and this agent acts by them: give one in info["{ACTION_MASK}"] of every reset '
        f"and step, or by a method {ACTION_MASKS}() of the env (docs/masks.md); or train with action_masks=False"
    )


def _is_live(envs: VectorEnv[Any, Any, Any]) -> bool:
    inner = getattr(envs.unwrapped, "envs", None)
    said = [envs.metadata, type(inner[0].unwrapped).metadata if inner else {}]
    return any(metadata.get(word) for metadata in said for word in (LAUNCHES_PROGRAMS, REAL_TIME))


def _name(envs: VectorEnv[Any, Any, Any]) -> str:
    inner = getattr(envs.unwrapped, "envs", None)
    spec = envs.spec or (inner[0].spec if inner else None)
    if spec is not None:
        return str(spec.id)
    return type(inner[0].unwrapped if inner else envs.unwrapped).__name__
