"""PQN (Gallici et al. 2024): Q-learning without replay and without a target network, for many fast envs.

Rollouts as PPO's, Q(lambda) targets, minibatch epochs; layer normalisation keeps the bootstrapped values in bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hakisa_algos.data.collect import Rows
from hakisa_algos.data.returns import lambda_returns, successor_values
from hakisa_algos.data.rollout import Rollout, RolloutBuffer
from hakisa_algos.errors import NonFiniteError
from hakisa_algos.learners.epsilon import EpsilonShape, check_epsilon, epsilon_at
from hakisa_algos.learners.rollback import Snapshot
from hakisa_algos.learners.schedules import Shape, anneal
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.observations import Observation, join_observations, map_observation
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


class PQN:
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
                layer_norm=config.layer_norm,
                keep_value=True,
                bf16=resolve_bf16(config.precision, device, observation_space),
            ).to(device)
        self.policy.epsilon.fill_(config.epsilon_start)
        self.optimizer = torch.optim.RAdam(self.policy.parameters(), config.learning_rate)
        self.generator = torch.Generator().manual_seed(seed)
        self.updates = 0
        self.learning_rate_scale = 1.0
        self._snapshot = Snapshot(self.policy, self.optimizer)

    @classmethod
    def default_config(cls, observation_space: spaces.Space[Any]) -> PQNConfig:
        """For pictures those of Atari, for vectors the class's defaults."""
        if not has_pictures(observation_space):
            return PQNConfig()
        return PQNConfig(
            num_envs=16,
            epochs=2,
            minibatch_size=256,
            learning_rate=2.5e-4,
            epsilon_end=0.01,
            epsilon_fraction=0.1,
        )

    @property
    def need(self) -> Rows:
        """A rollout."""
        return Rows(self.config.n_steps)

    @property
    def capacity(self) -> int:
        """One rollout."""
        return self.config.n_steps

    @property
    def remembered(self) -> int:
        """None: a rollout is used once."""
        return 0

    @property
    def keep_observations(self) -> bool:
        """Observations are what it learns from."""
        return True

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Epochs of minibatch steps on the newest rollout."""
        config = self.config
        progress = (buffer.steps - config.n_steps * self.num_envs) / config.total_steps
        rate = self.learning_rate_scale * anneal(config.learning_rate, config.learning_rate_schedule, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rollout = buffer.rollout(config.n_steps)
        index, action, target = self._batch(rollout)
        shuffled_before = self.generator.get_state()
        self._snapshot.take()

        sums: dict[str, Tensor] = {}
        steps = 0
        for _ in range(config.epochs):
            order = torch.randperm(len(index), generator=self.generator)
            for first in range(0, len(order), config.minibatch_size):
                rows = order[first : first + config.minibatch_size]
                values = self.policy(self._to_device(rollout.observation(index[rows])))
                chosen = values.of(action[rows])
                error = chosen - target[rows]
                loss = 0.5 * error.square().mean()
                self.optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                norm = nn.utils.clip_grad_norm_(self.policy.parameters(), config.max_grad_norm)
                self.optimizer.step()
                terms = {"loss": loss, "q_value": chosen.mean(), "td_error": error.abs().mean(), "grad_norm": norm}
                for name, term in terms.items():
                    sums[name] = sums[name] + term.detach() if name in sums else term.detach()
                steps += 1
        means = dict(zip(sums, (torch.stack(list(sums.values())) / steps).tolist(), strict=True))
        self._check_finite(means, shuffled_before, {"action": action, "target": target}, rollout)
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

    def _batch(self, rollout: Rollout) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of the transitions in the rollout, their actions, and the Q(lambda) targets."""
        config = self.config
        names = ("terminated", "truncated", "valid", "value", "reward")
        terminated, truncated, valid, value, reward = (rollout.column(name).numpy() for name in names)
        reward = reward * np.float32(config.reward_scale)
        if config.reward_clip is not None:
            reward = reward.clip(-config.reward_clip, config.reward_clip)
        last, final = self._bootstrap(rollout)
        following = successor_values(value, last, truncated, final)
        target = lambda_returns(reward, following, terminated, truncated, valid, config.gamma, config.q_lambda)
        index = torch.from_numpy(np.flatnonzero(valid))
        action = rollout.column("action").flatten(0, 1)[index].to(self.device)
        return index, action, torch.from_numpy(target).flatten()[index].to(self.device)

    def _bootstrap(self, rollout: Rollout) -> tuple[np.ndarray, np.ndarray]:
        """Best values after the last row ``[num_envs]`` and of all truncated rows, in one forward."""
        following, final = rollout.next_observation(), rollout.final_observations()
        if final is not None:
            following = join_observations(following, final)
        values = self.policy.value(self._to_device(following)).cpu().numpy()
        return values[: rollout.num_envs], values[rollout.num_envs :]

    def _to_device(self, observation: Observation) -> Observation:
        moved: Observation = map_observation(lambda x: x.to(self.device, non_blocking=True), observation)
        return moved

    def _check_finite(
        self, means: Mapping[str, float], shuffled_before: Tensor, batch: Mapping[str, Tensor], rollout: Rollout
    ) -> None:
        wrong = [name for name, value in means.items() if not np.isfinite(value)]
        if not wrong:
            return
        self._snapshot.restore()
        self.generator.set_state(shuffled_before)
        raise NonFiniteError(
            f"update {self.updates + 1}: {', '.join(wrong)} became NaN or infinite. The weights are as they were "
            "before it. Look for NaN in rewards and observations, or lower learning_rate",
            {name: tensor.cpu().numpy() for name, tensor in batch.items()}
            | {"reward": rollout.column("reward").numpy()},
        )

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        return {
            "policy": dict(self.policy.state_dict()),
            "version": self.policy.version,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "updates": self.updates,
            "learning_rate_scale": self.learning_rate_scale,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        self.policy.load_state_dict(state["policy"])
        self.policy.version = state["version"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.updates = state["updates"]
        self.learning_rate_scale = state["learning_rate_scale"]
        self._snapshot = Snapshot(self.policy, self.optimizer)
