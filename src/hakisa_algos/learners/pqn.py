"""PQN (Gallici et al. 2024): Q-learning without replay and without a target network, for many fast envs.

Rollouts as PPO's, Q(lambda) targets, minibatch epochs; layer normalisation keeps the bootstrapped values in bounds.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.data.returns import lambda_returns
from hakisa_algos.data.rollout import Rollout, RolloutBuffer
from hakisa_algos.learners.epsilon import EpsilonShape, check_epsilon, epsilon_at
from hakisa_algos.learners.on_policy import OnPolicy
from hakisa_algos.learners.rollback import not_finite
from hakisa_algos.learners.schedules import Shape, anneal
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.observations import Observation
from hakisa_algos.policy.precision import Precision, has_pictures, resolve_bf16
from hakisa_algos.policy.q_network import QNetwork


@dataclass(frozen=True)
class PQNConfig:
    """Hyperparameters of PQN. The defaults suit vectors; :meth:`PQN.default_config` has those for pictures."""

    total_steps: int = 1_000_000
    """Env steps of the whole run, all envs together; every schedule is based on it."""
    num_envs: int = 8
    """Envs that are stepped together. More stand in for the replay buffer: their rows are less correlated."""
    n_steps: int = 64
    """Rows per rollout. Longer looks further before it bootstraps, and updates less often."""
    epochs: int = 4
    """Passes over each rollout. More learn more from the same data and overfit it sooner."""
    minibatch_size: int = 64
    """Rows per gradient step. Smaller is noisier and takes more steps."""
    learning_rate: float = 1e-3
    """Step size. Larger learns faster until it diverges."""
    learning_rate_schedule: Shape = "linear"
    """How the learning rate falls over the run: constant, linear or cosine."""
    gamma: float = 0.99
    """Discount. Closer to 1 looks further ahead and is harder to learn."""
    q_lambda: float = 0.65
    """0 trusts the network's values after one step, 1 the rewards."""
    dueling: bool = False
    """Learn the state's value apart from the advantages; helps where actions often do not matter."""
    layer_norm: bool = True
    """Normalise after each layer; without it values may grow without bounds."""
    epsilon_start: float = 1.0
    """Probability of random actions at first."""
    epsilon_end: float = 0.05
    """Probability of random actions in the end."""
    epsilon_fraction: float = 0.3
    """Share of the run over which epsilon falls. Larger explores longer."""
    epsilon_schedule: EpsilonShape = "linear"
    """How epsilon falls: linear or exponential."""
    max_grad_norm: float = 10.0
    """Gradients are scaled down to this norm."""
    reward_scale: float = 1.0
    """Rewards are multiplied by this before learning; logged returns stay raw."""
    reward_clip: float | None = None
    """Rewards are clipped to +- this before learning, after scaling."""
    network: str = "auto"
    """auto, mlp, nature or small."""
    hidden_sizes: tuple[int, ...] = (128, 128)
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
        counts = ("total_steps", "num_envs", "n_steps", "epochs", "minibatch_size", "hidden_sizes")
        sizes = ("learning_rate", "max_grad_norm", "reward_scale", "reward_clip")
        check_config(self, positive=(*counts, *sizes), shares=("gamma", "q_lambda"))
        check_epsilon(self.epsilon_start, self.epsilon_end, self.epsilon_fraction, self.epsilon_schedule)


class PQN(OnPolicy):
    """See :class:`hakisa_algos.learners.learner.Learner`."""

    config_class: ClassVar[type] = PQNConfig

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: PQNConfig,
        *,
        num_envs: int,
        seed: int,
        device: torch.device,
        network: NetworkFactory | None = None,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            policy = QNetwork(
                observation_space,
                action_space,
                network=network or config.network,
                hidden_sizes=config.hidden_sizes,
                activation=config.activation,
                dueling=config.dueling,
                layer_norm=config.layer_norm,
                normalize_observation=config.normalize_observation,
                keep_value=True,
                bf16=resolve_bf16(config.precision, device, observation_space),
            ).to(device)
        policy.epsilon.fill_(config.epsilon_start)
        optimizer = functools.partial(torch.optim.RAdam, lr=config.learning_rate)
        super().__init__(policy, optimizer, config, num_envs, seed, device)

    @classmethod
    def default_config(cls, observation_space: spaces.Space[Any]) -> PQNConfig:
        """For pictures those of Atari, for vectors the class's defaults."""
        if not has_pictures(observation_space):
            return PQNConfig()
        return PQNConfig(
            num_envs=16,
            epochs=3,
            minibatch_size=256,
            learning_rate=5e-4,
            q_lambda=0.85,
            epsilon_end=0.01,
            epsilon_fraction=0.1,
            normalize_observation=True,
        )

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Epochs of minibatch steps on the newest rollout."""
        config = self.config
        progress = (buffer.steps - config.n_steps * self.num_envs) / config.total_steps
        rate = self.learning_rate_scale * anneal(config.learning_rate, config.learning_rate_schedule, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rollout = buffer.rollout(config.n_steps)
        index, action, target = self._batch(rollout)
        if not len(index):
            return {"train/gradient_steps": 0.0}
        shuffled_before = self.generator.get_state()
        self._snapshot.take()

        sums: dict[str, Tensor] = {}
        steps = 0
        for _ in range(config.epochs):
            order = torch.randperm(len(index), generator=self.generator)
            for first in range(0, len(order), config.minibatch_size):
                rows = order[first : first + config.minibatch_size]
                values = self.policy(self._observation(rollout, index[rows]))
                chosen = values.of(action[rows])
                error = chosen - target[rows]
                loss = 0.5 * error.square().mean()
                norm = self._weights.differentiate(loss, config.max_grad_norm)
                self.optimizer.step()
                terms = {"loss": loss, "q_value": chosen.mean(), "td_error": error.abs().mean(), "grad_norm": norm}
                for name, term in terms.items():
                    sums[name] = sums[name] + term.detach() if name in sums else term.detach()
                steps += 1
        means = dict(zip(sums, (torch.stack(list(sums.values())) / steps).tolist(), strict=True))
        self._normalize(rollout)
        wrong = self._not_finite(means)
        if wrong:
            self._snapshot.restore()
            self.generator.set_state(shuffled_before)
            raise not_finite(
                self.updates + 1, wrong, {"action": action, "target": target, "reward": rollout.column("reward")}
            )
        self.updates += 1
        self.policy.version += 1
        epsilon = epsilon_at(
            buffer.steps / config.total_steps,
            config.epsilon_start,
            config.epsilon_end,
            config.epsilon_fraction,
            config.epsilon_schedule,
        )
        self.policy.epsilon.fill_(epsilon)
        return {f"train/{name}": value for name, value in means.items()} | {
            "train/learning_rate": rate,
            "train/n_updates": self.updates,
            "train/gradient_steps": steps,
            "rollout/exploration_rate": epsilon,
        }

    def bare_loss(self, observation: Observation) -> Tensor:
        """As cheap a loss as asks every network that a gradient step asks: what such steps are measured by."""
        loss: Tensor = self.policy(observation).max().square().mean()
        return loss

    def _batch(self, rollout: Rollout) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of the transitions in the rollout, their actions, and the Q(lambda) targets."""
        config, o = self.config, self._outcome(rollout)
        target = lambda_returns(
            o.reward, o.following, o.terminated, o.truncated, o.valid, config.gamma, config.q_lambda
        )
        index = torch.from_numpy(np.flatnonzero(o.valid))
        action = rollout.column("action").flatten(0, 1)[index].to(self.device)
        return index, action, torch.from_numpy(target).flatten()[index].to(self.device)
