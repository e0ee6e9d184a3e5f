"""What a learner wants collected before its next update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gymnasium.vector import VectorEnv

MakeEnvs = Callable[[], VectorEnv[Any, Any, Any]]


@dataclass(frozen=True)
class Rows:
    """``n`` rows: one step of every env each.

    Attributes:
        n: how many.
        chunk: the policy's state is stored before every ``chunk``-th of them, and after the last one; 0: never.
    """

    n: int
    chunk: int = 0


@dataclass(frozen=True)
class Episodes:
    """Rows until ``n`` episodes have ended, but at most what the buffer holds."""

    n: int


@dataclass(frozen=True)
class Games:
    """Rows until a :class:`hakisa_algos.policy.policy.Seated` policy has played all games that it has."""


class Play(Protocol):
    """Plays for itself, in the trainer's envs or in others that it makes."""

    def __call__(
        self,
        envs: VectorEnv[Any, Any, Any],
        make_envs: MakeEnvs | None,
        info_keys: tuple[str, ...],
        stop: Callable[[], bool],
    ) -> Played:
        """Plays in the envs of the run, which it resets first, or in others, where ``make_envs`` is not None.

        ``info_keys`` are entries of the last infos that episodes keep. ``stop`` is asked at every step or several times
        a second; True raises :class:`hakisa_algos.errors.Stopped`, and the next call plays again what was begun.
        """

    def close(self) -> None:
        """Ends what was started for it; it may be called again afterwards."""


@dataclass(frozen=True)
class Played:
    """What came of a :class:`Play`.

    Attributes:
        rows: how many, in envs as wide as the buffer.
        episodes: that have ended, :class:`hakisa_algos.data.rollout.Episode`.
        nanoseconds: see :class:`hakisa_algos.data.collect.Collector`.
    """

    rows: int
    episodes: list[Any]
    nanoseconds: dict[str, int]


@dataclass(frozen=True)
class Elsewhere:
    """Whatever ``play`` plays; its rows are counted and its episodes kept, but its rows cannot be read."""

    play: Play


@dataclass(frozen=True)
class Nothing:
    """No env at all: the learner has its data already.

    Attributes:
        done: how far the learner is, in the unit of its own end (:attr:`hakisa_algos.learners.learner.Facts.total`).
    """

    done: int


Need = Rows | Episodes | Games | Elsewhere | Nothing
