"""What learning from rows that are there already is set by, whatever is learned from them."""

from __future__ import annotations

from dataclasses import dataclass

from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.config import Shape
from hakisa_algos.learners.validation import check_config


@dataclass(frozen=True)
class OfflineConfig:
    """Hyperparameters of learning offline; those of the policy are its algorithm's."""

    total_steps: int = 20_000
    """Gradient steps at most; less where the held-out episodes say that enough is learned."""
    num_envs: int = 1
    """Always 1: there are no envs."""
    update_steps: int = 200
    """Gradient steps between two looks at the held-out episodes."""
    patience: int = 10
    """Looks without an improvement after which it ends; the best of all stays."""
    batch_size: int = 256
    """Rows per gradient step."""
    learning_rate: float = 1e-3
    """Step size. Larger learns faster until it collapses, and sooner forgets what the agent could do."""
    learning_rate_schedule: Shape = "linear"
    """How the learning rate falls over ``total_steps``: constant, linear or cosine."""
    max_grad_norm: float = 10.0
    """Gradients are scaled down to this norm."""
    held_out: float = 0.1
    """Share of the episodes that nothing is learned from, and that the agent is examined by."""
    balance: float = 0.5
    """0 learns from every row alike; 1 gives each command the same weight, however rare it is."""
    idle_run: int = 15
    """Of doing nothing in a row, rows after so many are not imitated; 0: all are."""
    delay: int = 0
    """Rows from what a person saw to what was done about it: the reaction time. The agent's own play has none."""

    def __post_init__(self) -> None:
        """Checks types and ranges.

        Raises:
            ConfigError: names the field, its value and the rule.
        """
        counts = ("total_steps", "num_envs", "update_steps", "patience", "batch_size")
        sizes = ("learning_rate", "max_grad_norm")
        check_config(
            self, positive=(*counts, *sizes), not_negative=("idle_run", "delay"), shares=("held_out", "balance")
        )
        if self.num_envs != 1:
            raise ConfigError(f"num_envs={self.num_envs} must be 1: offline there are no envs")
