"""Where action masks come from, and how those of a vector env are read; docs/masks.md is the page about them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from hakisa_algos.data.contract import ACTION_MASK, ACTION_MASKS, LAUNCHES_PROGRAMS, REAL_TIME
from hakisa_algos.data.faults import env_name
from hakisa_algos.data.vectorize import ResetMode, reset_mode
from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.masks import MaskForm

logger = logging.getLogger(__name__)

Array = np.ndarray
Source = Literal["info", "method"]


class MaskReader:
    """Reads the action masks of a vector env.

    They are in ``infos["action_mask"]``, declared in a contract or not. For columns whose info says none, or None, the
    method ``action_masks()`` of the vector env, its wrappers first, or of its single envs is called, if there is one.

    Args:
        envs: of an action space that has masks.

    Attributes:
        form: of the masks.
        size: entries of a mask.
        name: of the env, for messages.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        self._envs: Any = envs
        self._inner: Any = envs.unwrapped
        self.form = MaskForm(envs.single_action_space)
        self._method: bool | None = None
        self._unheard = 0
        self.size = self.form.size
        self.name = env_name(envs)

    @property
    def has_method(self) -> bool:
        """Whether there is a method ``action_masks``."""
        if self._method is None:  # asked once: of envs in processes it costs a message to each
            if hasattr(self._envs, ACTION_MASKS):
                self._method = True
            elif isinstance(self._inner, SyncVectorEnv):
                self._method = all(env.has_wrapper_attr(ACTION_MASKS) for env in self._inner.envs)
            else:
                processes = isinstance(self._inner, AsyncVectorEnv)
                self._method = processes and all(self._inner.call("has_wrapper_attr", ACTION_MASKS))
        return self._method

    def source(self, infos: Mapping[str, Any]) -> Source | None:
        """Where masks come from, by the infos of a reset or step; None: from nowhere."""
        if self._speaking(infos, np.ones(self._envs.num_envs, bool)).any():
            return "info"
        return "method" if self.has_method else None

    def read(self, infos: Mapping[str, Any], wanted: Array) -> Array:
        """The masks after a step or a reset, bool ``[num_envs, size]``; see :meth:`MaskForm.closed`.

        Args:
            infos: of the step or reset.
            wanted: bool ``[num_envs]``: the columns whose masks matter. Those of the others, and of columns that say
                nothing, are all True.

        Raises:
            ConfigError: a mask does not fit the action space.
        """
        speaking = self._speaking(infos, wanted)
        masks = self._said(infos, speaking)
        silent = wanted & ~speaking
        if np.count_nonzero(silent):
            if self.has_method:
                masks = masks & self._rows(self._asked(silent))
            elif not speaking.any():
                self._hear_nothing()
        return self.form.closed(masks)

    def read_final(self, infos: Mapping[str, Any], wanted: Array) -> Array:
        """The same of final observations, which with SAME_STEP ``infos["final_info"]`` tells of."""
        told = infos.get("final_info", {})
        return self.form.closed(self._said(told, self._speaking(told, wanted)))

    def _speaking(self, infos: Mapping[str, Any], wanted: Array) -> Array:
        """Which of the columns say a mask."""
        if ACTION_MASK not in infos:
            return np.zeros(len(wanted), bool)
        said = infos[ACTION_MASK]
        if isinstance(said, Mapping):
            raise ConfigError(
                f'info["{ACTION_MASK}"] of {self.name} is a dict with the keys {sorted(map(str, said))}; it must be '
                f"flat, with {self.size} entries for {self._envs.single_action_space} (docs/masks.md)"
            )
        speaking: Array = wanted & np.asarray(infos.get(f"_{ACTION_MASK}", True), bool)
        if not isinstance(said, np.ndarray) or said.dtype == object:
            speaking = speaking & np.array([mask is not None for mask in said])
        return speaking

    def _said(self, infos: Mapping[str, Any], speaking: Array) -> Array:
        if not np.count_nonzero(speaking):
            return self._rows({})
        self._unheard = -1  # never again
        said = infos[ACTION_MASK]
        if isinstance(said, np.ndarray) and said.dtype != object and said[0].size == self.size:
            flat = said.reshape(len(speaking), -1)
            if ((flat == 0) | (flat == 1)).all():
                masks: Array = (flat == 1) | ~speaking[:, None]
                return masks
        return self._rows({column: said[column] for column in np.flatnonzero(speaking).tolist()})

    def _asked(self, silent: Array) -> dict[int, Any]:
        """What the method says of the columns in ``silent``, but for None."""
        columns = np.flatnonzero(silent).tolist()
        given: Any
        if hasattr(self._envs, ACTION_MASKS):
            given = self._envs.action_masks()
        elif isinstance(self._inner, SyncVectorEnv):
            given = {column: self._inner.envs[column].get_wrapper_attr(ACTION_MASKS)() for column in columns}
        else:
            given = self._inner.call(ACTION_MASKS)
        return {column: given[column] for column in columns if given[column] is not None}

    def _hear_nothing(self) -> None:
        """Says once that no mask has come, neither at first nor after a step."""
        if self._unheard >= 0:
            self._unheard += 1
            if self._unheard == 2:
                logger.warning(
                    "%s has given no action mask so far, and this agent acts by them: everything is allowed. "
                    'Give one in info["%s"] of every reset and step, or by a method %s() (docs/masks.md)',
                    self.name,
                    ACTION_MASK,
                    ACTION_MASKS,
                )

    def _rows(self, given: Mapping[int, Any]) -> Array:
        masks = np.ones((self._envs.num_envs, self.size), bool)
        for column, mask in given.items():
            masks[column] = self.form.flat(mask, f"the action mask of {self.name}, column {column},")
        return masks


