"""The rules of Press, without any environment round them: targets, what they look like, what they pay."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from hakisa_envs.errors import checked_choice, checked_float, checked_int
from hakisa_envs.spaces import ConditionalMultiDiscrete

WAIT, PRESS, CLICK = range(3)
KEY_GREY, CELL_GREY = 128, 255
OPTIONS = ("observation", "num_keys", "grid_size", "episode_length", "wrong_cost", "render_mode")


class PressGame:
    """Everything about Press that does not change while it is played.

    A target is a number: 0 asks for a wait, ``1 + key`` for a key, ``1 + num_keys + y * grid_size + x``
    for a click at a cell, and the last one, `nothing`, is shown when the episode is over.

    Attributes:
        action_space: ``(command, key or x, y)``, see `hakisa_envs.press.env.PressEnv`.
        observation_space: Of one observation.
        answers: int64 ``[targets + 1, 3]``, the right action to each target.
        observations: ``[targets + 1, ...]``, what each target looks like to the agent.
    """

    def __init__(
        self,
        observation: Literal["vector", "pixels"],
        num_keys: int,
        grid_size: int,
        episode_length: int,
        wrong_cost: float,
    ) -> None:
        checked_choice("observation", observation, ("vector", "pixels"))
        self.num_keys = checked_int("num_keys", num_keys, 1, 32)
        self.grid_size = checked_int("grid_size", grid_size, 1, 32)
        self.episode_length = checked_int("episode_length", episode_length, 1)
        self.wrong_cost = checked_float("wrong_cost", wrong_cost, 0.0, 1.0)

        keys, grid = self.num_keys, self.grid_size
        self.nothing = 1 + keys + grid * grid
        self.action_space = ConditionalMultiDiscrete([3, max(keys, grid), grid], [[0, 0], [keys, 0], [grid, grid]])
        self.answers = self._answers()
        self.observations: NDArray[Any]
        self.observation_space: Box[Any]
        if observation == "vector":
            self.observations = self._vectors()
            self.observation_space = Box(0.0, 1.0, self.observations.shape[1:], np.float32)
        else:
            self.observations = self.pictures(np.arange(self.nothing + 1))[..., None]
            self.observation_space = Box(0, 255, self.observations.shape[1:], np.uint8)

    @property
    def optimum(self) -> float:
        """The largest return that an episode can have: 1 for each target."""
        return float(self.episode_length)

    def draw_targets(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Draw an episode: int64 ``[episode_length + 1]``, its targets and then `nothing`.

        The three kinds are equally likely, and so are the keys and the cells.
        """
        length = self.episode_length
        kind = generator.integers(3, size=length)
        key = generator.integers(self.num_keys, size=length)
        cell = generator.integers(self.grid_size**2, size=length)
        targets = np.where(kind == PRESS, 1 + key, np.where(kind == CLICK, 1 + self.num_keys + cell, 0))
        return np.append(targets, self.nothing)

    def rewards(self, targets: NDArray[np.int64], actions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Pay canonical actions.

        Args:
            targets: int64 ``[n]``, what was asked.
            actions: int64 ``[n, 3]``, as `ConditionalMultiDiscrete.canonical` returns them.

        Returns:
            float64 ``[n]``: 0 for another command than the one that was asked for; else the mean, over
            the arguments that it has, of 1 for a right and ``-wrong_cost`` for a wrong one. A wait has
            no arguments to get wrong and pays 1.
        """
        answers = self.answers[targets]
        relevant = self.action_space.sizes[answers[:, 0]] > 0
        wrong = (relevant & (actions[:, 1:] != answers[:, 1:])).sum(axis=1)
        share = wrong / np.maximum(relevant.sum(axis=1), 1)
        return np.where(actions[:, 0] == answers[:, 0], 1.0 - share * (1.0 + self.wrong_cost), 0.0)

    def pictures(self, targets: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Draw targets: uint8 ``[n, side, side]``.

        A key is a grey vertical stripe, whose place says which key; a cell is a white square at its
        place in the grid; a wait is a black picture.
        """
        # Image policies, SB3's among them, want 36 pixels a side at least; a cell is 4 pixels or more.
        cell = max(4, -(-36 // self.grid_size), -(-self.num_keys // self.grid_size))
        side = cell * self.grid_size
        pictures = np.zeros((len(targets), side, side), dtype=np.uint8)
        for picture, target in zip(pictures, targets, strict=True):
            command, first, y = self.answers[target].tolist()
            if command == PRESS:
                stripe = slice(first * side // self.num_keys, (first + 1) * side // self.num_keys)
                picture[:, stripe] = KEY_GREY
            elif command == CLICK:
                picture[y * cell : (y + 1) * cell, first * cell : (first + 1) * cell] = CELL_GREY
        return pictures

    def frame(self, target: int) -> NDArray[np.uint8]:
        """Draw a target for people: uint8 ``[4 * side, 4 * side, 3]``, RGB."""
        picture = self.pictures(np.array([target]))[0].repeat(4, axis=0).repeat(4, axis=1)
        frame: NDArray[np.uint8] = picture[..., None].repeat(3, axis=2)
        return frame

    def describe(self, target: int) -> str:
        """Say in words what a target asks for."""
        if target == self.nothing:
            return "over"
        command, first, y = self.answers[target].tolist()
        return ("wait", f"press key {first}", f"click x={first} y={y}")[command]

    def _answers(self) -> NDArray[np.int64]:
        answers = np.zeros((self.nothing + 1, 3), dtype=np.int64)
        keys = answers[1 : 1 + self.num_keys]
        keys[:, 0], keys[:, 1] = PRESS, np.arange(self.num_keys)
        cells = answers[1 + self.num_keys : self.nothing]
        cells[:, 0] = CLICK
        cells[:, 2], cells[:, 1] = np.divmod(np.arange(self.grid_size**2), self.grid_size)
        return answers

    def _vectors(self) -> NDArray[np.float32]:
        command = np.eye(3)[self.answers[:, 0]]
        key = np.eye(self.num_keys)[self.answers[:, 1] % self.num_keys]
        x = np.eye(self.grid_size)[self.answers[:, 1] % self.grid_size]
        y = np.eye(self.grid_size)[self.answers[:, 2]]
        pressing, clicking = command[:, [PRESS]], command[:, [CLICK]]
        vectors = np.concatenate([command, key * pressing, x * clicking, y * clicking], axis=1)
        vectors[self.nothing] = 0.0
        return vectors.astype(np.float32)
