"""``Hakisa/Pong-v0``, many environments on ale-py's C++ threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from hakisa_envs import contract
from hakisa_envs.atari.options import OPTION_NAMES, PongOptions
from hakisa_envs.atari.pong_group import PongGroup, Step, checked_actions
from hakisa_envs.errors import checked_int, refuse_unknown
from hakisa_envs.masked_reset import Seeds, read_reset

ONLY_SINGLE = ("difficulty", "paddle_reward", "render_mode")
ONLY_VECTOR = ("num_envs", "num_threads", "max_episode_steps")


def make_pong_vec(
    num_envs: int = 1, *, num_threads: int = 0, max_episode_steps: int | None = 27_000, **options: Any
) -> PongVectorEnv:
    """Make a vector environment of Pong on ale-py's C++ emulators; what ``gymnasium.make_vec`` calls.

    Args:
        num_envs: Number of columns.
        num_threads: Threads that run the emulators; 0 for one per processor (and no more than columns).
        max_episode_steps: Steps after which an episode is truncated; None or -1 for never.
        options: Of `PongEnv`. ``difficulty``, ``paddle_reward`` and ``render_mode`` are not to be had here.

    Raises:
        MissingExtraError: If ale-py is not installed.
        UnknownOptionError: For an unknown keyword.
        ValueError: For a value out of range, or for an option that only the single environment has.
    """
    refuse_unknown(
        set(options) - {*OPTION_NAMES, *ONLY_SINGLE},
        {*OPTION_NAMES, *ONLY_VECTOR, *ONLY_SINGLE},
        owner="Hakisa/Pong-v0",
    )
    for name in ONLY_SINGLE:
        if options.get(name):
            raise ValueError(
                f"{name}={options[name]!r} is not offered by the C++ vector environment of Hakisa/Pong-v0: "
                'pass vectorization_mode="sync" or "async" to gymnasium.make_vec.'
            )
    options.pop("render_mode", None)
    return PongVectorEnv(num_envs, PongOptions(**options), num_threads, max_episode_steps)


class PongVectorEnv(VectorEnv[NDArray[np.uint8], NDArray[np.int64], NDArray[Any]]):
    """`PongEnv` in columns, equal to it frame for frame; make it with `make_pong_vec`.

    Autoreset is NEXT_STEP: the step after the end of an episode ignores that column's action, resets it and
    pays 0. A column that is reset through ``reset(options={"reset_mask": ...})`` before that step has no such
    row: the next step is its first. ``metadata["masked_reset"]`` says that this works.

    Equality has one limit: with sticky actions, a column that its time limit ended and that is then reset
    without a seed goes on with other dice than `PongEnv`.

    ``info`` holds int32 arrays ``[num_envs]``: ``env_id``, ``lives``, ``frame_number``,
    ``episode_frame_number``; and, in a row in which episodes end, object array ``outcome``, ``"win"``, ``"loss"`` or
    ``"draw"`` by who leads, with the mask ``_outcome``.

    Attributes:
        groups: vector environments that are, one after the other, these columns: two halves, so that two threads can
            each step one; a single one where there is one column or one thread. Who steps or resets them does not
            step the whole meanwhile; `reset` of the whole is right after whatever happened to them.
    """

    def __init__(self, num_envs: int, options: PongOptions, num_threads: int, max_episode_steps: int | None) -> None:
        self.num_envs = checked_int("num_envs", num_envs, 1)
        self.options = options
        # -1 is Gymnasium's own word for "no time limit".
        unlimited = max_episode_steps is None or max_episode_steps == -1
        limit = 2**62 if unlimited else checked_int("max_episode_steps", max_episode_steps, 1)
        threads = checked_int("num_threads", num_threads, 0) or _processors()
        halves = 1 if threads == 1 or num_envs == 1 else 2
        self.groups = tuple(
            PongGroup(columns, options, min(_part(threads, halves, i), columns), limit)
            for i, columns in enumerate(_part(num_envs, halves, i) for i in range(halves))
        )
        ends = np.cumsum([group.num_envs for group in self.groups]).tolist()
        self._columns = [slice(end - group.num_envs, end) for group, end in zip(self.groups, ends, strict=True)]
        first = self.groups[0]
        self.metadata = first.metadata
        self.render_mode = None
        self.single_observation_space = first.single_observation_space
        self.single_action_space = first.single_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Reset all columns, or those of ``options["reset_mask"]`` (bool ``[num_envs]``).

        Args:
            seed: None, an int (column ``i`` gets ``seed + i``), or an entry per column or per reset column.
                It decides the sticky actions and how many frames pass before the first action. Seeding
                takes ale-py about 65 ms per column, as in `PongEnv.reset`.
            options: May hold ``"reset_mask"``; columns that it leaves out keep their state. The first reset
                must be of all columns.

        Returns:
            uint8 observations ``[num_envs, frame_stack, frame_size, frame_size]`` of all columns, and infos.
        """
        mask, seeds = read_reset(self.num_envs, seed, options)
        if self.groups[0].newest is None and not mask.all():
            raise ValueError("The first reset must be of all columns: call reset() without a reset_mask.")

        due = [(group, part) for group, part in zip(self.groups, self._columns, strict=True) if mask[part].any()]

        def reset_part(group: PongGroup, part: slice) -> None:
            group.reset(seed=seeds[part], options={"reset_mask": mask[part]})

        if len(due) == 1:
            reset_part(*due[0])
        else:  # at the same time: seeding takes long
            with ThreadPoolExecutor(len(due)) as pool:
                list(pool.map(reset_part, *zip(*due, strict=True)))
        observations, infos = zip(*[group.newest for group in self.groups if group.newest], strict=True)
        return _joined(observations), self._joined_infos(infos)

    def step(self, actions: NDArray[np.int64]) -> Step:
        """Hold one action per column for ``frame_skip`` frames.

        Args:
            actions: int ``[num_envs]``, each 0 to 5.

        Returns:
            uint8 observations, float64 rewards (raw), bool terminations and truncations, and infos.

        Raises:
            ValueError: If the actions have another shape or one is not 0 to 5.
        """
        chosen = checked_actions(actions, self.num_envs, self.groups[0].num_actions)
        for group, columns in zip(self.groups, self._columns, strict=True):
            group.send(chosen[columns])
        *arrays, infos = zip(*[group.recv() for group in self.groups], strict=True)
        observations, rewards, terminations, truncations = map(_joined, arrays)
        return observations, rewards, terminations, truncations, self._joined_infos(infos)

    def _joined_infos(self, infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if any(contract.OUTCOME in info for info in infos):
            infos = [group.outcomes() | info for group, info in zip(self.groups, infos, strict=True)]
        joined = {name: _joined([info[name] for info in infos]) for name in infos[0]}
        # Each group counts its columns from 0.
        joined["env_id"] = np.arange(self.num_envs, dtype=np.int32)
        return joined

    def close_extras(self, **kwargs: Any) -> None:
        """Free the emulators and their threads."""
        for group in self.groups:
            group.close()


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _part(whole: int, parts: int, index: int) -> int:
    """The size of a part, when the first ones get what does not divide."""
    return whole // parts + (index < whole % parts)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
