"""DQN (Mnih et al. 2015), with what Rainbow (Hessel et al. 2018) kept of its successors, each an option.

Double (van Hasselt et al. 2016), dueling (Wang et al. 2016) and n-step targets, prioritised replay (Schaul et al.
2016), and a share of demonstrations in each batch with a large margin (DQfD, Hester et al. 2018). One TD error of the
joint action drives loss and priority, however many heads the action has.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from hakisa_algos.data.needs import Rows
from hakisa_algos.data.replay import ReplaySampler, Sources, Transitions
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners import optimizers
from hakisa_algos.learners.config import EpsilonConfig
from hakisa_algos.learners.demonstrations import held, state_of
from hakisa_algos.learners.gradient import NORMALIZER_ROWS, Descent, GradientLearner
from hakisa_algos.learners.learner import Facts
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.observations import MASK, Observation
from hakisa_algos.policy.policy import learning
from hakisa_algos.policy.q_network import QNetwork


@dataclass(frozen=True)
class DQNConfig(EpsilonConfig):
    """Hyperparameters of DQN. The defaults suit vectors; :attr:`DQNLearner.for_pictures` has those for pictures.

    The former are RL Zoo's of CartPole, but for 5 steps instead of 1, batches of 128 instead of 64, and a learning
    rate that falls from 1e-3. In 50,000 steps 1 step and 2.3e-3 reached 500 and lost it again (2 of 2 seeds), and 3
    steps and 64 did not hold it on 100 fresh episodes (1 of 5).
    """

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
    epsilon_end: float = 0.04
    epsilon_fraction: float = 0.16
    prioritized: bool = False
    """Draw transitions with large errors more often."""
    priority_exponent: float = 0.6
    """How much more often: 0 not at all, 1 in proportion to the error."""
    priority_beta: float = 0.4
    """How far importance weights undo that at first; 1 in the end."""
    loss: Literal["huber", "mse"] = "huber"
    """huber is linear for errors beyond 1; mse is not."""
    demonstration_share: float = 0.0
    """Share of each batch that is drawn from demonstrations, which :meth:`DQNLearner.demonstrate` gives."""
    margin: float = 0.8
    """How much more than any other action a demonstrated one should be worth, in scaled rewards."""
    margin_coefficient: float = 1.0
    """Weight of that wish in the loss; 0 learns from the demonstrations' rewards alone."""
    hidden_sizes: tuple[int, ...] = (256, 256)
    learn_beside: bool = False
    """Learn from older rows while the next ones are played; actions are then one update older."""

    def __post_init__(self) -> None:
        """See :class:`hakisa_algos.learners.config.GradientConfig`."""
        super().__post_init__()
        check_config(
            self,
            positive=("buffer_size", "train_every", "gradient_steps", "batch_size", "n_step", "target_every"),
            not_negative=("margin", "margin_coefficient", "learning_starts"),
            shares=("priority_exponent", "priority_beta", "demonstration_share"),
        )
        if self.polyak is not None and not 0 < self.polyak <= 1:
            raise ConfigError(f"polyak={self.polyak!r} must be greater than 0 and at most 1, or None to do without")
        if self.learning_starts > self.buffer_size:
            raise ConfigError(
                f"learning_starts={self.learning_starts} must be at most buffer_size={self.buffer_size}, or learning "
                "never starts"
            )


