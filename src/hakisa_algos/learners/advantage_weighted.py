"""Advantage-weighted cloning (Peng et al. 2019, Wang et al. 2018): an actor-critic that learns from recordings alone.

First the critic learns how good what followed was, from lambda-returns of all rows; no weight of the policy changes.
Then the policy imitates what was done, the more, the better it was than the critic had expected. PPO itself cannot
learn so: a person's rows have no probabilities, and its clip has nothing to hold to.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.consolidation import ConsolidationConfig, Consolidator
from hakisa_algos.learners.gradient import Descent
from hakisa_algos.learners.lesson_chunks import LessonChunks, Picked
from hakisa_algos.learners.prior import has_own_critic
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.heads import NEVER, ActionDistribution
from hakisa_algos.policy.policy import acting, learning


@dataclass(frozen=True)
class AdvantageConfig(ConsolidationConfig):
    """Hyperparameters of advantage-weighted cloning; the discount is the agent's own."""

    critic_steps: int = 10_000
    """Gradient steps of the critic at most, before the policy begins to learn."""
    critic_learning_rate: float = 1e-3
    """Step size of the critic."""
    gae_lambda: float | None = None
    """Of the returns and advantages; None: the agent's own. Smaller trusts the critic more; larger sees more of what
    comes of an action later, and more luck."""
    temperature: float = 0.5
    """Advantage, in standard deviations, that makes a row count e times as much. Smaller imitates only the best."""
    weight_cap: float = 20.0
    """A row counts no more than so many ordinary ones, however good it was."""
    chunk: int = 32
    """Rows in a row that a memory learns from."""

    def __post_init__(self) -> None:
        """See :class:`hakisa_algos.learners.consolidation.ConsolidationConfig`."""
        super().__post_init__()
        shares = ("gae_lambda",)
        check_config(
            self, shares=shares, positive=("critic_steps", "critic_learning_rate", "temperature", "weight_cap", "chunk")
        )


