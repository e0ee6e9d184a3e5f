"""DQN (Mnih et al. 2015), with what Rainbow (Hessel et al. 2018) kept of its successors, each an option.

Double (van Hasselt et al. 2016), dueling (Wang et al. 2016) and n-step targets, prioritised replay (Schaul et al.
2016), and a share of demonstrations in each batch with a large margin (DQfD, Hester et al. 2018). One TD error of the
joint action drives loss and priority, however many heads the action has.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hakisa_algos.data.collect import Rows
from hakisa_algos.data.replay import ReplaySampler, Transitions
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.epsilon import EpsilonShape, check_epsilon, epsilon_at
from hakisa_algos.learners.flat import FlatWeights
from hakisa_algos.learners.rollback import Snapshot, not_finite
from hakisa_algos.learners.schedules import Shape, anneal
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.memory import keep_freed_memory
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.observations import Observation
from hakisa_algos.policy.precision import Precision, has_pictures, resolve_bf16
from hakisa_algos.policy.q_network import QNetwork

# Drawn rows that the observation statistics are taken from, each time.
_NORMALIZER_ROWS = 256


@dataclass(frozen=True)
class DQNConfig:
    """Hyperparameters of DQN. The defaults suit vectors; :meth:`DQN.default_config` has those for pictures."""

    total_steps: int = 1_000_000
    """Env steps of the whole run, all envs together; every schedule is based on it."""
    num_envs: int = 8
    """Envs that are stepped together. More are faster, and less correlated."""
    buffer_size: int = 100_000
    """Env steps that are remembered. More forget less and need more memory."""
    learning_starts: int = 1_000
    """Env steps to collect before the first update."""
    train_every: int = 256
    """Env steps between updates, rounded up to whole steps of all envs (SB3 counts the latter)."""
    gradient_steps: int = 128
    """Batches per update. More learn more from the same data, and overfit it sooner."""
    batch_size: int = 128
    """Transitions per batch. Larger is less noisy and slower."""
    learning_rate: float = 1e-3
    """Step size. Larger learns faster until it diverges."""
    learning_rate_schedule: Shape = "linear"
    """How the learning rate falls over the run: constant, linear or cosine."""
    gamma: float = 0.99
    """Discount. Closer to 1 looks further ahead and is harder to learn."""
    n_step: int = 5
    """Rewards summed before the bootstrap. More spread rewards faster, and are off-policy and noisier."""
    double: bool = True
    """Let the online network choose the action that the target network values; less overestimation."""
    dueling: bool = False
    """Learn the state's value apart from the advantages; helps where actions often do not matter."""
    target_every: int = 256
    """Env steps between copies to the target network. More is stabler and slower."""
    polyak: float | None = None
    """Instead, move the target by this share after each gradient step; smaller is stabler and slower."""
    epsilon_start: float = 1.0
    """Probability of random actions at first, and until learning starts."""
    epsilon_end: float = 0.04
    """Probability of random actions in the end."""
    epsilon_fraction: float = 0.16
    """Share of the run over which epsilon falls. Larger explores longer."""
    epsilon_schedule: EpsilonShape = "linear"
    """How epsilon falls: linear or exponential."""
    prioritized: bool = False
    """Draw transitions with large errors more often."""
    priority_exponent: float = 0.6
    """How much more often: 0 not at all, 1 in proportion to the error."""
    priority_beta: float = 0.4
    """How far importance weights undo that at first; 1 in the end."""
    loss: Literal["huber", "mse"] = "huber"
    """huber is linear for errors beyond 1; mse is not."""
    max_grad_norm: float = 10.0
    """Gradients are scaled down to this norm."""
    reward_scale: float = 1.0
    """Rewards are multiplied by this before learning; logged returns stay raw."""
    reward_clip: float | None = None
    """Rewards are clipped to +- this before learning, after scaling."""
    demonstration_share: float = 0.0
    """Share of each batch that is drawn from demonstrations, which :meth:`DQN.demonstrate` gives."""
    margin: float = 0.8
    """How much more than any other action a demonstrated one should be worth, in scaled rewards."""
    margin_coefficient: float = 1.0
    """Weight of that wish in the loss; 0 learns from the demonstrations' rewards alone."""
    network: str = "auto"
    """auto, mlp, nature or small."""
    hidden_sizes: tuple[int, ...] = (256, 256)
    """Widths of an MLP's layers."""
    activation: str = "relu"
    """tanh or relu, of an MLP."""
    normalize_observation: bool = False
    """Scale observations by their running mean and variance, pictures pixel by pixel."""
    precision: Precision = "auto"
    """fp32, bf16, or auto: bf16 for pictures where the hardware computes in it."""

    def __post_init__(self) -> None:
        """Checks types and ranges.

        Raises:
            ConfigError: names the field, its value and the rule.
        """
        counts = ("total_steps", "num_envs", "buffer_size", "train_every", "gradient_steps", "batch_size", "n_step")
        sizes = ("target_every", "learning_rate", "max_grad_norm", "reward_scale", "reward_clip", "hidden_sizes")
        check_config(
            self,
            positive=(*counts, *sizes),
            not_negative=("margin", "margin_coefficient", "learning_starts"),
            shares=("gamma", "priority_exponent", "priority_beta", "demonstration_share"),
        )
        if self.polyak is not None and not 0 < self.polyak <= 1:
            raise ConfigError(f"polyak={self.polyak!r} must be greater than 0 and at most 1, or None to do without")
        if self.learning_starts > self.buffer_size:
            raise ConfigError(
                f"learning_starts={self.learning_starts} must be at most buffer_size={self.buffer_size}, or learning "
                "never starts"
            )
        check_epsilon(self.epsilon_start, self.epsilon_end, self.epsilon_fraction, self.epsilon_schedule)


