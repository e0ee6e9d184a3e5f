"""Q-learning from recordings alone: DQN's, with the margin of DQfD (Hester et al. 2018) on what a person did.

Without an env nothing contradicts a value that is too high: what was never tried is overvalued, and then bootstrapped
from. So it stops as soon as held-out values exceed what was observed: the mean value of what was done in held-out rows
is set against the mean return that followed in these very rows. Play that is better than what was recorded is worth
more than that, so values may lie above it by as much as these returns scatter, one standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.lessons import Lessons
from hakisa_algos.data.replay import ReplaySampler, Transitions
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.cloning import TEMPERATURE
from hakisa_algos.learners.consolidation import ConsolidationConfig, Consolidator
from hakisa_algos.learners.dqn import pointwise_loss
from hakisa_algos.learners.lesson_chunks import Picked
from hakisa_algos.learners.validation import check_config
from hakisa_algos.policy.heads import ActionDistribution
from hakisa_algos.policy.policy import acting, learning
from hakisa_algos.policy.q_heads import QValues


@dataclass(frozen=True)
class OfflineQConfig(ConsolidationConfig):
    """Hyperparameters of Q-learning from recordings; discount, steps, loss and margin are the agent's own."""

    target_every: int = 200
    """Gradient steps between copies to the target network. More is stabler and slower."""
    person_share: float = 0.5
    """Share of each batch that is drawn from a person's rows, where both a person and the agent have played."""

    def __post_init__(self) -> None:
        """See :class:`hakisa_algos.learners.consolidation.ConsolidationConfig`."""
        super().__post_init__()
        check_config(self, positive=("target_every",), shares=("person_share",))


class OfflineQLearner(Consolidator):
    """See :class:`hakisa_algos.learners.consolidation.Consolidator`.

    Held-out errors do not tell how good values are, so the newest policy that may be kept is the best one.
    """

    config_class: ClassVar[type] = OfflineQConfig

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sampler = ReplaySampler(1, 1, self._learner.config.n_step)
        self._rows: tuple[np.ndarray, np.ndarray] | None = None
        self._observed = self._scatter = math.nan  # of the returns of held-out rows

    def study(self, source: Any, idle: Any = None) -> Lessons:
        """See :class:`hakisa_algos.learners.consolidation.Consolidator`."""
        lessons = super().study(source, idle)
        learned = source.take("learned", lessons.position) & (lessons.weight > 0) & ~lessons.held_out
        person, own = np.flatnonzero(learned & self._person), np.flatnonzero(learned & ~self._person)
        self._rows = person, own
        self._gained = self._returns(np.zeros(len(lessons), np.float32), 1.0)
        followed = self._gained[lessons.held_out]
        self._observed, self._scatter = float(followed.mean()), float(followed.std())
        return lessons

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Some gradient steps, and a look at the held-out episodes; the buffer is not looked at."""
        if self.lessons is None:
            raise ConfigError("there is nothing to learn from: call learner.study(rows) first")
        if math.isnan(self._floor):  # the agent as it came is the first candidate
            self._place()
            self._judge()
        config, learner, terms = self.config, self._learner, []
        steps = min(config.update_steps, config.total_steps - self._done)
        with learner.descent.update(config, self._done / config.total_steps):
            for step in range(self._done + 1, self._done + steps + 1):
                batch, action, shown = self._draw()
                targets = learner.targets(batch)
                with learning(self.policy):
                    loss, each = self._loss(batch, targets, action, shown)
                    terms.append(learner.descent.differentiate(loss, each))
                learner.descent.step()
                if step % config.target_every == 0:
                    learner.move_target(1.0)
            metrics: dict[str, float] = learner.descent.settle(terms, None, lambda: {"position": batch.position})
        self._done += steps
        return metrics | self._judge()

    def _draw(self) -> tuple[Transitions, Tensor, int]:
        """A batch; what was done about its observations, by who reacts late a little later; and how many are a
        person's, which come first.
        """
        assert self._rows is not None
        assert self.lessons is not None
        (person, own), size = self._rows, self.config.batch_size
        share = self.config.person_share if len(own) else 1.0
        shown = round(share * size) if len(person) else 0
        parts = [self._learner.rng.choice(rows, n) for rows, n in ((person, shown), (own, size - shown)) if n]
        row = np.concatenate(parts)
        batch = self._sampler.at(self._source, self.lessons.position[row]).to(self.device)
        return batch, torch.from_numpy(self.lessons.action[row]).to(self.device), shown

    def _loss(
        self, batch: Transitions, targets: Tensor, action: Tensor, shown: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config = self._learner.config
        values: QValues = self.policy(batch.observation)
        chosen = values.of(batch.action)
        error = chosen - targets
        margin = values.margin_loss(action, config.margin)[:shown].sum() / len(batch)
        loss = pointwise_loss(error, config.loss).mean() + config.margin_coefficient * margin
        terms = {"loss": loss, "q_value": chosen.mean(), "td_error": error.abs().mean(), "margin_loss": margin}
        return loss, terms

    def _place(self) -> None:
        """Moves all values by one number to where returns were: those of a clone are preferences, and lie anywhere."""
        assert self.lessons is not None
        rows = np.flatnonzero(self.lessons.held_out)
        with torch.inference_mode(), acting(self.policy):
            found = [self.policy(self._observation(part)).of(self._taken(part)) for part in self._parts(rows)]
        self.policy.heads.shift(float(self._gained[rows].mean()) - float(torch.cat(found).mean()))
        self._learner.move_target(1.0)
        self._best_weights = self._weights()

    def _say(self, picked: Picked) -> ActionDistribution:
        self._values: QValues = self.policy(self._observation(picked.seen))
        return ActionDistribution(self.policy.heads, self._values.log_probs(TEMPERATURE))

    def _judge(self) -> dict[str, float]:
        """How high the values of what was done in held-out rows are, and how likely the reference there is now."""
        found: list[Tensor] = []
        agreement = self._examine(lambda rows, said: found.append(self._values.of(self._taken(rows))))
        value, limit = float(torch.cat(found).mean()), self._observed + self._scatter
        too_high = self._done > 0 and value > limit
        metrics = self._look(math.inf if too_high else -float(self._done), agreement)
        if too_high:
            self._worse = self.config.patience
        return metrics | {"held_out/q_value": value, "held_out/observed": self._observed, "held_out/q_limit": limit}

    def _parts(self, rows: np.ndarray) -> tuple[Tensor, ...]:
        return torch.split(torch.from_numpy(rows), self.config.batch_size)

    def _taken(self, rows: Tensor) -> Tensor:
        """What was done in the rows themselves."""
        assert self.lessons is not None
        action = self._source.take("action", self.lessons.position[rows.numpy()])
        return torch.from_numpy(action).to(self.device)

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`; the rows are not in it."""
        target = dict(self._learner.target.state_dict())
        descent: dict[str, Any] = self._learner.descent.state()
        return descent | super().state() | {"target": target}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        self._learner.descent.load_state(state)
        super().load_state(state)
        self._learner.target.load_state_dict(state["target"])