class AdvantageLearner(Consolidator):
    """See :class:`hakisa_algos.learners.consolidation.Consolidator`.

    The policy is judged by how likely it makes what turned out better than expected in the held-out episodes.
    """

    config_class: ClassVar[type] = AdvantageConfig

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not has_own_critic(self.policy):
            raise ConfigError(
                "this agent's critic shares networks with its policy, and cannot learn without changing it: begin from "
                "a clone that hakisa study made, or from a run with own_critic=True"
            )
        self.generator = torch.Generator().manual_seed(self.seed)
        adam = functools.partial(torch.optim.Adam, lr=self.config.learning_rate, fused=True)
        self.descent = Descent(self.policy, adam, self.generator, self.device)
        self._critic_done = self._critic_worse = 0
        self._judging = True  # the critic is learning
        self._critic_best, self._critic_weights = -math.inf, self._weights()
        self._advantage: Tensor | None = None

    def _length(self) -> int:
        return self.config.chunk if self.policy.memory is not None else 1

    def _say(self, picked: Picked) -> ActionDistribution:
        said: ActionDistribution = self.policy(self._observation(picked.seen), picked.chunks)[0]
        return said

    def _before(self) -> tuple[int, int]:
        return self._critic_done, self.config.critic_steps if self._judging else self._critic_done

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Some gradient steps, of the critic or of the policy; the buffer is not looked at."""
        if self._chunks is None:
            raise ConfigError("there is nothing to learn from: call learner.study(rows) first")
        if self._judging:
            return self._learn_critic(self._chunks)
        if self._advantage is None:
            self._weigh(self._chunks)
        if math.isnan(self._floor):  # the agent as it came is the first candidate
            self._judge(self._chunks)
        return self._learn_policy(self._chunks) | self._judge(self._chunks)

    @property
    def _lambda(self) -> float:
        own = self.config.gae_lambda
        return float(self._learner.config.gae_lambda if own is None else own)

    def _learn_critic(self, chunks: LessonChunks) -> dict[str, float]:
        """Steps towards the lambda-returns of the critic as it is now, until it foresees held-out ones no better."""
        config, terms = self.config, []
        value = self._values(chunks)
        returns = self._returns(value, self._lambda)
        assert self.lessons is not None
        explained = _explained(value[self.lessons.held_out], returns[self.lessons.held_out])
        self._critic_worse += 1
        if explained > self._critic_best or not self._critic_done:
            self._critic_best, self._critic_weights, self._critic_worse = explained, self._weights(), 0
        target = torch.from_numpy(returns).to(self.device)
        steps = min(config.update_steps, config.critic_steps - self._critic_done)
        own = replace(config, learning_rate=config.critic_learning_rate, learning_rate_schedule="constant")
        with self.descent.update(own, 0.0):
            for _ in range(steps):
                picked = chunks.draw(config.batch_size, self.generator)
                # Not in train() mode, which might change statistics of a network of the user's own.
                value_now = self.policy(self._observation(picked.seen), picked.chunks)[1]
                loss = 0.5 * (value_now - target[picked.counted]).square().mean()
                terms.append(self.descent.differentiate(loss, {"value_loss": loss}))
                self.descent.step()
            metrics = self.descent.settle(terms, None, lambda: {"returns": target})
        self._critic_done += steps
        if self._critic_worse >= config.patience or self._critic_done >= config.critic_steps:
            self._judging = False
            self.policy.load_state_dict(self._critic_weights)
            self._best_weights = self._weights()
            self.descent.optimizer.state.clear()  # of the critic, which must not move any more
        return metrics | {"held_out/explained_variance": explained}

    def _learn_policy(self, chunks: LessonChunks) -> dict[str, float]:
        config, terms = self.config, []
        assert self._advantage is not None
        steps = min(config.update_steps, config.total_steps - self._done)
        if chunks.length > 1:
            chunks.remember(self.policy, self._observation)
        with self.descent.update(config, self._done / config.total_steps):
            for _ in range(steps):
                picked = chunks.draw(config.batch_size, self.generator)
                observation = self._observation(picked.seen)
                weight = chunks.weight[picked.counted] * self._counts(self._advantage[picked.counted])
                with learning(self.policy):
                    distribution: ActionDistribution = self.policy(observation, picked.chunks)[0]
                    log_prob = distribution.log_prob(chunks.action[picked.counted])
                    loss = -(weight * log_prob).sum() / weight.sum().clamp_min(1e-6)
                    terms.append(self.descent.differentiate(loss, {"loss": loss, "weight": weight.mean()}))
                self.descent.step()
            metrics = self.descent.settle(terms, None, lambda: {"position": picked.counted})
        self._done += steps
        return metrics

    def _counts(self, advantage: Tensor) -> Tensor:
        """How much rows count for what was done in them."""
        counts: Tensor = (advantage / self.config.temperature).exp().clamp(max=self.config.weight_cap)
        return counts

    def _judge(self, chunks: LessonChunks) -> dict[str, float]:
        """How likely what was good in the held-out episodes is now."""
        sums = [0.0, 1e-9]

        def see(rows: Tensor, said: ActionDistribution) -> None:
            assert self._advantage is not None
            advantage, log_prob = self._advantage[rows], said.log_prob(chunks.action[rows])
            good = (advantage > 0) & (log_prob > NEVER / 2)
            weight = (chunks.weight[rows] * self._counts(advantage))[good]
            sums[0] -= float((weight * log_prob[good]).sum())
            sums[1] += float(weight.sum())

        agreement = self._examine(see)
        loss = sums[0] / sums[1]
        return self._look(loss, agreement) | {"held_out/loss": loss}

    def _weigh(self, chunks: LessonChunks) -> None:
        """Advantages of what was done, in standard deviations; the critic is as it will stay."""
        assert self.lessons is not None
        value = self._values(chunks)
        advantage = (self._returns(value, self._lambda) - value)[self.lessons.acted]
        spread = advantage[self.lessons.weight > 0].std()
        # Where nothing was better than anything else, no rounding error must look like an advantage.
        scale = max(float(spread), 1e-4 * float(np.abs(value).max()), 1e-6)
        self._advantage = torch.from_numpy(advantage / scale).to(self.device, torch.float32)

    @torch.inference_mode()
    def _values(self, chunks: LessonChunks) -> np.ndarray:
        """Of the observations of all rows, ``[rows]``."""
        assert self.lessons is not None
        value = np.zeros(len(self.lessons), np.float32)
        if chunks.length > 1:
            chunks.remember(self.policy, self._observation)
        with acting(self.policy):
            for picked in chunks.every(self.config.batch_size):
                found = self.policy(self._observation(picked.seen), picked.chunks)[1]
                value[picked.counted.numpy()] = found.cpu().numpy()
        return value

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`; the rows are not in it."""
        critic = {
            "done": self._critic_done,
            "worse": self._critic_worse,
            "learning": self._judging,
            "best": self._critic_best,
            "weights": self._critic_weights if self._judging else None,
        }
        return self.descent.state() | super().state() | {"critic": critic}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        self.descent.load_state(state)
        super().load_state(state)
        critic = state["critic"]
        self._critic_done, self._critic_worse = critic["done"], critic["worse"]
        self._judging, self._critic_best = critic["learning"], critic["best"]
        self._critic_weights = dict(critic["weights"] or state["best_weights"])


def _explained(value: np.ndarray, returns: np.ndarray) -> float:
    """Share of the variance of returns that the values foresaw; 0 where there is none."""
    spread = float(returns.var())
    return 1 - float((returns - value).var()) / spread if spread > 0 else 0.0