class DQN:
    """See :class:`hakisa_algos.learners.learner.Learner`."""

    config_class: ClassVar[type] = DQNConfig
    learns_beside: ClassVar[bool] = True

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: DQNConfig,
        *,
        num_envs: int,
        seed: int,
        device: torch.device,
        network: NetworkFactory | None = None,
    ) -> None:
        self.config = config
        self.device = device
        self.num_envs = num_envs
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = QNetwork(
                observation_space,
                action_space,
                network=network or config.network,
                hidden_sizes=config.hidden_sizes,
                activation=config.activation,
                dueling=config.dueling,
                normalize_observation=config.normalize_observation,
                bf16=resolve_bf16(config.precision, device, observation_space),
            ).to(device)
        if device.type == "cpu":
            keep_freed_memory()
        self.policy.epsilon.fill_(config.epsilon_start)
        self.target = copy.deepcopy(self.policy)
        self.target.normalizer = self.policy.normalizer  # both see the same numbers
        self._weights, self._target_weights = FlatWeights(self.policy), FlatWeights(self.target)
        self.target.requires_grad_(False)
        self.optimizer = torch.optim.Adam([self._weights.vector], config.learning_rate, fused=True)
        self.rng = np.random.Generator(np.random.Philox(seed))
        exponent = config.priority_exponent if config.prioritized else 0.0
        self._sampler = ReplaySampler(self.capacity, num_envs, config.n_step, exponent)
        self._demonstrations: tuple[RolloutBuffer, ReplaySampler] | None = None
        self._discounts = config.gamma ** torch.arange(config.n_step, device=device)
        self.updates = 0
        self.learning_rate_scale = 1.0
        self._copied_at = self._normalized_at = 0
        self._snapshot = Snapshot(nn.ModuleList([self.policy, self.target]), self.optimizer)

    @classmethod
    def default_config(cls, observation_space: spaces.Space[Any]) -> DQNConfig:
        """For pictures those of Atari, for vectors the class's defaults.

        The latter are RL Zoo's of CartPole, but for 5 steps instead of 1, batches of 128 instead of 64, and a learning
        rate that falls from 1e-3. In 50,000 steps 1 step and 2.3e-3 reached 500 and lost it again (2 of 2 seeds), and 3
        steps and 64 did not hold it on 100 fresh episodes (1 of 5).
        """
        if not has_pictures(observation_space):
            return DQNConfig()
        return DQNConfig(
            learning_starts=20_000,
            train_every=8,
            gradient_steps=2,
            batch_size=32,
            n_step=3,
            learning_rate=1e-4,
            learning_rate_schedule="constant",
            dueling=True,
            target_every=2_000,
            epsilon_end=0.01,
            epsilon_fraction=0.1,
            normalize_observation=True,
        )

    @property
    def need(self) -> Rows:
        """The steps between two updates."""
        return Rows(math.ceil(self.config.train_every / self.num_envs))

    @property
    def capacity(self) -> int:
        """What is remembered."""
        return math.ceil(self.config.buffer_size / self.num_envs)

    @property
    def remembered(self) -> int:
        """All of it: any row may be drawn again."""
        return self.capacity

    @property
    def keep_observations(self) -> bool:
        """Observations are what it learns from."""
        return True

    def demonstrate(self, buffer: RolloutBuffer) -> None:
        """Draws ``config.demonstration_share`` of each batch from ``buffer``, uniformly.

        Args:
            buffer: of the same observations and actions; it may have any number of columns.
        """
        self._demonstrations = buffer, ReplaySampler(buffer.capacity, buffer.num_envs, self.config.n_step)

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Gradient steps on drawn batches, once enough is stored."""
        config = self.config
        if config.demonstration_share and self._demonstrations is None:
            raise ConfigError(
                f"demonstration_share={config.demonstration_share} needs demonstrations: give them with "
                "learner.demonstrate(buffer), or set it to 0"
            )
        progress = buffer.steps / config.total_steps
        readable = buffer.rows - buffer.oldest
        if not readable or readable * self.num_envs < config.learning_starts:
            return {"rollout/exploration_rate": float(self.policy.epsilon)}
        rate = self.learning_rate_scale * anneal(config.learning_rate, config.learning_rate_schedule, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        beta = config.priority_beta + (1 - config.priority_beta) * min(progress, 1.0)
        drawn_before = self.rng.bit_generator.state
        seen = self._statistics_due(buffer)
        if config.gradient_steps > 1:
            self._snapshot.take()

        sums: dict[str, Tensor] = {}
        errors: list[tuple[Tensor, Tensor]] = []
        for step in range(1, config.gradient_steps + 1):
            batch, demonstrated = self._draw(buffer, beta)
            loss, error, terms = self._loss(batch, demonstrated)
            terms["grad_norm"] = self._weights.differentiate(loss, config.max_grad_norm)
            for name, term in terms.items():
                sums[name] = sums[name] + term.detach() if name in sums else term.detach()
            errors.append((batch.position, error))
            if step == config.gradient_steps:
                # Before the last step, so that an update of one step has nothing to take back, and no copy to pay for.
                means = self._checked_means(sums, batch, drawn_before)
            self.optimizer.step()
            if config.polyak:
                self._move_target(config.polyak)
        if self.policy.normalizer is not None and seen is not None:
            self.policy.normalizer.update(seen)
            self._normalized_at = buffer.steps
        if config.polyak is None and buffer.steps - self._copied_at >= config.target_every:
            self._move_target(1.0)
            self._copied_at = buffer.steps
        self._prioritize(errors)
        self.updates += 1
        self.policy.version += 1
        epsilon = epsilon_at(
            progress, config.epsilon_start, config.epsilon_end, config.epsilon_fraction, config.epsilon_schedule
        )
        self.policy.epsilon.fill_(epsilon)
        return {f"train/{name}": value for name, value in means.items()} | {
            "train/learning_rate": rate,
            "train/n_updates": self.updates,
            "train/gradient_steps": config.gradient_steps,
            "rollout/exploration_rate": epsilon,
        }

    def bare_loss(self, observation: Observation) -> Tensor:
        """As cheap a loss as asks every network that a gradient step asks: what such steps are measured by."""
        with torch.no_grad():
            following = self.target(observation)
            chooser = self.policy(observation) if self.config.double else following
            target = following.of(chooser.greedy())
        loss: Tensor = (self.policy(observation).max() - target).square().mean()
        return loss

    def _draw(self, buffer: RolloutBuffer, beta: float) -> tuple[Transitions, int]:
        """A batch, and how many at its end are demonstrations."""
        config = self.config
        demonstrated = round(config.demonstration_share * config.batch_size)
        batches = []
        if demonstrated < config.batch_size:
            batches.append(self._sampler.sample(buffer, config.batch_size - demonstrated, self.rng, beta))
        if self._demonstrations is not None and demonstrated:
            shown, sampler = self._demonstrations
            batches.append(sampler.sample(shown, demonstrated, self.rng))
        batch = batches[0] if len(batches) == 1 else batches[0].join(batches[1])
        return batch.to(self.device), demonstrated

    def _loss(self, batch: Transitions, demonstrated: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        config = self.config
        values = self.policy(batch.observation)
        chosen = values.of(batch.action)
        error = chosen - self._targets(batch)
        loss = (batch.weight * pointwise_loss(error, config.loss)).mean()
        terms = {"loss": loss, "q_value": chosen.mean(), "td_error": error.abs().mean()}
        if demonstrated and config.margin_coefficient:
            margin_loss = values.margin_loss(batch.action, config.margin)[-demonstrated:].sum() / len(batch)
            loss = loss + config.margin_coefficient * margin_loss
            terms |= {"loss": loss, "margin_loss": margin_loss}
        return loss, error.detach(), terms

    @torch.no_grad()
    def _targets(self, batch: Transitions) -> Tensor:
        """Discounted rewards, then what the target network says of the best action after them, ``[batch]``."""
        config = self.config
        reward = batch.reward * config.reward_scale
        if config.reward_clip is not None:
            reward = reward.clamp(-config.reward_clip, config.reward_clip)
        following = self.target(batch.next_observation)
        chooser = self.policy(batch.next_observation) if config.double else following
        bootstrap = following.of(chooser.greedy())
        discount = torch.where(batch.terminated, 0.0, config.gamma**batch.steps)
        targets: Tensor = (reward * self._discounts).sum(1) + discount * bootstrap
        return targets

    @torch.no_grad()
    def _move_target(self, share: float) -> None:
        self._target_weights.vector.lerp_(self._weights.vector, share)

    def _statistics_due(self, buffer: RolloutBuffer) -> Observation | None:
        """Drawn observations that the statistics are to take in after this update, now and then."""
        if self.policy.normalizer is None or buffer.steps - self._normalized_at < self.config.target_every:
            return None
        drawn_before = self.rng.bit_generator.state
        seen = self._sampler.sample(buffer, _NORMALIZER_ROWS, self.rng).to(self.device).observation
        keyed = seen if isinstance(seen, dict) else {"observation": seen}
        wrong = [key for key, value in keyed.items() if not value.isfinite().all()]
        if wrong:
            self.rng.bit_generator.state = drawn_before
            raise not_finite(self.updates + 1, wrong, keyed)
        return seen

    def _prioritize(self, errors: list[tuple[Tensor, Tensor]]) -> None:
        # Once per update, as in Ape-X, so that a GPU is not waited for within it.
        if self.config.prioritized:
            own = self.config.batch_size - round(self.config.demonstration_share * self.config.batch_size)
            position = torch.cat([p[:own] for p, _ in errors]).cpu().numpy()
            self._sampler.update_priorities(position, torch.cat([e[:own] for _, e in errors]).cpu().numpy())

    def _checked_means(self, sums: Mapping[str, Tensor], batch: Transitions, drawn_before: Any) -> dict[str, float]:
        steps = self.config.gradient_steps
        means = dict(zip(sums, (torch.stack(list(sums.values())) / steps).tolist(), strict=True))
        wrong = [name for name, value in means.items() if not math.isfinite(value)]
        if not wrong:
            return means
        if steps > 1:
            self._snapshot.restore()
        self.rng.bit_generator.state = drawn_before
        names = ("action", "reward", "steps", "terminated", "weight", "position")
        raise not_finite(self.updates + 1, wrong, {name: getattr(batch, name) for name in names})

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`; demonstrations are not in it: give them again."""
        return {
            "policy": dict(self.policy.state_dict()),
            "version": self.policy.version,
            "target": dict(self.target.state_dict()),
            "copied_at": self._copied_at,
            "normalized_at": self._normalized_at,
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "sampler": self._sampler.state(),
            "updates": self.updates,
            "learning_rate_scale": self.learning_rate_scale,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        self.policy.load_state_dict(state["policy"])
        self.policy.version = state["version"]
        self.target.load_state_dict(state["target"])
        self._copied_at = state["copied_at"]
        self._normalized_at = state["normalized_at"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]
        self._sampler.load_state(state["sampler"])
        self.updates = state["updates"]
        self.learning_rate_scale = state["learning_rate_scale"]
        self._snapshot = Snapshot(nn.ModuleList([self.policy, self.target]), self.optimizer)


def pointwise_loss(error: Tensor, kind: str) -> Tensor:
    """Half the squared error; for ``"huber"`` linear where it is beyond 1."""
    if kind == "mse":
        return 0.5 * error.square()
    return nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none")