class DQNLearner(GradientLearner):
    """See :class:`hakisa_algos.learners.learner.Learner`."""

    config_class: ClassVar[type] = DQNConfig
    for_pictures: ClassVar[DQNConfig] = DQNConfig(  # Atari's
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
        learn_beside=True,
    )
    presets: ClassVar[Mapping[str, DQNConfig]] = {
        "hakisa": DQNConfig(  # that of Hakisa's own experiments
            total_steps=1_000,
            num_envs=1,
            buffer_size=10_000,
            learning_starts=32,
            train_every=1,
            gradient_steps=1,
            batch_size=32,
            n_step=1,
            double=False,
            learning_rate=1e-4,
            learning_rate_schedule="constant",
            target_every=256,
        )
    }

    def _make_policy(self, *spaces: Any, **options: Any) -> QNetwork:
        return QNetwork(*spaces, dueling=self.config.dueling, **options)

    def _begin(self, seed: int) -> None:
        config = self.config
        self.policy.epsilon.fill_(config.epsilon_start)
        self.target = copy.deepcopy(self.policy)
        self.target.normalizer = self.policy.normalizer  # both see the same numbers
        self.rng = np.random.Generator(np.random.Philox(seed))
        adam = functools.partial(optimizers.Adam, lr=config.learning_rate, fused=True)
        self.descent = Descent(self.policy, adam, self.rng, self.device, self.target)
        self.target.requires_grad_(False)
        exponent = config.priority_exponent if config.prioritized else 0.0
        sampler = ReplaySampler(self.facts().capacity, self.num_envs, config.n_step, exponent)
        self._sources = Sources(sampler)
        self._shown: StoredRows | None = None
        self.demonstrations_sha256: str | None = None
        self._discounts = config.gamma ** torch.arange(config.n_step, device=self.device)
        self._copied_at = self._normalized_at = 0

    def begin_from(self, weights: Mapping[str, Tensor]) -> None:
        """See :class:`hakisa_algos.learners.gradient.GradientLearner`."""
        super().begin_from(weights)
        self.target.load_state_dict(weights)

    def facts(self) -> Facts:
        """The steps between two updates; any row that is remembered may be drawn again."""
        config = self.config
        rows = Rows(math.ceil(config.train_every / self.num_envs))
        capacity = math.ceil(config.buffer_size / self.num_envs)
        remembered, starts = capacity, config.learning_starts
        return Facts(rows, config.total_steps, capacity, remembered, beside=config.learn_beside, starts=starts)

    @property
    def demonstrations(self) -> StoredRows | None:
        """Those that it was given."""
        return self._shown

    def demonstrate(self, buffer: RolloutBuffer | StoredRows, sha256: str | None = None) -> None:
        """Draws ``config.demonstration_share`` of each batch from ``buffer``, uniformly.

        Args:
            buffer: of the same observations and actions, with any number of columns, or rows that
                :func:`hakisa_algos.data.dataset.open_rows` opened. What it holds now is from then on in checkpoints.
            sha256: names rows that are kept elsewhere, and may be needed as long as this learner is: checkpoints then
                hold this alone.

        Raises:
            ConfigError: only one of them and this learner has action masks.
        """
        shown = buffer if sha256 and isinstance(buffer, StoredRows) else held(state_of(buffer))
        masked = MASK in shown.layout["observation"].get("spaces", ())
        if masked != (self.config.action_masks is True):
            raise ConfigError(
                f"demonstrations with action masks: {masked}, and action_masks={self.config.action_masks!r}; "
                "record them with what the learner acts by, or change that"
            )
        self._sources.demonstrations = self._shown = shown
        self.demonstrations_sha256 = sha256

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Gradient steps on drawn batches, once enough is stored."""
        config = self.config
        if config.demonstration_share and self._sources.demonstrations is None:
            raise ConfigError(
                f"demonstration_share={config.demonstration_share} needs demonstrations: give them with "
                "learner.demonstrate(buffer), or set it to 0"
            )
        progress = buffer.steps / config.total_steps
        own, older = self._sources.size(buffer)
        if not own or own + older < config.learning_starts:
            return {"rollout/exploration_rate": float(self.policy.epsilon)}

        terms: list[dict[str, Tensor]] = []
        errors: list[tuple[Tensor, Tensor]] = []
        with self.descent.update(config, progress, config.gradient_steps):
            seen = self._statistics_due(buffer)
            for step in range(1, config.gradient_steps + 1):
                batch, shown = self._draw(buffer, min(progress, 1.0))
                targets = self.targets(batch)
                with learning(self.policy):
                    loss, error, each = self._loss(batch, targets, shown)
                    terms.append(self.descent.differentiate(loss, each))
                errors.append((batch.position, error))
                if step == config.gradient_steps:
                    # Before the last step, so that an update of one step has nothing to take back.
                    metrics = self.descent.settle(terms, seen, functools.partial(_crash_data, batch))
                self.descent.step()
                if config.polyak:
                    self.move_target(config.polyak)
        if seen is not None:
            self._normalized_at = buffer.steps
        if config.polyak is None and buffer.steps - self._copied_at >= config.target_every:
            self.move_target(1.0)
            self._copied_at = buffer.steps
        if config.prioritized:  # once per update, as in Ape-X, so that a GPU is not waited for within it
            self._sources.own.update_priorities(*(torch.cat(each).cpu().numpy() for each in zip(*errors, strict=True)))
        epsilon = config.epsilon(progress)
        self.policy.epsilon.fill_(epsilon)
        return metrics | {"rollout/exploration_rate": epsilon}

    def _draw(self, buffer: RolloutBuffer, progress: float) -> tuple[Transitions, int]:
        """A batch, and how many at its end are demonstrations."""
        config = self.config
        beta = config.priority_beta + (1 - config.priority_beta) * progress
        shown = round(config.demonstration_share * config.batch_size)
        return self._sources.sample(buffer, config.batch_size, self.rng, beta, shown).to(self.device), shown

    def _loss(self, batch: Transitions, targets: Tensor, shown: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        config = self.config
        values = self.policy(batch.observation)
        chosen = values.of(batch.action)
        error = chosen - targets
        loss = (batch.weight * pointwise_loss(error, config.loss)).mean()
        terms = {"loss": loss, "q_value": chosen.mean(), "td_error": error.abs().mean()}
        if shown and config.margin_coefficient:
            margin_loss = values.margin_loss(batch.action, config.margin)[-shown:].sum() / len(batch)
            loss = loss + config.margin_coefficient * margin_loss
            terms |= {"loss": loss, "margin_loss": margin_loss}
        return loss, error.detach(), terms

    @torch.no_grad()
    def targets(self, batch: Transitions) -> Tensor:
        """Discounted rewards, then what the target network says of the best action after them, ``[batch]``."""
        config = self.config
        following = self.target(batch.next_observation)
        chooser = self.policy(batch.next_observation) if config.double else following
        bootstrap = following.of(chooser.greedy())
        discount = torch.where(batch.terminated, 0.0, config.gamma**batch.steps)
        targets: Tensor = (config.shaped(batch.reward) * self._discounts).sum(1) + discount * bootstrap
        return targets

    @torch.no_grad()
    def move_target(self, share: float) -> None:
        """Towards the online network, by this share of the way."""
        assert self.descent.target_weights is not None
        self.descent.target_weights.vector.lerp_(self.descent.weights.vector, share)
        for own, followed in zip(self.target.own_networks, self.policy.own_networks, strict=True):
            for mine, buffer in zip(own.buffers(), followed.buffers(), strict=True):
                mine.copy_(buffer)  # statistics of a batch normalisation

    def _statistics_due(self, buffer: RolloutBuffer) -> Observation | None:
        """Drawn observations that the statistics are to take in after this update, now and then."""
        if not self.normalizes or buffer.steps - self._normalized_at < self.config.target_every:
            return None
        return self._sources.own.sample(buffer, NORMALIZER_ROWS, self.rng).to(self.device).observation

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        shown, sha256 = self._shown, self.demonstrations_sha256
        return super().state() | {
            "target": dict(self.target.state_dict()),
            "copied_at": self._copied_at,
            "normalized_at": self._normalized_at,
            "sampler": self._sources.own.state(),
            "demonstrations": {"sha256": sha256} if sha256 else state_of(shown) if shown else None,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`; demonstrations that were given before this stay."""
        super().load_state(state)
        self.target.load_state_dict(state["target"])
        self._copied_at = state["copied_at"]
        self._normalized_at = state["normalized_at"]
        self._sources.own.load_state(state["sampler"])
        stored = state["demonstrations"]
        if self._shown is None and stored and "sha256" not in stored:
            self._sources.demonstrations = self._shown = held(stored)


def _crash_data(batch: Transitions) -> dict[str, Tensor]:
    names = ("action", "reward", "steps", "terminated", "weight", "position")
    return {name: getattr(batch, name) for name in names}


def pointwise_loss(error: Tensor, kind: str) -> Tensor:
    """Half the squared error; for ``"huber"`` linear where it is beyond 1."""
    if kind == "mse":
        return 0.5 * error.square()
    return nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none")
