"""Behaviour cloning (Pomerleau 1991): acts as somebody has acted, from rows that are there already; no env is needed.

It trains the policy of another algorithm, which then goes on from it: PPO's by the likelihood of the actions, DQN's
likewise, with its values read as preferences. Both see what they would see in play, and no more.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hakisa_algos.data.lessons import Lessons
from hakisa_algos.data.needs import Nothing
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners import optimizers
from hakisa_algos.learners.agreement import Agreement
from hakisa_algos.learners.gradient import Descent, GradientLearner
from hakisa_algos.learners.learner import Facts
from hakisa_algos.learners.lesson_chunks import LessonChunks, Picked
from hakisa_algos.learners.offline import OfflineConfig
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.learners.validation import changed, check_config
from hakisa_algos.policy.heads import NEVER, ActionDistribution
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.observations import Observation, split_mask, to_device
from hakisa_algos.policy.policy import Chunks, acting, learning
from hakisa_algos.policy.q_heads import QValues

STUDENTS = ("ppo", "dqn")
# Values are preferences at this temperature: a clone that is sure of an action then values it by about 0.8 more than
# others, which is the margin of DQfD.
TEMPERATURE = 0.1
# Rows that the statistics of observations are taken from, once.
_NORMALIZER_ROWS = 4096


@dataclass(frozen=True)
class CloningConfig(OfflineConfig):
    """Hyperparameters of cloning; those of the policy are the other algorithm's."""

    chunk: int = 32
    """Rows in a row that a memory learns from."""
    weight_decay: float = 0.0
    """By this share of the step size all weights shrink at each step (AdamW): keeps few rows from being learned by
    heart. 0.01 is a usual one."""

    def __post_init__(self) -> None:
        """See :class:`hakisa_algos.learners.offline.OfflineConfig`."""
        super().__post_init__()
        check_config(self, positive=("chunk",), not_negative=("weight_decay",))


def student_config(algorithm: str, observation_space: spaces.Space[Any], changes: Mapping[str, Any]) -> Any:
    """The hyperparameters with which ``algorithm`` goes on from a clone.

    Raises:
        ConfigError: it cannot be taught by cloning, or a change that cannot be.
    """
    if algorithm not in STUDENTS:
        raise ConfigError(f"a clone cannot be made for {algorithm!r}; choose one of {', '.join(STUDENTS)}")
    learner = find_algorithm(algorithm)
    common = {"freeze_normalizer": True, "action_masks": False}  # recordings hold no masks
    own = {"own_critic": True} if algorithm == "ppo" else {"epsilon_start": 0.1}
    return changed(learner.default_config(observation_space), {**common, **own, **changes})


