"""What learning offline from recordings has in common: an agent to begin from, rows, and what keeps it from harm.

No env is played in, so nothing tells whether the agent plays better; held-out episodes must. Some of their rows are a
reference: those in which was done what the agent, as it came, would have done itself; a person's, where a person has
played. Such actions must not become less likely than they were, else a candidate is refused; the agent as it came is
the first candidate. So bad play, whose returns are mostly luck, cannot spoil it; and a person's slips may be unlearned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.data.lessons import PERSON, Lessons, marked
from hakisa_algos.data.needs import Nothing
from hakisa_algos.data.returns import generalized_advantages
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.learners.agreement import Agreement
from hakisa_algos.learners.config import Shape
from hakisa_algos.learners.gradient import GradientLearner
from hakisa_algos.learners.learner import Facts
from hakisa_algos.learners.lesson_chunks import LessonChunks, Picked
from hakisa_algos.learners.offline import OfflineConfig
from hakisa_algos.policy.heads import ActionDistribution
from hakisa_algos.policy.observations import Observation, to_device
from hakisa_algos.policy.policy import acting


@dataclass(frozen=True)
class ConsolidationConfig(OfflineConfig):
    """Hyperparameters of consolidation, of whichever algorithm: it goes on from what can play already, so carefully."""

    learning_rate: float = 1e-4
    learning_rate_schedule: Shape = "constant"


class Consolidator:
    """See :class:`hakisa_algos.learners.learner.Learner`; :meth:`study` gives it what to learn from.

    Args:
        make: makes a learner of the algorithm, with the weights of the agent to begin from.
        config: of the consolidation.
        seed: of the batches and the held-out episodes.
        device: where the policy lives.

    Attributes:
        policy: what learns.
        lessons: what it learns from.
        is_best: whether the newest policy is the best so far, which is what a :meth:`student` begins from.
        accepted: how many times one was.
        best_report: how well that one agrees with the held-out rows, as JSON.
    """

    config_class: ClassVar[type] = ConsolidationConfig

    def __init__(self, make: Callable[[], GradientLearner], config: Any, *, seed: int, device: torch.device) -> None:
        self.config, self.seed, self.device = config, seed, device
        self._make_student = make
        self._learner: Any = make()
        self.policy = self._learner.policy
        self.lessons: Lessons | None = None
        self.is_best, self.accepted = True, 0  # so far
        self.best_report: dict[str, Any] | None = None
        self._source: Any = None
        self._chunks: LessonChunks | None = None
        self._reference: Tensor | None = None  # bool, of all rows
        self._done = self._worse = 0
        self._floor = math.nan  # the likelihood of the reference in the beginning
        self._best_loss, self._best_weights = math.inf, self._weights()

    @classmethod
    def default_config(cls, observation_space: Any, preset: str | None = None) -> Any:
        """The same for all."""
        return cls.config_class()

    def study(self, source: Any, idle: Any = None) -> Lessons:
        """Takes what to learn from, before the first update and after loading.

        Args:
            source: rows of one column, of the agent's spaces, each episode followed by a row with its last observation.
            idle: the action that does nothing, whose runs are thinned out; None: there is none.

        Raises:
            ConfigError: there is too little.
        """
        config, layout = self.config, self.policy.heads.layout
        self._source = source
        self._person = marked(source, PERSON, np.arange(source.rows))
        self.lessons = lessons = Lessons.of(
            source,
            conditional=layout.conditional,
            delay=np.where(self._person, config.delay, 0),
            held_out=config.held_out,
            balance=config.balance,
            idle=None if idle is None else np.asarray(idle),
            idle_run=config.idle_run,
            seed=self.seed,
        )
        self._chunks = LessonChunks(lessons, self._length(), self.device)
        names = ("terminated", "truncated", "transition")
        ends = (source.take(name, lessons.position)[:, None] for name in names)
        reward = self._learner.config.shaped(source.rewards(lessons.position))[:, None]
        self._outcome = (np.asarray(reward, np.float32), *ends)
        return lessons

    def facts(self) -> Facts:
        """Nothing is collected; it ends when the held-out episodes say so."""
        spent, most = self._before()
        end = self._done if self._worse >= self.config.patience else self.config.total_steps
        return Facts(Nothing(spent + self._done), most + end, keep_observations=False)

    def update(self, buffer: RolloutBuffer) -> dict[str, float]:
        """Some gradient steps, and a look at the held-out episodes; the buffer is not looked at."""
        raise NotImplementedError

    def _before(self) -> tuple[int, int]:
        """Gradient steps that come before the policy's: done so far, and at most."""
        return 0, 0

    def _length(self) -> int:
        """Rows in a row that are learned from together."""
        return 1

    def _say(self, picked: Picked) -> ActionDistribution:
        """What the policy would do in some rows."""
        raise NotImplementedError

    def _returns(self, value: np.ndarray, return_lambda: float) -> np.ndarray:
        """Lambda-returns of all rows; ``value`` is that of their observations, ``[rows]``."""
        reward, terminated, truncated, transition = self._outcome
        value = value[:, None]
        following = np.concatenate([value[1:], value[:1]])  # the row after an episode's last holds its last observation
        gamma = self._learner.config.gamma
        ends = terminated, truncated, transition
        advantage = generalized_advantages(reward, value, following, *ends, gamma, return_lambda)
        returns: np.ndarray = (advantage + value)[:, 0]
        return returns

    def _examine(self, see: Callable[[Tensor, ActionDistribution], None]) -> Agreement:
        """How well the policy agrees with the reference; ``see`` is told what it says of all held-out rows."""
        assert self._chunks is not None
        if self._chunks.length > 1:
            self._chunks.remember(self.policy, self._observation)
        agreement = Agreement(self.policy.heads)
        with torch.inference_mode(), acting(self.policy):
            if self._reference is None:
                self._reference = self._find_reference(self._chunks)
            for picked in self._chunks.held_out(self.config.batch_size):
                rows, said = picked.counted, self._say(picked)
                see(rows, said)
                chosen = self._reference[rows]
                if chosen.any():
                    part = ActionDistribution(said.heads, said.log_probs[chosen.to(self.device)])
                    agreement.add(part, self._chunks.action[rows[chosen]], self._chunks.weight[rows[chosen]])
        return agreement

    def _find_reference(self, chunks: LessonChunks) -> Tensor:
        assert self.lessons is not None
        among, heads = self.lessons.held_out, self.policy.heads
        if (self._person & among).any():
            among = among & self._person
        reference = np.zeros_like(among)
        for picked in chunks.held_out(self.config.batch_size):
            rows, said = picked.counted, self._say(picked)
            done = heads.decode(heads.encode(chunks.action[rows]))
            reference[rows.numpy()] = (said.mode() == done).reshape(len(rows), -1).all(1).cpu().numpy()
        reference &= among
        return torch.from_numpy(reference if reference.any() else among)

    def _look(self, loss: float, agreement: Agreement) -> dict[str, float]:
        """Keeps the policy if it is better, and the reference no less likely than at first; returns metrics."""
        metrics = agreement.metrics()
        likelihood = metrics["held_out/likelihood"]
        first = math.isnan(self._floor)
        if first:
            self._floor = likelihood
        self.is_best = first or (loss < self._best_loss and likelihood >= self._floor)
        if self.is_best:
            self._best_loss, self._best_weights, self._worse = loss, self._weights(), 0
            self.best_report, self.accepted = agreement.report(), self.accepted + (not first)
        else:
            self._worse += 1
        return metrics | {"held_out/kept": float(self.is_best)}

    def _observation(self, index: Tensor) -> Observation:
        assert self.lessons is not None
        return to_device(self._source.observation(self.lessons.position[index.cpu().numpy()]), self.device)

    def _weights(self) -> dict[str, Tensor]:
        return {name: entries.clone() for name, entries in self.policy.state_dict().items()}

    def student(self) -> GradientLearner:
        """A new learner of the algorithm that begins from the best policy so far."""
        made = self._make_student()
        made.begin_from(self._best_weights)
        return made

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`; the rows are not in it."""
        return {
            "done": self._done,
            "worse": self._worse,
            "floor": self._floor,
            "accepted": self.accepted,
            "best": self._best_loss,
            "best_report": self.best_report,
            "best_weights": self._best_weights,
            "reference": self._reference,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        self._done, self._worse, self._floor = state["done"], state["worse"], state["floor"]
        self.accepted, self._best_loss, self.best_report = state["accepted"], state["best"], state["best_report"]
        self._best_weights, self._reference = dict(state["best_weights"]), state["reference"]