def decided(asked: Any, envs: VectorEnv[Any, Any, Any], own: bool = False) -> Source | None:
    """Whether to act by the masks of ``envs``, and where they come from; it resets them, unless they start programs.

    Args:
        asked: True: they must give masks; ``"auto"``: if they give some that fit; False: in no case.
        envs: to find out by. No program is started and no game in real time begun for that: there masks are taken from
            infos with True only, and with ``"auto"`` if there is the method.
        own: nobody else looks at them, so that a step may be taken for ``"auto"`` too.

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
        if source is None and (own or asked is True):  # some say the first one with the first step
            source = reader.source(infos := _infos_of_a_step(envs))
        if source is not None:
            reader.read(infos, np.ones(envs.num_envs, bool))
    except Exception as error:  # another space or size, a method that is something else, or a reset that fails
        if asked is True:
            raise
        logger.warning("action masks are not looked at: %s", error)
        return None
    if source is None and asked is True:
        raise ConfigError(
            f'{reader.name} gives no action masks: give one in info["{ACTION_MASK}"] of every reset and step, or by a '
            f"method {ACTION_MASKS}() of the env (docs/masks.md); or train with action_masks=False"
        )
    return source


def _infos_of_a_step(envs: VectorEnv[Any, Any, Any]) -> dict[str, Any]:
    try:
        return envs.step(envs.action_space.sample())[-1]
    except Exception as error:  # that action was one of those that it forbids
        logger.info("a random step to find action masks failed: %s", error)
        return {}


def check_final_masks(envs: VectorEnv[Any, Any, Any], algorithm: str) -> None:
    """Refuses envs that have only a method, for an algorithm whose targets take the best allowed action at the end.

    A ConfigError where they have begun the next episode before anybody could call it.
    """
    if reset_mode(envs) is ResetMode.SAME_STEP:
        raise ConfigError(
            f"{algorithm} looks at what is allowed where an episode is cut off, but in SAME_STEP {env_name(envs)} has "
            f'begun the next one before its {ACTION_MASKS}() can be called: say masks in info["{ACTION_MASK}"], use '
            "AutoresetMode.NEXT_STEP, or set action_masks=False"
        )


def _is_live(envs: VectorEnv[Any, Any, Any]) -> bool:
    inner = getattr(envs.unwrapped, "envs", None)
    said = [envs.metadata, type(inner[0].unwrapped).metadata if inner else {}]
    return any(metadata.get(word) for metadata in said for word in (LAUNCHES_PROGRAMS, REAL_TIME))
