"""What learns: the one interface between an algorithm and everything that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from gymnasium import spaces

from hakisa_algos.data.collect import Need
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.policy import Policy


@runtime_checkable
class Learner(Protocol):
    """Owns a policy and what trains it.

    One that does not learn from steps of its policy in the trainer's envs has a method besides, ``make_collector(envs,
    buffer, make_envs)``: it returns what then collects, with the face of
    :class:`hakisa_algos.data.collect.Collector`; ``need`` is whatever that one takes.

    One whose ``need`` is :class:`hakisa_algos.data.collect.Rows`, and that may learn from older rows while they are
    played, says so by ``learns_beside = True``. Where the collector can, its ``update`` then runs beside the
    collection: the buffer does not change meanwhile, and the actions are those of the policy before that update.

    A class that has these members is an algorithm: registered under a name (see
    :mod:`hakisa_algos.learners.registry`) it works in ``Agent``, the command line and the benchmarks.

    Attributes:
        config_class: a frozen dataclass of hyperparameters; every field has a default, and the fields
            ``total_steps`` and ``num_envs`` are among them.
        config: the instance in use.
        policy: what acts; its ``version`` grows by one with every update.
        need: what to collect before the next update.
        capacity: rows that the buffer must keep readable.
        remembered: rows that later updates still read, and that a checkpoint therefore holds: 0 if every
            update uses up what was collected for it.
        keep_observations: whether the buffer must store observations.
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
    def default_config(cls, observation_space: spaces.Space[Any]) -> Any:
        """The configuration to use where the user gives none."""

    @property
    def need(self) -> Need: ...

    @property
    def capacity(self) -> int: ...

    @property
    def remembered(self) -> int: ...

    @property
    def keep_observations(self) -> bool: ...

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Learns from the newest rows; returns metrics by name.

        Raises:
            NonFiniteError: a NaN or infinity came up; the learner is as it was before the call.
        """

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs: nested dicts of tensors, arrays and plain values."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` gave."""
