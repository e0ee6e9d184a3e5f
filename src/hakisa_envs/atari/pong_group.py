"""Columns of ``Hakisa/Pong-v0`` that one thread steps: some or all of a vector environment's."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from hakisa_envs import contract
from hakisa_envs.atari.options import PongOptions, emulator_seed, outcome
from hakisa_envs.errors import import_extra
from hakisa_envs.masked_reset import Seeds, read_reset

Step = tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class PongGroup(VectorEnv[NDArray[np.uint8], NDArray[np.int64], NDArray[Any]]):
    """See `PongVectorEnv`, of whose columns these are some: a whole vector environment, with emulators of its own.

    Args:
        num_envs: Number of columns.
        options: Checked already.
        num_threads: C++ threads; 0 for one per processor.
        limit: Steps after which an episode is truncated.

    Attributes:
        num_actions: Of a column.
        newest: The observations and infos that were returned last.
    """

    def __init__(self, num_envs: int, options: PongOptions, num_threads: int, limit: int) -> None:
        self.num_envs = num_envs
        self._limit = limit
        self.metadata = {
            **options.metadata,
            "render_modes": [],
            "autoreset_mode": AutoresetMode.NEXT_STEP,
            contract.MASKED_RESET: True,
            # A seeded reset makes ale-py load the ROM again, 65 ms; trainers that seed episodes do so every 8th.
            contract.EPISODES_PER_SEED: 8,
        }
        self.render_mode = None
        vector_env = import_extra("ale_py.vector_env", extra="atari", needed_by="Hakisa/Pong-v0")
        self._envs = vector_env.AtariVectorEnv(
            "pong",
            num_envs,
            num_threads=num_threads,
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
        self.num_actions = int(self._envs.single_action_space.n)
        self.single_action_space = Discrete(self.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._elapsed = np.zeros(num_envs, dtype=np.int64)
        self._score = np.zeros(num_envs)
        self._terminated = np.zeros(num_envs, dtype=np.bool_)
        self._expired = np.zeros(num_envs, dtype=np.bool_)
        self._in_flight = False
        self.newest: tuple[NDArray[np.uint8], dict[str, Any]] | None = None

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """See `PongVectorEnv.reset`; a step that was sent and not received is lost."""
        mask, seeds = read_reset(self.num_envs, seed, options)
        if self.newest is None and not mask.all():
            raise ValueError("The first reset must be of all columns: call reset() without a reset_mask.")
        self._land()
        # -1 is ale-py's word for "no seed".
        chosen = [
            -1 if value is None else emulator_seed(value) for value, reset in zip(seeds, mask, strict=True) if reset
        ]
        self._elapsed[mask] = self._score[mask] = 0
        self._terminated[mask] = self._expired[mask] = False
        self.newest = self._envs.reset(seed=np.array(chosen), options={"reset_mask": mask})
        return self.newest

    def step(self, actions: NDArray[np.int64]) -> Step:
        """See `PongVectorEnv.step`."""
        self.send(checked_actions(actions, self.num_envs, self.num_actions))
        return self.recv()

    def send(self, actions: NDArray[np.int64]) -> None:
        """Starts a step and does not wait for it; the actions must have been through `checked_actions`."""
        self._land()
        self._envs.send(actions)
        self._in_flight = True

    def recv(self) -> Step:
        """Waits for the step that `send` started, and returns what `step` does."""
        restarted = self._terminated | self._expired
        expired = self._expired
        observations, rewards, terminations, _, infos = self._envs.recv()
        self._in_flight = False
        rewards = rewards.astype(np.float64)
        if np.count_nonzero(expired):  # a tenth of what any() takes
            # ale-py knows nothing of our time limit and has played these on: reset them instead.
            observations, infos = self._envs.reset(options={"reset_mask": expired})
            rewards[expired], terminations[expired] = 0.0, False
        self._elapsed = np.where(restarted, 0, self._elapsed + 1)
        self._score += rewards
        if np.count_nonzero(restarted):
            self._score[restarted] = 0.0
        truncations = self._elapsed >= self._limit
        self._terminated, self._expired = terminations.copy(), truncations & ~terminations
        self.newest = observations, infos
        ended = terminations | truncations
        if np.count_nonzero(ended):
            infos = infos | self.outcomes(ended)
        return observations, rewards, terminations, truncations, infos

    def outcomes(self, ended: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """As Gymnasium's vector envs say what only some columns have: None, and False in the mask, for the others."""
        mask = np.zeros(self.num_envs, np.bool_) if ended is None else ended
        words = np.full(self.num_envs, None, dtype=object)
        for column in np.flatnonzero(mask):
            words[column] = outcome(self._score[column])
        return {contract.OUTCOME: words, f"_{contract.OUTCOME}": mask}

    def _land(self) -> None:
        """Ends a step that an exception, such as Ctrl+C, left between `send` and `recv`."""
        if self._in_flight:
            self.recv()

    def close_extras(self, **kwargs: Any) -> None:
        """Free the emulators and their threads."""
        self._envs = None


def checked_actions(actions: Any, num_envs: int, count: int) -> NDArray[np.int64]:
    """The actions as ale-py takes them.

    Raises:
        ValueError: If they have another shape than ``[num_envs]``, or one is not a whole number below ``count``.
    """
    chosen = np.asarray(actions)
    # ale-py would wait for ever for a column whose action it does not know.
    in_range = np.issubdtype(chosen.dtype, np.integer) and ((chosen >= 0) & (chosen < count)).all()
    if chosen.shape != (num_envs,) or not in_range:
        raise ValueError(f"actions must be {num_envs} whole numbers from 0 to {count - 1}, got {actions!r}.")
    return chosen.astype(np.int64)