class CloningLearner:
    """See :class:`hakisa_algos.learners.learner.Learner`; :meth:`study` gives it what to learn from.

    Args:
        observation_space: of the env.
        action_space: of the env.
        config: of the cloning.
        num_envs: 1.
        seed: of the weights, the batches and the held-out episodes.
        device: where the policy lives.
        network: instead of the named one.
        algorithm: what it makes a policy for: ``"ppo"`` or ``"dqn"``.
        student: that algorithm's hyperparameters; default: :func:`student_config`.

    Attributes:
        lessons: what it learns from.
        agreement: how well the newest clone agrees with the held-out episodes.
        is_best: whether the newest clone is the best so far.
        best_loss: of the best clone, which is what a :meth:`student` begins from.
        best_report: how well that one agrees, as JSON.
    """

    config_class: ClassVar[type] = CloningConfig

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: CloningConfig,
        *,
        num_envs: int = 1,
        seed: int = 0,
        device: torch.device | None = None,
        network: NetworkFactory | None = None,
        algorithm: Literal["ppo", "dqn"] = "ppo",
        student: Any = None,
    ) -> None:
        self.config, self.seed, self.device = config, seed, device or torch.device("cpu")
        student = student or student_config(algorithm, observation_space, {})
        learner = cast(type[GradientLearner], find_algorithm(algorithm))
        self._make_student = functools.partial(
            learner,
            observation_space,
            action_space,
            student,
            num_envs=student.num_envs,
            seed=seed,
            device=self.device,
            network=network,
        )
        self.policy = self._make_student().policy
        self.generator = torch.Generator().manual_seed(seed)
        adam = functools.partial(
            optimizers.Adam,
            lr=config.learning_rate,
            fused=True,
            weight_decay=config.weight_decay,
            decoupled_weight_decay=True,
        )
        self.descent = Descent(self.policy, adam, self.generator, self.device)
        self.lessons: Lessons | None = None
        self.agreement: Agreement | None = None
        self._source: Any = None
        self._chunks: LessonChunks | None = None
        self._done = self._worse = 0
        self.is_best = False
        self.best_loss, self._best_weights = math.inf, self._weights()
        self.best_report: dict[str, Any] | None = None

    @classmethod
    def default_config(cls, observation_space: spaces.Space[Any], preset: str | None = None) -> CloningConfig:
        """The same for all."""
        return CloningConfig()

    def study(self, source: Any, idle: Any = None, alike: Sequence[int] = ()) -> Lessons:
        """Takes what to learn from, before the first update and after loading.

        Args:
            source: a buffer, stored rows, or what is read like them; of the env's spaces.
            idle: the action that does nothing, whose runs are thinned out; None: there is none.
            alike: delays that this one is compared with; see :meth:`hakisa_algos.data.lessons.Lessons.of`.

        Raises:
            ConfigError: there is too little, or it is of another action space.
        """
        config, layout = self.config, self.policy.heads.layout
        self._source = source
        self.lessons = lessons = Lessons.of(
            source,
            conditional=layout.conditional,
            delay=config.delay,
            alike=alike,
            held_out=config.held_out,
            balance=config.balance,
            idle=None if idle is None else np.asarray(idle),
            idle_run=config.idle_run,
            seed=self.seed,
        )
        if lessons.action.shape[1:] != layout.shape:
            raise ConfigError(
                f"the rows hold actions of the shape {lessons.action.shape[1:]}; the env's have {layout.shape}"
            )
        length = config.chunk if getattr(self.policy, "memory", None) is not None else 1
        self._chunks = LessonChunks(lessons, length, self.device)
        if self.policy.normalizer is not None and not self._done:
            self._take_statistics(lessons)
        return lessons

    def facts(self) -> Facts:
        """Nothing is collected; it ends when the held-out episodes say so."""
        total = self._done if self._worse >= self.config.patience else self.config.total_steps
        return Facts(Nothing(self._done), total, keep_observations=False)

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Some gradient steps, and a look at the held-out episodes; the buffer is not looked at."""
        if self._chunks is None:
            raise ConfigError("there is nothing to learn from: call learner.study(rows) first")
        config, terms = self.config, []
        steps = min(config.update_steps, config.total_steps - self._done)
        if self._chunks.length > 1:
            self._chunks.remember(self.policy, self._observation)
        with self.descent.update(cast(Any, config), self._done / config.total_steps):
            for _ in range(steps):
                picked = self._chunks.draw(config.batch_size, self.generator)
                observation = self._observation(picked.seen)
                with learning(self.policy, imitating=True):
                    loss, each = self._loss(observation, picked)
                    terms.append(self.descent.differentiate(loss, each))
                self.descent.step()
            metrics = self.descent.settle(terms, None, lambda: {"position": picked.counted})
        self._done += steps
        return metrics | self._examine()

    def distribution(self, observation: Observation, chunks: Chunks | None = None) -> ActionDistribution:
        """Of actions, whichever algorithm the policy is of."""
        said = self.policy(observation) if chunks is None else self.policy(observation, chunks)
        if isinstance(said, QValues):
            return ActionDistribution(cast(Any, said.heads), said.log_probs(TEMPERATURE))
        distribution: ActionDistribution = said[0]
        return distribution

    def _loss(self, observation: Observation, picked: Picked) -> tuple[Tensor, dict[str, Tensor]]:
        assert self._chunks is not None
        action, weight = self._chunks.action[picked.counted], self._chunks.weight[picked.counted]
        log_prob = self.distribution(observation, picked.chunks).log_prob(action)
        forbidden = log_prob < NEVER / 2  # by the action mask: what was done, but cannot be
        log_prob = log_prob.masked_fill(forbidden, 0.0)
        loss = -(weight * log_prob).sum() / weight.sum().clamp_min(1e-6)
        return loss, {"loss": loss, "forbidden": forbidden.float().mean()}

    def _examine(self) -> dict[str, float]:
        """How well the clone agrees with what was done in the held-out episodes; the best clone is kept."""
        assert self._chunks is not None
        agreement = Agreement(self.policy.heads)
        with torch.inference_mode(), acting(self.policy):
            for picked in self._examined():
                distribution = self.distribution(self._observation(picked.seen), picked.chunks)
                agreement.add(distribution, self._chunks.action[picked.counted], self._chunks.weight[picked.counted])
        self.agreement = agreement
        metrics = agreement.metrics()
        self.is_best = metrics["held_out/loss"] < self.best_loss
        if self.is_best:
            self.best_loss, self.best_report = metrics["held_out/loss"], agreement.report()
            self._worse, self._best_weights = 0, self._weights()
        else:
            self._worse += 1
        return metrics | {"held_out/best_loss": self.best_loss}

    def _examined(self) -> Iterator[Picked]:
        assert self._chunks is not None
        if self._chunks.length > 1:
            self._chunks.remember(self.policy, self._observation)
        return self._chunks.held_out(self.config.batch_size)

    def _observation(self, index: Tensor) -> Observation:
        assert self.lessons is not None
        return to_device(self._source.observation(self.lessons.position[index.cpu().numpy()]), self.device)

    def _take_statistics(self, lessons: Lessons) -> None:
        rows = np.flatnonzero((lessons.weight > 0) & ~lessons.held_out)
        rng = np.random.Generator(np.random.Philox(self.seed))
        rows = np.sort(rng.choice(rows, min(_NORMALIZER_ROWS, len(rows)), replace=False))
        for part in np.array_split(rows, -(-len(rows) // 256)):
            self.policy.normalizer.update(split_mask(self._observation(torch.from_numpy(part)))[0])

    def _weights(self) -> dict[str, Tensor]:
        return {name: entries.clone() for name, entries in self.policy.state_dict().items()}

    def student(self) -> GradientLearner:
        """A new learner of the algorithm that begins from the best clone so far."""
        made = self._make_student()
        made.begin_from(self._best_weights)
        return made

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`; the rows are not in it."""
        return self.descent.state() | {
            "done": self._done,
            "worse": self._worse,
            "best": self.best_loss,
            "best_report": self.best_report,
            "best_weights": self._best_weights,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        self.descent.load_state(state)
        self._done, self._worse, self.best_loss = state["done"], state["worse"], state["best"]
        self.best_report = state["best_report"]
        self._best_weights = dict(state["best_weights"])
