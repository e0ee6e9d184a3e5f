"""Hyperparameters of PPO, A2C and REINFORCE, and named sets of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.config import GradientConfig, Shape
from hakisa_algos.learners.validation import check_config


@dataclass(frozen=True)
class PPOConfig(GradientConfig):
    """Hyperparameters of PPO. The defaults suit vectors; for pictures there is :data:`FOR_PICTURES`."""

    n_steps: int = 128
    """Rows per rollout. Longer looks further before it bootstraps, and updates less often."""
    epochs: int = 10
    """Passes over each rollout. More learn more from the same data and move further from it."""
    minibatch_size: int = 64
    """Rows per gradient step. Smaller is noisier and takes more steps."""
    max_grad_norm: float = 0.5
    gae_lambda: float = 0.95
    """0 trusts the critic, 1 the rewards."""
    clip: float = 0.2
    """How far a probability ratio may move before its gradient stops."""
    clip_schedule: Shape = "constant"
    """How the clip falls over the run: constant, linear or cosine."""
    value_clip: float | None = None
    """Clip the change of the value likewise; rarely helps (Andrychowicz et al. 2021)."""
    entropy_coefficient: float = 0.0
    """Weight of the entropy bonus. Larger explores longer."""
    entropy_schedule: Shape = "constant"
    """How that weight falls over the run: constant, linear or cosine."""
    value_coefficient: float = 0.5
    """Weight of the value loss against the policy's, where they share a network."""
    target_kl: float | None = None
    """End an update before the minibatch whose KL exceeds 1.5 x this."""
    normalize_advantage: bool = True
    """Scale advantages to mean 0 and deviation 1 in each minibatch; a row that is alone in one, by the rollout."""
    baseline: bool = True
    """Subtract the critic's value; False is REINFORCE, where the critic only values the rows cut off."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """adam (eps 1e-5), or rmsprop (A2C's)."""
    activation: str = "tanh"
    own_critic: bool = False
    """Give the critic a network of its own, as a clone's has, for pictures and with memory too; slower. For vectors
    without memory it always has one."""
    memory_size: int = 128
    """What the memory is wide."""
    memory_chunk: int | None = None
    """Rows in a row that the memory learns from; default: 32, or n_steps if that is less. It is not taught to remember
    longer: take more than the steps from a cue to its use."""
    memory_refresh: bool = False
    """Compute the memory's states anew before each epoch but the first, since the weights have changed."""
    prior_coefficient: float = 1.0
    """Weight of the KL from a prior, where there is one, while it plays better; as that fades, the entropy bonus takes
    its place. Larger stays nearer to it."""
    critic_warmup: int = 0
    """Env steps at most in which, at first, the critic alone learns, until its explained variance is over 0.5. A clone
    needs it, whose critic knows nothing yet; the critic must have a network of its own. 0: none."""
    compile: bool = False
    """Compile the gradient, and acting where it is not in NumPy (small networks on the CPU); takes
    half a minute at the start and needs a C++ compiler."""

    def __post_init__(self) -> None:
        """See :class:`hakisa_algos.learners.config.GradientConfig`."""
        super().__post_init__()
        counts = ("n_steps", "epochs", "minibatch_size")
        check_config(
            self,
            positive=(*counts, "clip", "value_clip", "target_kl", "memory_size", "memory_chunk"),
            not_negative=("entropy_coefficient", "value_coefficient", "prior_coefficient", "critic_warmup"),
            shares=("gae_lambda",),
        )
        if not self.memory:
            return
        chunk = self.chunk
        if self.n_steps < chunk:
            raise ConfigError(
                f"memory_chunk={chunk} is longer than a rollout, n_steps={self.n_steps}, and nothing is learnt across "
                f"two of them either; set n_steps={chunk} or more"
            )
        if self.n_steps % chunk:
            fitting = self.n_steps - self.n_steps % chunk
            default = "" if self.memory_chunk else ", its default"
            raise ConfigError(
                f"n_steps={self.n_steps} must be a multiple of memory_chunk={chunk}{default}: take n_steps={fitting} "
                f"or {fitting + chunk}, or a memory_chunk that divides it"
            )
        if self.minibatch_size < chunk:
            raise ConfigError(
                f"minibatch_size={self.minibatch_size} must be at least memory_chunk={chunk}, as it is made of chunks"
            )
        if self.compile:
            raise ConfigError(f"compile=True does not go with memory={self.memory!r}; leave it out")

    @property
    def chunk(self) -> int:
        """Rows after which the policy's state is stored; 0 without memory."""
        return (self.memory_chunk or min(32, self.n_steps)) if self.memory else 0


FOR_PICTURES = PPOConfig(
    total_steps=1_200_000,
    num_envs=16,
    epochs=3,
    minibatch_size=256,
    learning_rate=5e-4,
    clip_schedule="linear",
    entropy_coefficient=0.01,
    entropy_schedule="linear",
    normalize_observation=True,
)
"""For pictures; measured on Pong (benchmarks/pong.py)."""

HAKISA = PPOConfig(
    total_steps=1_000,
    num_envs=1,
    n_steps=1_000,
    epochs=10,
    minibatch_size=250,  # four of each rollout, PPO2's default
    learning_rate=2e-4,
    learning_rate_schedule="constant",
    entropy_coefficient=0.01,
    target_kl=0.05,
)
"""That of Hakisa's own experiments: one rollout of 1000 steps, or as many as ``total_steps`` has."""

EMERALD_BASELINE = PPOConfig(
    total_steps=10_000_000,
    num_envs=24,
    n_steps=2_048,
    epochs=3,
    minibatch_size=1_024,
    learning_rate=1e-4,
    learning_rate_schedule="constant",
    gamma=0.995,
    clip=0.2,
    entropy_coefficient=0.01,
    target_kl=0.03,
    memory="lstm",
    memory_size=1_024,
    normalize_observation=True,
)
"""The numbers of the public baseline for Pokémon Emerald (dvruette/pokemon-emerald-rl), but that its learning rate was
warmed up, and that one LSTM serves policy and critic."""

MONSTERS = replace(
    FOR_PICTURES,
    total_steps=1_000_000,
    num_envs=8,
    n_steps=256,
    learning_rate=3e-4,
    gamma=0.995,
    target_kl=0.03,
    memory="lstm",
    memory_size=256,
)
"""For long journeys from pictures on a few cores: rollouts long enough for a door and what lies behind it."""

FIGHTER = replace(
    FOR_PICTURES,
    total_steps=600_000,
    epochs=4,
    minibatch_size=512,
    gamma=0.9,
    network="small",
)
"""For one-on-one fights that are decided five times a second; each decision costs many frames, so few rows are learned
from often."""


@dataclass(frozen=True)
class A2CConfig(PPOConfig):
    """Hyperparameters of A2C: SB3's (whose value loss is not halved, so that its coefficient of 0.5 is 1 here)."""

    n_steps: int = 5
    epochs: int = 1
    minibatch_size: int = 1_000_000_000
    learning_rate: float = 7e-4
    learning_rate_schedule: Shape = "constant"
    gae_lambda: float = 1.0
    value_coefficient: float = 1.0
    normalize_advantage: bool = False
    optimizer: Literal["adam", "rmsprop"] = "rmsprop"


@dataclass(frozen=True)
class REINFORCEConfig(A2CConfig):
    """Hyperparameters of REINFORCE: long rollouts, whole returns, no critic; returns are standardised per batch."""

    n_steps: int = 256
    learning_rate: float = 1e-3
    normalize_advantage: bool = True
    baseline: bool = False
    optimizer: Literal["adam", "rmsprop"] = "adam"
