"""Where episodes start: one state, several, or rather those that are lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from hakisa_envs.errors import checked_choice
from hakisa_envs.retro.street_fighter.rules import WIN

Sampling = Literal["uniform", "lost"]
FORGETTING = 0.95  # what an older episode counts of the next one
FLOOR = 0.05  # of the weight, so that a state that is always won is still played


class Starts:
    """Draws start states.

    Args:
        names: The states to choose from.
        sampling: ``"uniform"``, or ``"lost"``: by the square of the share of episodes not won there lately (one not
            played yet counts as lost), as FightLadder weighs opponents.

    Raises:
        ValueError: If there is no state, or one twice.
    """

    def __init__(self, names: Sequence[str], sampling: Sampling) -> None:
        self.names = tuple(names)
        self.sampling = checked_choice("sampling", sampling, ("uniform", "lost"))
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(f"states={list(names)!r} is not allowed: it must be one or more different states.")
        self._won = np.zeros(len(self.names))
        self._played = np.zeros(len(self.names))

    def draw(self, generator: np.random.Generator) -> str:
        """The next episode's state."""
        return self.names[int(generator.choice(len(self.names), p=self.weights()))]

    def weights(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """How likely each state is: float64 ``[states]``, which sum to 1."""
        if self.sampling == "uniform":
            return np.full(len(self.names), 1 / len(self.names))
        won = np.divide(self._won, self._played, out=np.zeros_like(self._won), where=self._played > 0)
        weights = np.maximum((1 - won) ** 2, FLOOR)
        normalised: np.ndarray[Any, np.dtype[np.float64]] = weights / weights.sum()
        return normalised

    def tell(self, name: str, outcome: str) -> None:
        """An episode from ``name`` has ended; one that was asked for by name need not be among these."""
        if name not in self.names:
            return
        index = self.names.index(name)
        self._played[index] = FORGETTING * self._played[index] + 1
        self._won[index] = FORGETTING * self._won[index] + (outcome == WIN)

    def get_state(self) -> dict[str, Any]:
        """What later draws depend on."""
        return {"won": self._won.copy(), "played": self._played.copy()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `get_state`."""
        self._won[:], self._played[:] = state["won"], state["played"]
