"""What learns: the one interface between an algorithm and everything that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from gymnasium import spaces

from hakisa_algos.data.needs import Need
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.learners.prior import Prior
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.policy import Policy


@dataclass(frozen=True)
class Facts:
    """All that a trainer asks of a learner besides to update.

    Attributes:
        need: what to collect before the next update.
        total: where the run ends: env steps; for :class:`hakisa_algos.data.needs.Nothing`, in the unit of ``done``.
        capacity: rows that the buffer must keep readable.
        remembered: rows that later updates still read, and that a checkpoint therefore holds: 0 if every update uses up
            what was collected for it.
        keep_observations: whether the buffer must store observations.
        beside: an update learns from older rows while the next ones are played: their actions are of the policy before
            that update, however many threads there are.
        midway: something is under way that must end first, even if the run is at its end.
        target_kl: the KL that the learner keeps its updates below; None if it does not look.
        starts: env steps before which no update learns anything.
        prior: what the policy is held to, which wants to know how well both play.
    """

    need: Need
    total: int
    capacity: int = 1
    remembered: int = 0
    keep_observations: bool = True
    beside: bool = False
    midway: bool = False
    target_kl: float | None = None
    starts: int = 0
    prior: Prior | None = None


@runtime_checkable
class Learner(Protocol):
    """Owns a policy and what trains it.

    A class that has these members is an algorithm: registered under a name (see
    :mod:`hakisa_algos.learners.registry`) it works in ``Agent``, the command line and the benchmarks.

    Attributes:
        config_class: a frozen dataclass of hyperparameters; every field has a default, and the fields
            ``total_steps`` and ``num_envs`` are among them; and ``action_masks`` if the policy can obey them, which is
            True where observations carry some (see :class:`hakisa_algos.policy.observations.ObservationLayout`).
        config: the instance in use; a run that is made longer sets a changed one.
        policy: what acts; its ``version`` grows by one with every update.
    """

    config_class: ClassVar[type]
    config: Any
    policy: Policy

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: Any,
        *,
        num_envs: int,
        seed: int,
        device: torch.device,
        network: NetworkFactory | None,
    ) -> None: ...

    @classmethod
    def default_config(cls, observation_space: spaces.Space[Any], preset: str | None = None) -> Any:
        """The configuration to use where the user gives none, or the one called ``preset``.

        Raises:
            ConfigError: there is no such preset.
        """

    def facts(self) -> Facts:
        """What is so now; ``capacity``, ``keep_observations`` and ``beside`` never change."""

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Learns; returns metrics by name.

        Raises:
            NonFiniteError: a NaN or infinity came up; the learner is as it was before the call.
        """

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs: nested dicts of tensors, arrays and plain values."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` gave."""
