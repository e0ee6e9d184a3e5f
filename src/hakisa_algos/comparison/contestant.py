"""What a comparison needs of a player, whoever trained it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hakisa_algos.training.evaluate import Evaluation

# Called with the env steps so far, between updates; False ends the training.
Watch = Callable[[int], bool]


class Interrupted(Exception):
    """A signal ended the training, which is then not what its budget says."""


class Contestant(Protocol):
    """Trains, plays and says what it is.

    Attributes:
        source: where its hyperparameters come from, in words.
    """

    source: str

    def train(self, watch: Watch) -> None:
        """Trains for the whole budget, or until ``watch`` says False.

        Raises:
            Interrupted: a signal ended it.
        """

    @property
    def steps(self) -> int:
        """Env steps that it was trained for."""

    def evaluate(self, episodes: int, *, seed: int, deterministic: bool, num_envs: int) -> Evaluation:
        """Plays whole episodes in envs of their own; see :func:`hakisa_algos.training.evaluate.evaluate`."""

    def predict(self, observation: Any, state: Any = None, *, deterministic: bool = True) -> tuple[Any, Any]:
        """An action and the next state; see :meth:`hakisa_algos.agent.Agent.predict`."""

    def identity(self) -> Mapping[str, Any]:
        """``env``, ``env_options``, and the hyperparameters as ``config``."""

    def close(self) -> None:
        """Closes its envs."""
