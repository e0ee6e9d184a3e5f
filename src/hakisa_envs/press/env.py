"""``Hakisa/Press-v0``, one environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from gymnasium.utils import EzPickle
from numpy.typing import ArrayLike, NDArray

from hakisa_envs import contract
from hakisa_envs.errors import checked_choice, refuse_unknown
from hakisa_envs.press.game import OPTIONS, PressGame
from hakisa_envs.press.state import pack_state, unpack_state


class PressEnv(gym.Env[NDArray[Any], NDArray[np.int64]], EzPickle):
    """A target asks for a key, for a click at a cell, or for a wait; each right answer pays 1.

    **Action** ``(command, a, b)``, a `ConditionalMultiDiscrete`: 0 waits, 1 presses key ``a``, 2 clicks
    at cell ``x = a, y = b``. An argument past its range wraps round.

    **Observation**, what is asked now:

    * ``"vector"`` (default): float32 ``[3 + num_keys + 2 * grid_size]``, one-hot blocks for the command,
      the key, x and y; blocks that do not apply are 0.
    * ``"pixels"``: uint8 grey ``[side, side, 1]`` (height, width, channel; 48 x 48 by default). A key is
      a grey vertical stripe at its place, a cell a white square at its place, a wait is black.

    **Reward** 0 for another command than the one asked for. Else the mean, over the arguments that the
    command has, of 1 for a right and ``-wrong_cost`` for a wrong one. A wait has none and pays 1.

    **Episode** After ``episode_length`` targets it is *terminated*, not truncated: there is nothing more
    to be had, so nothing is to be bootstrapped. The last observation shows nothing (all zeros). The
    largest return is `optimum`. The next target does not depend on the action.

    Args:
        observation: ``"vector"`` or ``"pixels"``.
        num_keys: Number of keys, 1 to 32.
        grid_size: The grid has ``grid_size x grid_size`` cells, 1 to 32.
        episode_length: Number of targets, at least 1.
        wrong_cost: Cost of a wrong argument, 0 to 1. At the default, guessing an argument pays about
            nothing (-0.008); a larger cost makes an untrained agent shy of pressing at all.
        render_mode: ``"rgb_array"``, ``"ansi"`` or None.

    Raises:
        UnknownOptionError: For a keyword that is none of these.
        ValueError: For a value out of range.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        contract.CONTRACT: contract.VERSION,
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 10,
    }

    def __init__(
        self,
        *,
        observation: Literal["vector", "pixels"] = "vector",
        num_keys: int = 12,
        grid_size: int = 12,
        episode_length: int = 32,
        wrong_cost: float = 0.1,
        render_mode: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(unknown, OPTIONS, owner="Hakisa/Press-v0")
        EzPickle.__init__(
            self,
            observation=observation,
            num_keys=num_keys,
            grid_size=grid_size,
            episode_length=episode_length,
            wrong_cost=wrong_cost,
            render_mode=render_mode,
        )
        self.render_mode = checked_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self.game = PressGame(observation, num_keys, grid_size, episode_length, wrong_cost)
        self.action_space = self.game.action_space
        self.observation_space = self.game.observation_space
        self._targets: list[int] = [self.game.nothing]
        self._position = 0

    @property
    def optimum(self) -> float:
        """The largest return that an episode can have."""
        return self.game.optimum

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Draw an episode's targets and show the first. ``options`` are ignored."""
        super().reset(seed=seed)
        self._targets = self.game.draw_targets(self.np_random).tolist()
        self._position = 0
        return self._observation(), {}

    def step(self, action: ArrayLike) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Answer the target that is shown, and see the next.

        Raises:
            ValueError: If the action is no triple of integers or the command is not 0, 1 or 2.
            gymnasium.error.ResetNeeded: If the episode is over or was never begun.
        """
        target = self._targets[self._position]
        if target == self.game.nothing:
            raise gym.error.ResetNeeded("The episode is over: call reset() before the next step().")
        chosen = self.game.action_space.canonical(np.asarray(action)[None])
        reward = self.game.rewards(np.array([target]), chosen).item()
        self._position += 1
        terminated = self._targets[self._position] == self.game.nothing
        return self._observation(), reward, terminated, False, {}

    def get_state(self) -> dict[str, Any]:
        """Where the episode stands: its ``targets``, ``position`` in them, and the ``generator`` of later episodes."""
        return pack_state(self._targets, self._position, self._np_random)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put the env where it was; it need not have been reset before.

        Raises:
            ValueError: If the state is of other options.
        """
        targets, self._position, generator = unpack_state(state, self.game)
        self._targets = targets.tolist()
        self._np_random, self._np_random_seed = generator, None if generator is None else -1

    def render(self) -> NDArray[np.uint8] | str | None:
        """Show the target: uint8 RGB ``[height, width, 3]``, or words with ``"ansi"``."""
        target = self._targets[self._position]
        if self.render_mode == "rgb_array":
            return self.game.frame(target)
        return self.game.describe(target) if self.render_mode == "ansi" else None

    def _observation(self) -> NDArray[Any]:
        observation: NDArray[Any] = self.game.observations[self._targets[self._position]].copy()
        return observation
