"""Many individuals of one shape at the columns of a vector env: each plays its games, and the next takes its seat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.policy.greedy import GreedyPolicy
from hakisa_algos.policy.observations import Observation, map_observation, split_mask
from hakisa_algos.policy.policy import Decision, State
from hakisa_algos.policy.stacked import stacked

# Rows of the state: the game in a column, transitions left of it, its episode, and the next game that is free.
_GAME, _LEFT, _EPISODE, _NEXT = range(4)


class Population:
    """See :class:`hakisa_algos.policy.policy.Seated`. Only the weights of seated individuals are in memory.

    Args:
        network: the shape of all individuals; its weights do not matter.
        players: which individual plays each game, ``[games]``.
        weights: of an individual: all parameters as a float32 vector, in the order of ``network.parameters()``.
        seed: ``(game, episode of that game) -> seed``.
        steps: transitions of a game, over as many episodes as it takes; None: a game is one episode.
    """

    def __init__(
        self,
        network: GreedyPolicy,
        players: Sequence[int],
        weights: Callable[[int], np.ndarray],
        seed: Callable[[int, int], int],
        steps: int | None = None,
    ) -> None:
        self.observation = network.observation
        self.version = network.version
        self._heads = network.heads
        self._forward = stacked(network.trunk, network.heads.linear)
        self._outputs = network.heads.linear.out_features
        self._device = network.heads.linear.weight.device
        self._size = sum(parameter.numel() for parameter in network.parameters())
        self._players = np.array([*players, -1])  # the last for a game of -1
        self._weights_of = weights
        self._seed = seed
        self._steps = steps
        self._weights = torch.zeros(0)
        self._seated = np.zeros(0, np.int64)

    @torch.inference_mode()
    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        """See :class:`hakisa_algos.policy.policy.Policy`; stores ``seat``, the game. How an empty seat acts is open."""
        observation, mask = split_mask(observation)
        games = state["seats"][_GAME]
        self._load(self._players[games.numpy()])
        seated = np.flatnonzero(games.numpy() >= 0)
        if 2 * len(seated) > len(games):
            logits = self._forward(self._weights, observation)
        else:  # few enough for a copy of their weights to cost less than the others' forward
            chosen = torch.from_numpy(seated)
            logits = torch.zeros(len(games), self._outputs, device=self._device)
            if len(seated):
                own = map_observation(lambda x: x[chosen], observation)
                logits[chosen] = self._forward(self._weights[chosen], own)
        return Decision(self._heads.distribution(logits, mask).mode(), {"seat": games}, state)

    def initial_state(self, n: int) -> State:
        """Empty seats."""
        self._weights = torch.zeros(n, self._size, device=self._device)
        self._seated = np.full(n, -1)
        seats = torch.zeros(4, n, dtype=torch.int64)
        seats[_GAME] = -1
        return {"seats": seats}

    def begin(self, mask: Tensor, state: State) -> State:
        """The next games in the columns of ``mask``, but for games that go on with another episode."""
        seats = state["seats"].numpy().copy()
        for column in np.flatnonzero(mask.cpu().numpy()):
            if seats[_LEFT, column] > 0:
                seats[_EPISODE, column] += 1
                continue
            game = int(seats[_NEXT, 0])
            free = game < len(self._players) - 1
            seats[_GAME, column] = game if free else -1
            seats[_LEFT, column] = self._steps or 0 if free else 0
            seats[_EPISODE, column] = 0
            seats[_NEXT] += free
        return {"seats": torch.from_numpy(seats)}

    def games(self, state: State) -> np.ndarray:
        """See :class:`hakisa_algos.policy.policy.Seated`."""
        games: np.ndarray = state["seats"][_GAME].numpy()
        return games

    def seeds(self, mask: np.ndarray, state: State) -> list[int | None]:
        """See :class:`hakisa_algos.policy.policy.Seated`."""
        seats = state["seats"].numpy()
        seeds: list[int | None] = [None] * len(mask)
        for column in np.flatnonzero(mask & (seats[_GAME] >= 0)):
            seeds[column] = self._seed(int(seats[_GAME, column]), int(seats[_EPISODE, column]))
        return seeds

    def count(self, state: State, valid: np.ndarray) -> tuple[State, np.ndarray]:
        """See :class:`hakisa_algos.policy.policy.Seated`."""
        if self._steps is None:
            return state, np.zeros(len(valid), bool)
        seats = state["seats"].numpy().copy()
        seats[_LEFT] -= valid
        return {"seats": torch.from_numpy(seats)}, valid & (seats[_LEFT] == 0)

    def _load(self, individuals: np.ndarray) -> None:
        for column in np.flatnonzero((individuals != self._seated) & (individuals >= 0)):
            self._seated[column] = individuals[column]
            self._weights[column] = torch.from_numpy(self._weights_of(int(individuals[column])))
