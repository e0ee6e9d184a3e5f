"""PQN (Gallici et al. 2024): Q-learning without replay and without a target network, for many fast envs.

Rollouts as PPO's, Q(lambda) targets, minibatch epochs; layer normalisation keeps the bootstrapped values in bounds.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from hakisa_algos.data.needs import Rows
from hakisa_algos.data.returns import lambda_returns
from hakisa_algos.data.rollout import Rollout, RolloutBuffer
from hakisa_algos.learners import optimizers
from hakisa_algos.learners.config import EpsilonConfig
from hakisa_algos.learners.gradient import Descent, GradientLearner
from hakisa_algos.learners.learner import Facts
from hakisa_algos.learners.rollouts import Batch, Outcome, drawn_observations, learned_from
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.observations import Observation, to_device
from hakisa_algos.policy.policy import learning
from hakisa_algos.policy.q_network import QNetwork


@dataclass(frozen=True)
class PQNConfig(EpsilonConfig):
    """Hyperparameters of PQN. The defaults suit vectors; :attr:`PQNLearner.for_pictures` has those for pictures.

    Here many envs stand in for a replay buffer.
    """

    n_steps: int = 64
    """Rows per rollout. Longer looks further before it bootstraps, and updates less often."""
    epochs: int = 4
    """Passes over each rollout. More learn more from the same data and overfit it sooner."""
    minibatch_size: int = 64
    """Rows per gradient step. Smaller is noisier and takes more steps."""
    q_lambda: float = 0.65
    """0 trusts the network's values after one step, 1 the rewards."""
    dueling: bool = False
    """Learn the state's value apart from the advantages; helps where actions often do not matter."""
    layer_norm: bool = True
    """Normalise after each layer; without it values may grow without bounds."""
    hidden_sizes: tuple[int, ...] = (128, 128)

    def __post_init__(self) -> None:
        """See :class:`hakisa_algos.learners.config.GradientConfig`."""
        super().__post_init__()
        check_config(self, positive=("n_steps", "epochs", "minibatch_size"), shares=("q_lambda",))


@dataclass(frozen=True, eq=False)
class Aimed(Batch):
    """A rollout as PQN learns from it.

    Attributes:
        target: the Q(lambda) return of each action, ``[batch]``.
    """

    target: Tensor


class PQNLearner(GradientLearner):
    """See :class:`hakisa_algos.learners.learner.Learner`."""

    config_class: ClassVar[type] = PQNConfig
    for_pictures: ClassVar[PQNConfig] = PQNConfig(  # Atari's
        num_envs=16,
        epochs=3,
        minibatch_size=256,
        learning_rate=5e-4,
        q_lambda=0.85,
        epsilon_end=0.01,
        epsilon_fraction=0.1,
        normalize_observation=True,
    )

    def _make_policy(self, *spaces: Any, **options: Any) -> QNetwork:
        config = self.config
        return QNetwork(*spaces, dueling=config.dueling, layer_norm=config.layer_norm, keep_value=True, **options)

    def _begin(self, seed: int) -> None:
        self.policy.epsilon.fill_(self.config.epsilon_start)
        optimizer = functools.partial(optimizers.RAdam, lr=self.config.learning_rate)
        self.generator = torch.Generator().manual_seed(seed)
        self.descent = Descent(self.policy, optimizer, self.generator, self.device)

    def facts(self) -> Facts:
        """A rollout, which is used once."""
        return Facts(Rows(self.config.n_steps), self.config.total_steps, self.config.n_steps)

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Epochs of minibatch steps on the newest rollout."""
        config = self.config
        progress = (buffer.steps - config.n_steps * self.num_envs) / config.total_steps
        rollout = buffer.rollout(config.n_steps)
        batch = self._batch(rollout)
        if not len(batch):
            return {"train/gradient_steps": 0.0}

        terms = []
        with self.descent.update(config, progress):
            with learning(self.policy):
                for _ in range(config.epochs):
                    for part in batch.shuffled(config.minibatch_size, self.generator):
                        observation = to_device(rollout.observation(part.index), self.device)
                        terms.append(self.descent.differentiate(*self._loss(observation, part)))
                        self.descent.step()
            seen = drawn_observations(rollout, batch, self.generator, self.device) if self.normalizes else None
            crash = {"action": batch.action, "target": batch.target, "reward": rollout.column("reward")}
            metrics = self.descent.settle(terms, seen, lambda: crash)
        epsilon = config.epsilon(buffer.steps / config.total_steps)
        self.policy.epsilon.fill_(epsilon)
        return metrics | {"rollout/exploration_rate": epsilon}

    def _loss(self, observation: Observation, part: Aimed) -> tuple[Tensor, dict[str, Tensor]]:
        chosen = self.policy(observation).of(part.action)
        error = chosen - part.target
        loss = 0.5 * error.square().mean()
        return loss, {"loss": loss, "q_value": chosen.mean(), "td_error": error.abs().mean()}

    def _batch(self, rollout: Rollout) -> Aimed:
        config = self.config
        o = Outcome.of(rollout, lambda seen, _: self.policy.value(seen), config, self.device)
        target = lambda_returns(
            o.reward, o.following, o.terminated, o.truncated, o.transition, config.gamma, config.q_lambda
        )
        index = learned_from(rollout)
        columns = rollout.column("action"), torch.from_numpy(target)
        return Aimed(index, *(column.flatten(0, 1)[index].to(self.device) for column in columns))
