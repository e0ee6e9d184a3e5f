"""``Hakisa/Press-v0``, many environments in one NumPy program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from hakisa_envs import contract
from hakisa_envs.errors import checked_choice, checked_int, refuse_unknown
from hakisa_envs.masked_reset import Seeds, read_reset
from hakisa_envs.press.env import PressEnv
from hakisa_envs.press.game import OPTIONS, PressGame
from hakisa_envs.press.state import pack_state, unpack_state


class PressVectorEnv(VectorEnv[NDArray[Any], NDArray[np.int64], NDArray[Any]]):
    """`PressEnv` in columns: with the same seeds and actions, equal to it frame for frame.

    Args:
        num_envs: Number of columns.
        autoreset_mode: ``AutoresetMode.NEXT_STEP`` (default: the step after the end of an episode ignores
            that column's action, resets it and pays 0) or ``DISABLED`` (the caller resets finished columns
            with ``reset(options={"reset_mask": ...})``, which works in either mode, as
            ``metadata["masked_reset"]`` says).
        observation, num_keys, grid_size, episode_length, wrong_cost, render_mode: As `PressEnv`.

    Raises:
        UnknownOptionError: For a keyword that is none of these.
        ValueError: For a value out of range.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        observation: Literal["vector", "pixels"] = "vector",
        num_keys: int = 12,
        grid_size: int = 12,
        episode_length: int = 32,
        wrong_cost: float = 0.1,
        render_mode: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(unknown, ("num_envs", "autoreset_mode", *OPTIONS), owner="Hakisa/Press-v0")
        self.num_envs = checked_int("num_envs", num_envs, 1)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        modes = (AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)
        checked_choice("autoreset_mode", self.autoreset_mode, modes)
        self.metadata = {
            **PressEnv.metadata,
            "autoreset_mode": self.autoreset_mode,
            contract.MASKED_RESET: True,
        }
        self.render_mode = checked_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self.game = PressGame(observation, num_keys, grid_size, episode_length, wrong_cost)
        self.single_action_space = self.game.action_space
        self.single_observation_space = self.game.observation_space
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._columns = np.arange(self.num_envs)
        self._targets = np.full((self.num_envs, self.game.episode_length + 1), self.game.nothing)
        self._positions = np.zeros(self.num_envs, dtype=np.int64)

    @property
    def optimum(self) -> float:
        """The largest return that an episode can have."""
        return self.game.optimum

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Reset all columns, or those of ``options["reset_mask"]`` (bool ``[num_envs]``).

        Args:
            seed: None, an int (column ``i`` gets ``seed + i``), or an entry per column or per reset column.
            options: May hold ``"reset_mask"``; columns that it leaves out keep their state.

        Returns:
            Observations ``[num_envs, ...]`` of all columns, and an empty dict.
        """
        mask, seeds = read_reset(self.num_envs, seed, options)
        for column in np.flatnonzero(mask):
            generator = self._generators[column]
            if seeds[column] is not None or generator is None:
                generator = self._generators[column] = seeding.np_random(seeds[column])[0]
            self._targets[column] = self.game.draw_targets(generator)
        self._positions[mask] = 0
        return self._observations(), {}

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Answer the targets that are shown.

        Args:
            actions: int ``[num_envs, 3]``.

        Returns:
            Observations, float64 rewards, bool terminations and truncations, each ``[num_envs, ...]``, and
            an empty dict.

        Raises:
            ValueError: If the actions have another shape, or a command is not 0, 1 or 2, or (DISABLED) a
                column is over.
        """
        chosen = self.game.action_space.canonical(actions)
        if chosen.shape != (self.num_envs, 3):
            raise ValueError(f"actions must have shape ({self.num_envs}, 3), got {chosen.shape}.")
        targets = self._targets[self._columns, self._positions]
        over = targets == self.game.nothing
        if over.any() and self.autoreset_mode is AutoresetMode.DISABLED:
            raise ValueError(
                f"The episodes of columns {np.flatnonzero(over).tolist()} are over: reset them with "
                "reset(options={'reset_mask': mask}) first."
            )
        rewards = np.where(over, 0.0, self.game.rewards(targets, chosen))
        self._positions += ~over
        if over.any():
            self.reset(options={"reset_mask": over})
        terminations = self._targets[self._columns, self._positions] == self.game.nothing
        return self._observations(), rewards, terminations, np.zeros(self.num_envs, dtype=np.bool_), {}

    def get_state(self) -> list[dict[str, Any]]:
        """Where every column's episode stands, as `PressEnv.get_state` says."""
        positions = self._positions.tolist()
        return [pack_state(*column) for column in zip(self._targets, positions, self._generators, strict=True)]

    def set_state(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Put every column where it was; it need not have been reset before.

        Raises:
            ValueError: If there is not one state for each column, or one is of other options.
        """
        if len(states) != self.num_envs:
            raise ValueError(f"Got {len(states)} states for {self.num_envs} columns.")
        unpacked = [unpack_state(state, self.game) for state in states]
        for column, (targets, position, generator) in enumerate(unpacked):
            self._targets[column], self._positions[column] = targets, position
            self._generators[column] = generator

    def render(self) -> tuple[Any, ...] | None:
        """One frame (``"rgb_array"``) or description (``"ansi"``) per column."""
        if self.render_mode is None:
            return None
        show = self.game.frame if self.render_mode == "rgb_array" else self.game.describe
        return tuple(show(int(target)) for target in self._targets[self._columns, self._positions])

    def _observations(self) -> NDArray[Any]:
        observations: NDArray[Any] = self.game.observations[self._targets[self._columns, self._positions]]
        return observations
