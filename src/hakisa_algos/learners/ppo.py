"""PPO2 (Schulman et al. 2017): clipped ratios, GAE, minibatch epochs, target-KL early stop.

A2C is the same update with one epoch and one minibatch, where the ratio is 1 and the clip idle (Huang et al. 2022);
REINFORCE is A2C with lambda 1 and the return in place of the advantage.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.needs import Rows
from hakisa_algos.data.returns import generalized_advantages
from hakisa_algos.data.rollout import Rollout, RolloutBuffer
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners import optimizers
from hakisa_algos.learners.chunks import ChunkedRollout
from hakisa_algos.learners.config import anneal
from hakisa_algos.learners.gradient import Descent, GradientLearner
from hakisa_algos.learners.learner import Facts
from hakisa_algos.learners.ppo_config import (
    EMERALD_BASELINE,
    FIGHTER,
    FOR_PICTURES,
    HAKISA,
    MONSTERS,
    A2CConfig,
    PPOConfig,
    REINFORCEConfig,
)
from hakisa_algos.learners.prior import Prior, entries_of_critic, has_own_critic
from hakisa_algos.learners.rollouts import Batch, Outcome, drawn_observations, learned_from
from hakisa_algos.policy.compilation import Compiled
from hakisa_algos.policy.heads import ActionDistribution
from hakisa_algos.policy.observations import Observation, keyed, to_device
from hakisa_algos.policy.policy import ActorCritic, Chunks, learning

# Explained variance at which the critic has warmed up.
WARM = 0.5


@dataclass(frozen=True, eq=False)
class Judged(Batch):
    """A rollout as PPO learns from it; each ``[batch]``.

    Attributes:
        log_prob: of the policy that acted.
        value: of the critic then.
        advantage: of the action.
        returns: targets of the critic.
    """

    log_prob: Tensor
    value: Tensor
    advantage: Tensor
    returns: Tensor


class PPOLearner(GradientLearner):
    """See :class:`hakisa_algos.learners.learner.Learner`."""

    config_class: ClassVar[type] = PPOConfig
    for_pictures: ClassVar[PPOConfig] = FOR_PICTURES
    presets: ClassVar[Mapping[str, PPOConfig]] = {
        "hakisa": HAKISA,
        "emerald-baseline": EMERALD_BASELINE,
        "monsters": MONSTERS,
        "fighter": FIGHTER,
    }

    def _make_policy(self, *spaces: Any, **options: Any) -> ActorCritic:
        config = self.config
        options |= {"memory": config.memory, "memory_size": config.memory_size, "memory_span": config.chunk}
        options["own_critic"] = config.own_critic
        return ActorCritic(*spaces, compile=config.compile, **options)

    def _begin(self, seed: int) -> None:
        config = self.config
        if config.normalize_advantage and config.n_steps * self.num_envs == 1:
            raise ConfigError(
                "normalize_advantage=True learns nothing from rollouts of a single row, which has no deviation: "
                "n_steps=1 with 1 env; take more of either, or normalize_advantage=False"
            )
        if config.critic_warmup and not has_own_critic(self.policy):
            raise ConfigError(
                f"critic_warmup={config.critic_warmup} needs a critic that shares nothing with the policy: set "
                "own_critic=True, or critic_warmup=0"
            )
        self.prior: Prior | None = None
        self._warmed = False  # the critic is good enough
        adam = functools.partial(optimizers.Adam, lr=config.learning_rate, eps=1e-5, fused=True)
        rmsprop = functools.partial(optimizers.RMSprop, lr=config.learning_rate, alpha=0.99, eps=1e-5)
        self.generator = torch.Generator().manual_seed(seed)
        optimizer = adam if config.optimizer == "adam" else rmsprop
        self.descent = Descent(self.policy, optimizer, self.generator, self.device)
        self._differentiate: Callable[..., dict[str, Tensor]] = self._gradient
        if config.compile:
            self._differentiate = Compiled(self._gradient)

    def facts(self) -> Facts:
        """A rollout, which is used once."""
        config = self.config
        rows = Rows(config.n_steps, config.chunk)
        return Facts(rows, config.total_steps, config.n_steps, target_kl=config.target_kl, prior=self.prior)

    def hold_to(self, weights: Mapping[str, Tensor]) -> None:
        """Begins from a policy's ``state_dict``, and is held to it (:mod:`hakisa_algos.learners.prior`).

        Raises:
            ConfigError: with ``compile=True``.
        """
        if self.config.compile:
            raise ConfigError("compile=True does not go with a prior; leave it out")
        self.begin_from(weights)
        self.prior = Prior(self.policy)

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Epochs of minibatch steps on the newest rollout, until done or stopped by the KL."""
        config = self.config
        done = buffer.steps - config.n_steps * self.num_envs
        progress = done / config.total_steps
        clip = anneal(config.clip, config.clip_schedule, progress)
        held = 0.0 if self.prior is None else self.prior.weight
        exploration = (1 - held) * anneal(config.entropy_coefficient, config.entropy_schedule, progress)
        numbers: Any = clip, exploration
        if config.compile:  # which would take plain numbers for constants, and compile for each new one
            numbers = torch.tensor(numbers, device=self.device).unbind()
        rollout = buffer.rollout(config.n_steps)
        chunked = ChunkedRollout(rollout, config.chunk, self.device) if config.memory else None
        batch = self._batch(rollout, chunked)
        if self.prior is not None:
            self.prior.watch(rollout, config.chunk, self.device)
        if not len(batch):
            if self.prior is not None:
                self.prior.keep()
            return {"train/gradient_steps": 0.0}
        if config.critic_warmup and done < config.critic_warmup and not self._warmed:
            return self._warm_up(rollout, batch, chunked, progress)

        terms: list[dict[str, Tensor]] = []
        steps, stopped = 0, False
        with self.descent.update(config, progress):
            for index, part, chunks in self._minibatches(batch, chunked):
                observation = to_device(rollout.observation(index), self.device)
                if len(part) == 1 and config.normalize_advantage:  # which has no deviation of its own
                    part = replace(part, advantage=normalized(part.advantage, batch.advantage))
                prior = []
                if self.prior is not None and held:
                    said = self.prior.distribution(observation, index, chunks)
                    prior = [(held * config.prior_coefficient, said)]
                with learning(self.policy):
                    # The minibatch that ends the update counts too: its KL is what the last step did.
                    terms.append(self._differentiate(observation, part, *numbers, chunks, *prior))
                stopped = bool(config.target_kl and terms[-1]["approx_kl"].item() > 1.5 * config.target_kl)
                if stopped:
                    break
                self.descent.step()
                steps += 1
            seen = drawn_observations(rollout, batch, self.generator, self.device) if self.normalizes else None
            metrics = self.descent.settle(terms, seen, lambda: self._crash_data(batch, rollout))
        log_choices = metrics.pop("train/log_choices", self.policy.heads.layout.log_choices)
        if self.prior is not None:
            self.prior.keep()
            metrics["train/prior_weight"] = held
        return metrics | {
            "train/max_kl": torch.stack([each["approx_kl"] for each in terms]).max().item(),
            "train/entropy_fraction": metrics["train/entropy"] / (log_choices or np.nan),
            "train/explained_variance": explained_variance(batch.value, batch.returns),
            "train/clip": clip,
            "train/gradient_steps": steps,
            "train/stopped_by_kl": float(stopped),
        }

    def _warm_up(
        self, rollout: Rollout, batch: Judged, chunked: ChunkedRollout | None, progress: float
    ) -> dict[str, float]:
        """An update of the critic alone; no weight and no statistic of the policy changes."""
        config, vector = self.config, self.descent.weights.vector.data
        explained, before, of_critic = explained_variance(batch.value, batch.returns), vector.clone(), self._of_critic
        terms: list[dict[str, Tensor]] = []
        with self.descent.update(config, progress):
            for index, part, chunks in self._minibatches(batch, chunked):
                # Not in train() mode, which might change statistics of a network of the user's own.
                value = self.policy(to_device(rollout.observation(index), self.device), chunks)[1]
                loss = squared_value_loss(value, part.value, part.returns, config.value_clip)
                terms.append(self.descent.differentiate(config.value_coefficient * loss, {"value_loss": loss}))
                self.descent.step()
                vector.copy_(torch.where(of_critic, vector, before))  # an optimizer that had begun has momentum
            metrics = self.descent.settle(terms, None, lambda: self._crash_data(batch, rollout))
        if self.prior is not None:
            self.prior.keep()
        self._warmed = explained > WARM
        return metrics | {"train/explained_variance": explained, "train/critic_warmup": 1.0}

    @functools.cached_property
    def _of_critic(self) -> Tensor:
        return entries_of_critic(self.policy)

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        prior = None if self.prior is None else self.prior.state()
        return super().state() | {"prior": prior, "warmed": self._warmed}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        super().load_state(state)
        prior, self._warmed = state.get("prior"), state.get("warmed", False)
        if prior is None:
            self.prior = None
        else:
            self.prior = self.prior or Prior(self.policy)
            self.prior.load_state(prior)

    def _minibatches(
        self, batch: Judged, chunked: ChunkedRollout | None
    ) -> Iterator[tuple[Tensor, Judged, Chunks | None]]:
        """Positions of rows; those of them that are learned from; and how they hang together."""
        config = self.config
        for epoch in range(config.epochs):
            if chunked is None:
                for part in batch.shuffled(config.minibatch_size, self.generator):
                    yield part.index, part, None
                continue
            if epoch and config.memory_refresh:
                chunked.refresh(self.policy.remember)
            yield from batch.in_chunks(chunked, config.minibatch_size, self.generator)

    def _gradient(self, observation: Observation, part: Judged, *rest: Any) -> dict[str, Tensor]:
        return self.descent.differentiate(*self._loss(observation, part, *rest))

    def _loss(
        self,
        observation: Observation,
        part: Judged,
        clip: float,
        entropy_coefficient: float,
        chunks: Chunks | None,
        prior: tuple[float, ActionDistribution] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        distribution, value = self.policy(observation, chunks)
        alone = len(part) == 1  # and scaled already
        advantage = normalized(part.advantage) if config.normalize_advantage and not alone else part.advantage
        log_ratio = distribution.log_prob(part.action) - part.log_prob
        ratio = log_ratio.exp()
        policy_loss = clipped_policy_loss(ratio, advantage, clip)
        value_loss = squared_value_loss(value, part.value, part.returns, config.value_clip)
        loss = policy_loss + config.value_coefficient * value_loss
        if config.entropy_coefficient:
            loss = loss - entropy_coefficient * distribution.entropy_bonus().mean()
        if prior is not None:
            divergence = prior[1].divergence(distribution).mean()
            loss = loss + prior[0] * divergence
        with torch.no_grad():
            change = ratio - 1
            terms = {
                "loss": loss,
                "policy_loss": policy_loss,
                "value_loss": value_loss,
                "entropy": distribution.entropy().mean(),
                # Schulman's k3: unbiased, positive, low variance (joschu.net/blog/kl-approx.html).
                "approx_kl": (change - log_ratio).mean(),
                "clip_fraction": (change.abs() > clip).float().mean(),
            }
            if prior is not None:
                terms["prior_kl"] = divergence
            if self.policy.observation.mask_size:
                terms["log_choices"] = distribution.log_choices().mean()
        return loss, terms

    def _batch(self, rollout: Rollout, chunked: ChunkedRollout | None = None) -> Judged:
        config = self.config
        if not rollout.has("log_prob"):  # nor a value: a policy that acts fast leaves both for now
            index, chunks = (torch.arange(len(rollout)), None) if chunked is None else chunked.whole()
            action = rollout.column("action").flatten(0, 1)[index].to(self.device)
            judged = self.policy.judge(to_device(rollout.observation(index), self.device), action, chunks)
            for name, entries in judged.items():
                rollout.add_column(name, entries.cpu()[index.argsort()])
        o = Outcome.of(rollout, self.policy.value, config, self.device)
        with np.errstate(invalid="ignore"):  # an infinite reward is found, and said, after the update
            advantage = generalized_advantages(
                o.reward, o.value, o.following, o.terminated, o.truncated, o.transition, config.gamma, config.gae_lambda
            )
        returns = advantage + o.value
        index = learned_from(rollout)
        columns = (
            rollout.column("action"),
            rollout.column("log_prob"),
            torch.from_numpy(o.value),
            torch.from_numpy(advantage if config.baseline else returns),
            torch.from_numpy(returns),
        )
        return Judged(index, *(c.flatten(0, 1)[index].to(self.device) for c in columns))

    def _crash_data(self, batch: Batch, rollout: Rollout) -> dict[str, Tensor]:
        arrays = {name: getattr(batch, name) for name in batch.__dataclass_fields__}
        rows = batch.index
        if self.config.memory:  # which needs all rows, where episodes begin, and its state before each chunk
            rows = torch.arange(len(rollout))
            states = [rollout.state(row) for row in range(0, rollout.length, self.config.chunk)]
            arrays |= {f"state.{name}": torch.stack([state[name] for state in states]) for name in states[0]}
            arrays["start"] = rollout.column("age") == 0
        # Pictures would fill the disk.
        entries = {key: value for key, value in keyed(rollout.observation(rows)).items() if value.dtype != torch.uint8}
        arrays |= {f"observation.{key}" if key else "observation": value for key, value in entries.items()}
        return arrays | {"reward": rollout.column("reward")}


class A2CLearner(PPOLearner):
    """PPO as A2C: see :class:`A2CConfig`."""

    config_class: ClassVar[type] = A2CConfig
    for_pictures: ClassVar[PPOConfig] = A2CConfig()
    presets: ClassVar[Mapping[str, PPOConfig]] = {}


class REINFORCELearner(PPOLearner):
    """PPO as REINFORCE: see :class:`REINFORCEConfig`."""

    config_class: ClassVar[type] = REINFORCEConfig
    for_pictures: ClassVar[PPOConfig] = REINFORCEConfig()
    presets: ClassVar[Mapping[str, PPOConfig]] = {}


def clipped_policy_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's surrogate: the worse of the ratio and the clipped ratio, weighted by the advantage."""
    return -torch.min(advantage * ratio, advantage * ratio.clamp(1 - clip, 1 + clip)).mean()


def squared_value_loss(value: Tensor, old: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    """Half the mean squared error; with ``clip``, the worse of the value and the value kept close to the old one."""
    error = (value - returns).square()
    if clip is not None:
        error = torch.max(error, (old + (value - old).clamp(-clip, clip) - returns).square())
    return 0.5 * error.mean()


def normalized(advantage: Tensor, among: Tensor | None = None) -> Tensor:
    """Mean 0 and deviation 1, its own or that ``among`` others; without spread it only loses the mean."""
    # A float32 mean of equal values may miss them by a bit, and dividing by that "spread" makes it +-1.
    mean = (advantage if among is None else among).mean(dtype=torch.float64)
    centred = advantage - mean
    spread = centred if among is None else among - mean
    return centred / (spread.square().mean().sqrt() + 1e-8)


def explained_variance(value: Tensor, returns: Tensor) -> float:
    """1 - Var(returns - value) / Var(returns): 1 is a perfect critic, 0 one that says nothing; NaN without spread."""
    spread = returns.var(unbiased=False)
    return float(1 - (returns - value).var(unbiased=False) / spread) if spread > 0 else float("nan")
