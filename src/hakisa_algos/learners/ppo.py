"""PPO2 (Schulman et al. 2017): clipped ratios, GAE, minibatch epochs, target-KL early stop.

A2C is the same update with one epoch and one minibatch, where the ratio is 1 and the clip idle (Huang et al. 2022);
REINFORCE is A2C with lambda 1 and the return in place of the advantage.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.data.returns import generalized_advantages
from hakisa_algos.data.rollout import Rollout, RolloutBuffer
from hakisa_algos.learners.on_policy import OnPolicy
from hakisa_algos.learners.rollback import not_finite
from hakisa_algos.learners.schedules import Shape, anneal
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.compilation import Compiled
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.observations import Observation
from hakisa_algos.policy.policy import ActorCritic
from hakisa_algos.policy.precision import Precision, has_pictures, resolve_bf16


@dataclass(frozen=True)
class PPOConfig:
    """Hyperparameters of PPO. The defaults suit vectors; for pictures there is :data:`FOR_PICTURES`."""

    total_steps: int = 1_000_000
    """Env steps of the whole run, all envs together; every schedule is based on it."""
    num_envs: int = 8
    """Envs that are stepped together. More give less correlated batches."""
    n_steps: int = 128
    """Rows per rollout. Longer looks further before it bootstraps, and updates less often."""
    epochs: int = 10
    """Passes over each rollout. More learn more from the same data and move further from it."""
    minibatch_size: int = 64
    """Rows per gradient step. Smaller is noisier and takes more steps."""
    learning_rate: float = 1e-3
    """Step size. Larger learns faster until it collapses."""
    learning_rate_schedule: Shape = "linear"
    """How the learning rate falls over the run: constant, linear or cosine."""
    gamma: float = 0.99
    """Discount. Closer to 1 looks further ahead and is harder to learn."""
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
    max_grad_norm: float = 0.5
    """Gradients are scaled down to this norm."""
    target_kl: float | None = None
    """End an update before the minibatch whose KL exceeds 1.5 x this."""
    normalize_advantage: bool = True
    """Scale advantages to mean 0 and deviation 1 in each minibatch."""
    baseline: bool = True
    """Subtract the critic's value; False is REINFORCE, where the critic only values the rows cut off."""
    reward_scale: float = 1.0
    """Rewards are multiplied by this before learning; logged returns stay raw."""
    reward_clip: float | None = None
    """Rewards are clipped to +- this before learning, after scaling."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """adam (eps 1e-5), or rmsprop (A2C's)."""
    network: str = "auto"
    """auto, mlp, nature or small."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Widths of an MLP's layers."""
    activation: str = "tanh"
    """tanh or relu, of an MLP."""
    normalize_observation: bool = False
    """Scale observations by their running mean and variance, pictures pixel by pixel."""
    compile: bool = False
    """Compile the gradient, and acting where it is not in NumPy (small networks on the CPU); takes
    half a minute at the start and needs a C++ compiler."""
    precision: Precision = "auto"
    """fp32, bf16, or auto: bf16 for pictures where the hardware computes in it."""

    def __post_init__(self) -> None:
        """Checks types and ranges.

        Raises:
            ConfigError: names the field, its value and the rule.
        """
        counts = ("total_steps", "num_envs", "n_steps", "epochs", "minibatch_size", "hidden_sizes")
        sizes = ("learning_rate", "clip", "value_clip", "max_grad_norm", "target_kl", "reward_scale", "reward_clip")
        check_config(
            self,
            positive=(*counts, *sizes),
            not_negative=("entropy_coefficient", "value_coefficient"),
            shares=("gamma", "gae_lambda"),
        )


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


@dataclass(frozen=True)
class Batch:
    """What the gradient steps of one update read; flat, reset rows left out.

    Attributes:
        index: positions in the rollout, ``[batch]``.
        action: ``[batch, *action shape]``.
        log_prob: of the policy that acted, ``[batch]``.
        value: of the critic then, ``[batch]``.
        advantage: ``[batch]``.
        returns: targets of the critic, ``[batch]``.
    """

    index: Tensor
    action: Tensor
    log_prob: Tensor
    value: Tensor
    advantage: Tensor
    returns: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        return Batch(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


class PPO(OnPolicy):
    """See :class:`hakisa_algos.learners.learner.Learner`."""

    config_class: ClassVar[type] = PPOConfig

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: PPOConfig,
        *,
        num_envs: int,
        seed: int,
        device: torch.device,
        network: NetworkFactory | None = None,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            policy = ActorCritic(
                observation_space,
                action_space,
                network=network or config.network,
                hidden_sizes=config.hidden_sizes,
                activation=config.activation,
                normalize_observation=config.normalize_observation,
                bf16=resolve_bf16(config.precision, device, observation_space),
                compile=config.compile,
            ).to(device)
        adam = functools.partial(torch.optim.Adam, lr=config.learning_rate, eps=1e-5, fused=True)
        rmsprop = functools.partial(torch.optim.RMSprop, lr=config.learning_rate, alpha=0.99, eps=1e-5)
        super().__init__(policy, adam if config.optimizer == "adam" else rmsprop, config, num_envs, seed, device)
        self._differentiate: Callable[..., dict[str, Tensor]] = self._gradient
        if config.compile:
            self._differentiate = Compiled(self._gradient)

    @classmethod
    def default_config(cls, observation_space: spaces.Space[Any]) -> PPOConfig:
        """For pictures the figures measured on Pong, for vectors the class's defaults."""
        if cls.config_class is PPOConfig and has_pictures(observation_space):
            return FOR_PICTURES
        config: PPOConfig = cls.config_class()
        return config

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Epochs of minibatch steps on the newest rollout, until done or stopped by the KL."""
        config = self.config
        progress = (buffer.steps - config.n_steps * self.num_envs) / config.total_steps
        rate = self.learning_rate_scale * anneal(config.learning_rate, config.learning_rate_schedule, progress)
        clip = anneal(config.clip, config.clip_schedule, progress)
        exploration = anneal(config.entropy_coefficient, config.entropy_schedule, progress)
        numbers: Any = clip, exploration
        if config.compile:  # which would take plain numbers for constants, and compile for each new one
            numbers = torch.tensor(numbers, device=self.device).unbind()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rollout = buffer.rollout(config.n_steps)
        batch = self._batch(rollout)
        if not len(batch.index):
            return {"train/gradient_steps": 0.0}
        self._snapshot.take()
        drawn = self.generator.get_state()

        seen: list[dict[str, Tensor]] = []
        steps, stopped = 0, False
        for _ in range(config.epochs):
            shuffled = batch[torch.randperm(len(batch.index), generator=self.generator)]
            for first in range(0, len(batch.index), config.minibatch_size):
                part = shuffled[first : first + config.minibatch_size]
                # The minibatch that ends the update counts too: its KL is what the last step did.
                seen.append(self._differentiate(self._observation(rollout, part.index), part, *numbers))
                if config.target_kl and seen[-1]["approx_kl"].item() > 1.5 * config.target_kl:
                    stopped = True
                    break
                self.optimizer.step()
                steps += 1
            if stopped:
                break
        terms = torch.stack([term for each in seen for term in each.values()]).view(len(seen), -1)
        means = dict(zip(seen[0], terms.mean(0).tolist(), strict=True))
        means["max_kl"] = terms[:, list(seen[0]).index("approx_kl")].max().item()
        self._normalize(rollout)
        wrong = self._not_finite(means)
        if wrong:
            self._snapshot.restore()
            self.generator.set_state(drawn)
            raise not_finite(self.updates + 1, wrong, self._crash_data(batch, rollout))
        self.updates += 1
        self.policy.version += 1
        return {f"train/{name}": value for name, value in means.items()} | {
            "train/entropy_fraction": means.get("entropy", np.nan) / (self.policy.heads.layout.log_choices or np.nan),
            "train/explained_variance": explained_variance(batch.value, batch.returns),
            "train/learning_rate": rate,
            "train/clip": clip,
            "train/n_updates": self.updates,
            "train/gradient_steps": steps,
            "train/stopped_by_kl": float(stopped),
        }

    def bare_loss(self, observation: Observation) -> Tensor:
        """As cheap a loss as asks every network that a gradient step asks: what such steps are measured by."""
        distribution, value = self.policy(observation)
        loss: Tensor = distribution.log_prob(distribution.mode()).mean() + value.square().mean()
        return loss

    def _gradient(self, observation: Observation, part: Batch, *numbers: float) -> dict[str, Tensor]:
        loss, terms = self._loss(observation, part, *numbers)
        return terms | {"grad_norm": self._weights.differentiate(loss, self.config.max_grad_norm)}

    def _loss(
        self, observation: Observation, part: Batch, clip: float, entropy_coefficient: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        distribution, value = self.policy(observation)
        advantage = normalized(part.advantage) if config.normalize_advantage else part.advantage
        log_ratio = distribution.log_prob(part.action) - part.log_prob
        ratio = log_ratio.exp()
        policy_loss = clipped_policy_loss(ratio, advantage, clip)
        value_loss = squared_value_loss(value, part.value, part.returns, config.value_clip)
        loss = policy_loss + config.value_coefficient * value_loss
        if config.entropy_coefficient:
            loss = loss - entropy_coefficient * distribution.entropy_bonus().mean()
        with torch.no_grad():
            change = ratio - 1
            terms = {
                "loss": loss.detach(),
                "policy_loss": policy_loss.detach(),
                "value_loss": value_loss.detach(),
                "entropy": distribution.entropy().mean(),
                # Schulman's k3: unbiased, positive, low variance (joschu.net/blog/kl-approx.html).
                "approx_kl": (change - log_ratio).mean(),
                "clip_fraction": (change.abs() > clip).float().mean(),
            }
        return loss, terms

    def _batch(self, rollout: Rollout) -> Batch:
        if self.policy.values_later:
            action = rollout.column("action").flatten(0, 1).to(self.device)
            for name, entries in self.policy.judge(self._to_device(rollout.observations()), action).items():
                rollout.add_column(name, entries.cpu())
        config, o = self.config, self._outcome(rollout)
        with np.errstate(invalid="ignore"):  # an infinite reward is found, and said, after the update
            advantage = generalized_advantages(
                o.reward, o.value, o.following, o.terminated, o.truncated, o.valid, config.gamma, config.gae_lambda
            )
        returns = advantage + o.value
        index = torch.from_numpy(np.flatnonzero(o.valid))
        columns = (
            rollout.column("action"),
            rollout.column("log_prob"),
            torch.from_numpy(o.value),
            torch.from_numpy(advantage if config.baseline else returns),
            torch.from_numpy(returns),
        )
        return Batch(index, *(c.flatten(0, 1)[index].to(self.device) for c in columns))

    def _crash_data(self, batch: Batch, rollout: Rollout) -> dict[str, Tensor]:
        arrays = {name: getattr(batch, name) for name in batch.__dataclass_fields__}
        arrays["reward"] = rollout.column("reward")
        observation = rollout.observation(batch.index.cpu())
        keyed = observation if isinstance(observation, dict) else {"": observation}
        # Integers cannot be the cause, and pictures would fill the disk.
        floats = {key: value for key, value in keyed.items() if value.is_floating_point()}
        return arrays | {f"observation.{key}" if key else "observation": value for key, value in floats.items()}


class A2C(PPO):
    """PPO as A2C: see :class:`A2CConfig`."""

    config_class: ClassVar[type] = A2CConfig


class REINFORCE(PPO):
    """PPO as REINFORCE: see :class:`REINFORCEConfig`."""

    config_class: ClassVar[type] = REINFORCEConfig


def clipped_policy_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's surrogate: the worse of the ratio and the clipped ratio, weighted by the advantage."""
    return -torch.min(advantage * ratio, advantage * ratio.clamp(1 - clip, 1 + clip)).mean()


def squared_value_loss(value: Tensor, old: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    """Half the mean squared error; with ``clip``, the worse of the value and the value kept close to the old one."""
    error = (value - returns).square()
    if clip is not None:
        error = torch.max(error, (old + (value - old).clamp(-clip, clip) - returns).square())
    return 0.5 * error.mean()


def normalized(advantage: Tensor) -> Tensor:
    """Mean 0 and deviation 1; one sample, or samples without spread, only lose their mean."""
    # A float32 mean of equal values may miss them by a bit, and dividing by that "spread" makes it +-1.
    centred = advantage - advantage.mean(dtype=torch.float64)
    return centred / (centred.square().mean().sqrt() + 1e-8)


def explained_variance(value: Tensor, returns: Tensor) -> float:
    """1 - Var(returns - value) / Var(returns): 1 is a perfect critic, 0 one that says nothing; NaN without spread."""
    spread = returns.var(unbiased=False)
    return float(1 - (returns - value).var(unbiased=False) / spread) if spread > 0 else float("nan")
