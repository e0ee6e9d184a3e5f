"""``Hakisa/Pong-v0``, many environments on ale-py's C++ threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from hakisa_envs.atari.options import OPTION_NAMES, PongOptions, emulator_seed
from hakisa_envs.errors import checked_int, import_extra, refuse_unknown
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
    ``episode_frame_number``.
    """

    def __init__(self, num_envs: int, options: PongOptions, num_threads: int, max_episode_steps: int | None) -> None:
        self.num_envs = checked_int("num_envs", num_envs, 1)
        self.options = options
        # -1 is Gymnasium's own word for "no time limit".
        unlimited = max_episode_steps is None or max_episode_steps == -1
        self._limit = 2**62 if unlimited else checked_int("max_episode_steps", max_episode_steps, 1)
        self.metadata = {
            **options.metadata,
            "render_modes": [],
            "autoreset_mode": AutoresetMode.NEXT_STEP,
            "masked_reset": True,
            # A seeded reset makes ale-py load the ROM again, 65 ms; trainers that seed episodes do so every 8th.
            "episodes_per_seed": 8,
        }
        self.render_mode = None
        vector_env = import_extra("ale_py.vector_env", extra="atari", needed_by="Hakisa/Pong-v0")
        self._envs = vector_env.AtariVectorEnv(
            "pong",
            self.num_envs,
            num_threads=checked_int("num_threads", num_threads, 0),
            # We keep the time limit: ale-py's cuts before the last frame is taken.
            max_num_frames_per_episode=2**30,
            repeat_action_probability=options.sticky,
            img_height=options.frame_size,
            img_width=options.frame_size,
            stack_num=options.frame_stack,
            frameskip=options.frame_skip,
            noop_max=options.noop_max,
            reward_clipping=False,
        )
        self.single_observation_space = options.observation_space
        self._num_actions = int(self._envs.single_action_space.n)
        self.single_action_space = Discrete(self._num_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._terminated = np.zeros(self.num_envs, dtype=np.bool_)
        self._expired = np.zeros(self.num_envs, dtype=np.bool_)
        self._started = False

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
        if not self._started and not mask.all():
            raise ValueError("The first reset must be of all columns: call reset() without a reset_mask.")
        self._started = True
        # -1 is ale-py's word for "no seed".
        chosen = [
            -1 if value is None else emulator_seed(value) for value, reset in zip(seeds, mask, strict=True) if reset
        ]
        self._elapsed[mask] = 0
        self._terminated[mask] = self._expired[mask] = False
        observations, infos = self._envs.reset(seed=np.array(chosen), options={"reset_mask": mask})
        return observations, infos

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Hold one action per column for ``frame_skip`` frames.

        Args:
            actions: int ``[num_envs]``, each 0 to 5.

        Returns:
            uint8 observations, float64 rewards (raw), bool terminations and truncations, and infos.

        Raises:
            ValueError: If the actions have another shape or one is not 0 to 5.
        """
        chosen = np.asarray(actions)
        # ale-py would wait for ever for a column whose action it does not know.
        count, integers = self._num_actions, np.issubdtype(chosen.dtype, np.integer)
        in_range = integers and ((chosen >= 0) & (chosen < count)).all()
        if chosen.shape != (self.num_envs,) or not in_range:
            raise ValueError(f"actions must be {self.num_envs} whole numbers from 0 to {count - 1}, got {actions!r}.")
        restarted = self._terminated | self._expired
        expired = self._expired
        observations, rewards, terminations, _, infos = self._envs.step(chosen.astype(np.int64))
        rewards = rewards.astype(np.float64)
        if expired.any():
            # ale-py knows nothing of our time limit and has played these on: reset them instead.
            observations, infos = self._envs.reset(options={"reset_mask": expired})
            rewards[expired], terminations[expired] = 0.0, False
        self._elapsed = np.where(restarted, 0, self._elapsed + 1)
        truncations = self._elapsed >= self._limit
        self._terminated, self._expired = terminations.copy(), truncations & ~terminations
        return observations, rewards, terminations, truncations, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Free the emulators and their threads."""
        self._envs = None
