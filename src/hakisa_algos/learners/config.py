"""The hyperparameters that PPO, PQN and DQN share, and how some of them change over a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from hakisa_algos.errors import ConfigError, did_you_mean
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.precision import Precision

Shape = Literal["constant", "linear", "cosine"]
SHAPES = ("constant", "linear", "cosine")
EpsilonShape = Literal["linear", "exponential"]
ActionMasks = Literal["auto", True, False]


@dataclass(frozen=True)
class GradientConfig:
    """Hyperparameters of every algorithm that follows a gradient; each has defaults of its own."""

    total_steps: int = 1_000_000
    """Env steps of the whole run, all envs together; every schedule is based on it."""
    num_envs: int = 8
    """Envs that are stepped together. More give less correlated rows, and each of them goes less far."""
    learning_rate: float = 1e-3
    """Step size. Larger learns faster until it collapses."""
    learning_rate_schedule: Shape = "linear"
    """How the learning rate falls over the run: constant, linear or cosine."""
    gamma: float = 0.99
    """Discount. Closer to 1 looks further ahead and is harder to learn."""
    max_grad_norm: float = 10.0
    """Gradients are scaled down to this norm."""
    reward_scale: float = 1.0
    """Rewards are multiplied by this before learning; logged returns stay raw."""
    reward_clip: float | None = None
    """Rewards are clipped to +- this before learning, after scaling."""
    network: str = "auto"
    """auto, mlp, nature, small, or spatial: for games in which one points at places."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Widths of an MLP's layers."""
    activation: str = "relu"
    """tanh or relu, of an MLP."""
    normalize_observation: bool = False
    """Scale observations by their running mean and variance, pictures pixel by pixel."""
    freeze_normalizer: bool = False
    """Leave those means and variances as they are, once there are some: a clone's policy would move with them."""
    precision: Precision = "auto"
    """fp32, bf16, or auto: bf16 for pictures where the hardware computes in it."""
    memory: Literal["lstm", "gru"] | None = None
    """Remember what was seen earlier in the episode, by an LSTM or a GRU after the network; ppo, a2c and reinforce."""
    action_masks: ActionMasks = "auto"
    """Never do what the env forbids: auto (where it says so in a way that fits), True (it must say so), or False. What
    auto found is True or False in the agent's config."""

    def __post_init__(self) -> None:
        """Checks types and ranges.

        Raises:
            ConfigError: names the field, its value and the rule.
        """
        sizes = ("learning_rate", "max_grad_norm", "reward_scale", "reward_clip")
        check_config(self, positive=("total_steps", "num_envs", "hidden_sizes", *sizes), shares=("gamma",))

    def shaped(self, reward: Any) -> Any:
        """Rewards, an array or a tensor, as they are learned from: scaled, then clipped."""
        reward = reward * self.reward_scale
        return reward if self.reward_clip is None else reward.clip(-self.reward_clip, self.reward_clip)


@dataclass(frozen=True)
class EpsilonConfig(GradientConfig):
    """Hyperparameters of Q-learning, which now and then acts at random."""

    epsilon_start: float = 1.0
    """Probability of random actions at first, and until learning starts."""
    epsilon_end: float = 0.05
    """Probability of random actions in the end."""
    epsilon_fraction: float = 0.3
    """Share of the run over which epsilon falls. Larger explores longer."""
    epsilon_schedule: EpsilonShape = "linear"
    """How epsilon falls: linear (equal differences) or exponential (equal ratios: most of the fall comes early)."""

    def epsilon(self, progress: float) -> float:
        """At a share of the run's ``total_steps``: ``epsilon_end`` from ``epsilon_fraction`` of it on."""
        start, end = self.epsilon_start, self.epsilon_end
        done = min(max(progress / self.epsilon_fraction, 0.0), 1.0)
        if self.epsilon_schedule == "linear":
            return start + (end - start) * done
        return float(start * (end / start) ** done)

    def __post_init__(self) -> None:
        """See :class:`GradientConfig`."""
        super().__post_init__()
        refuse_memory(self.memory, "Q-learning")
        check_config(self, positive=("epsilon_fraction",), shares=("epsilon_start", "epsilon_end", "epsilon_fraction"))
        for name in ("epsilon_start", "epsilon_end"):
            if self.epsilon_schedule == "exponential" and getattr(self, name) == 0:
                raise ConfigError(
                    f'{name}=0 cannot be reached by ratios; use a small number, or epsilon_schedule="linear"'
                )


def anneal(value: float, shape: str, progress: float) -> float:
    """``value`` at the start of a run, and 0 at its end unless ``shape`` is ``"constant"``.

    Args:
        value: at the first step.
        shape: ``"constant"``, ``"linear"`` or ``"cosine"``.
        progress: share of the run's ``total_steps`` that is done, clipped to 0..1.
    """
    done = min(max(progress, 0.0), 1.0)
    if shape == "constant":
        return value
    if shape == "linear":
        return value * (1 - done)
    if shape == "cosine":
        return value * (1 + math.cos(math.pi * done)) / 2
    raise ConfigError(f"schedule {shape!r} is unknown.{did_you_mean(shape, SHAPES)}")


def refuse_memory(memory: str | None, method: str) -> None:
    """What a method without memory says of it.

    Raises:
        ConfigError: ``memory`` is one.
    """
    if memory is not None:
        raise ConfigError(
            f"memory={memory!r}: {method} has none here, as with memory it is another method; use ppo, a2c or "
            "reinforce, or show it several frames at once (FrameStackObservation)"
        )


def no_preset(preset: str, presets: Any = ()) -> ConfigError:
    """What to raise where there is no preset of this name, but only ``presets``."""
    return ConfigError(f"there is no preset {preset!r} here.{did_you_mean(preset, presets)}")
