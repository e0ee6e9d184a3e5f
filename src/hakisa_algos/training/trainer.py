"""The loop that every algorithm runs in: collect, update, log, check, save. It knows none of them by name."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from hakisa_algos.data.collect import Collector, Rows
from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.concurrent import ConcurrentCollector, make_collector
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import BudgetSpent, ConfigError, NonFiniteError
from hakisa_algos.learners.learner import Learner
from hakisa_algos.training.checkpoint import mark_best, save_checkpoint
from hakisa_algos.training.collapse import CollapseConfig, CollapseDetector
from hakisa_algos.training.metrics import Sink
from hakisa_algos.training.signals import StopSignals
from hakisa_algos.training.statistics import EpisodeStatistics
from hakisa_algos.training.stopwatch import Stopwatch

logger = logging.getLogger(__name__)

CollapseAction = Literal["warn", "restore", "off"]
# A callback sees the trainer and the metrics of the last update; returning False stops the run.
Callback = Callable[["Trainer", Mapping[str, float]], bool | None]


def check_collapse(action: str) -> None:
    """Refuses what is not a :data:`CollapseAction`.

    Raises:
        ConfigError: it names the value and the choices.
    """
    if action not in get_args(CollapseAction):
        raise ConfigError(f"collapse={action!r} must be 'warn', 'restore' or 'off'")


class View(Protocol):
    """Shows a run to a person."""

    def update(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def notice(self, text: str) -> None: ...


class Trainer:
    """Runs one learner on one vector env.

    Args:
        learner: what learns.
        envs: what it learns in; closed by whoever made them.
        seed: of the run: envs, action sampling and minibatches.
        device: where the policy lives.
        sinks: where metrics go.
        view: who shows them.
        callbacks: called after every update; False stops.
        evaluation: called every ``evaluate_every`` env steps; returns metrics, of which ``eval/mean_reward``
            decides which checkpoint is the best.
        evaluate_every: env steps between evaluations; 0 never.
        checkpoints: folder to save in; None saves nothing.
        checkpoint_every: env steps between checkpoints; one more is always written at the end.
        checkpoint_replay: ``"latest"`` saves the rows that later updates still read, ``"never"`` does not.
        collapse: what to do when the policy collapses: ``"warn"``, ``"restore"`` (the weights and optimizer of
            the best stretch, at half the learning rate), or ``"off"``.
        window: episodes that the means of return and length are over.
        identity: stored in every checkpoint: what is needed to build the same run again.
        make_envs: makes the same envs again, for learners that play in several processes.

    Attributes:
        buffer: what was collected.
        statistics: of finished episodes.
        stopped_by: why :meth:`train` came back early, or None.
        budget_spent: whether that was for want of env steps, so that it is the end that was asked for.
    """

    def __init__(
        self,
        learner: Learner,
        envs: VectorEnv[Any, Any, Any],
        *,
        seed: int = 0,
        device: torch.device | None = None,
        sinks: Sequence[Sink] = (),
        view: View | None = None,
        callbacks: Sequence[Callback] = (),
        evaluation: Callable[[], Mapping[str, float]] | None = None,
        evaluate_every: int = 0,
        checkpoints: Path | None = None,
        checkpoint_every: int = 100_000,
        checkpoint_replay: Literal["latest", "never"] = "latest",
        collapse: CollapseAction = "warn",
        window: int = 100,
        identity: Mapping[str, Any] | None = None,
        make_envs: Callable[[], VectorEnv[Any, Any, Any]] | None = None,
    ) -> None:
        check_collapse(collapse)
        self.learner = learner
        self.envs = envs
        self.sinks = list(sinks)
        self.view = view
        self.callbacks = list(callbacks)
        self.evaluation = evaluation
        self.evaluate_every = evaluate_every
        self.checkpoints = checkpoints
        self.checkpoint_every = checkpoint_every
        self.checkpoint_replay = checkpoint_replay
        self.collapse = collapse
        self.identity = dict(identity or {})
        layout = learner.policy.observation
        self.buffer = RolloutBuffer(
            learner.capacity,
            envs.num_envs,
            layout,
            FrameStack.of(envs.metadata, layout.raw_space, layout.space),
            learner.keep_observations,
        )
        own_collector = getattr(learner, "make_collector", None)
        self.collector: Collector = (
            own_collector(envs, self.buffer, make_envs)
            if own_collector
            else make_collector(envs, learner.policy, self.buffer, seed, device)
        )
        self.statistics = EpisodeStatistics(window)
        target_kl = getattr(learner.config, "target_kl", None)
        self._detector = CollapseDetector(CollapseConfig(**({"target_kl": target_kl} if target_kl else {})))
        self._best_state: dict[str, Any] | None = None
        self._best_evaluation = -math.inf
        self._saved: tuple[Path | None, int] | None = None
        self._signalled = False
        self.stopped_by: str | None = None
        self.budget_spent = False

    @property
    def step(self) -> int:
        """Env steps of the run so far."""
        return self.buffer.steps

    def train(self) -> None:
        """Runs until the learner's ``total_steps``, a callback's False, SIGINT or SIGTERM; then saves.

        So does an exception whose attribute ``stop_training`` is true: an env raises it when a person has ended the
        game for good. What was collected since the last update is then not learned from.

        Raises:
            NonFiniteError: see :class:`Learner`; a crash file is written, and no checkpoint.
        """
        self.stopped_by, self.budget_spent = None, False
        with StopSignals() as signals:
            try:
                self._loop(signals)
            except Exception as error:
                if not getattr(error, "stop_training", False):
                    raise
                self.stopped_by = type(error).__name__
                self.budget_spent = isinstance(error, BudgetSpent)
                self._notice(f"{self.stopped_by}: {error}")
            finally:
                self.collector.close()
            self._save_once()

    def _loop(self, signals: StopSignals) -> None:
        watch, first = Stopwatch(self.learner, self.collector, self.envs.num_envs), self.step
        beside = self._beside()
        while self.step < self.learner.config.total_steps and not self.stopped_by:
            before = self.step
            if beside is None:
                self.collector.collect(self.learner.need)
            self.collector.pause()  # until the next collection: a game in real time must not run on unattended
            try:
                metrics = self._learn(watch, beside) | watch.metrics(self.step - first)
                if self._passed(before, self.evaluate_every):
                    metrics |= self._evaluate()
                self._tell(metrics)
                self.stopped_by = signals.name or self.stopped_by
                if self._passed(before, self.checkpoint_every):
                    self._save_once()
            finally:
                self.collector.resume()

    def save(self) -> Path | None:
        """Writes a checkpoint now; never during an update. Rows since the last one do not count when it is resumed."""
        if self.checkpoints is None:
            return None
        path = save_checkpoint(self.checkpoints, self.state())
        self._saved = (self.checkpoints, self.step)
        return path

    def _save_once(self) -> None:
        if self._saved != (self.checkpoints, self.step):
            self.save()

    def _beside(self) -> ConcurrentCollector | None:
        """What plays while the learner learns, where both can."""
        collector = self.collector
        if not (isinstance(collector, ConcurrentCollector) and getattr(self.learner, "learns_beside", False)):
            return None
        return collector if collector.plays_beside else None

    def _learn(self, watch: Stopwatch, beside: ConcurrentCollector | None) -> dict[str, float]:
        def update() -> dict[str, float]:
            return watch.update(lambda: self.learner.update(self.buffer))

        try:
            if beside is not None:
                rows = self.learner.need
                assert isinstance(rows, Rows)
                metrics = beside.collect_beside(rows, update)
                returns = self._count_episodes()
            else:
                returns = self._count_episodes()
                metrics = update()
            self.buffer.episodes()
            self._watch(returns, metrics)
        except NonFiniteError as error:
            self._crash(error)
            raise
        return {
            "rollout/ep_rew_mean": self.statistics.mean_return,
            "rollout/ep_len_mean": self.statistics.mean_length,
            "rollout/episodes": self.statistics.count,
        } | metrics

    def _tell(self, metrics: Mapping[str, float]) -> None:
        for sink in self.sinks:
            sink.write(self.step, metrics)
        if self.view:
            self.view.update(self.step, metrics)
        for callback in self.callbacks:
            if callback(self, metrics) is False:
                self.stopped_by = "callback"

    def _count_episodes(self) -> list[float]:
        episodes = list(self.buffer.finished)
        for episode in episodes:
            self.statistics.add(episode.total, episode.length)
        best = self.statistics.best_mean_return
        if self.collapse == "restore" and episodes and self.statistics.mean_return >= best:
            # Before the update, which may be the fatal one: it is these weights that played those episodes. (Learners
            # that learn beside are not restored: no KL tells of their collapse.)
            self._best_state = _copied(self.learner.state())
        return [episode.total for episode in episodes]

    def _watch(self, returns: list[float], metrics: Mapping[str, float]) -> None:
        if self.collapse == "off":
            return
        kl = metrics.get("train/max_kl", metrics.get("train/approx_kl", math.nan))
        entropy, explained = (metrics.get(f"train/{n}", math.nan) for n in ("entropy_fraction", "explained_variance"))
        if self.collapse == "restore" and "train/n_updates" in metrics and math.isnan(kl) and not self._signalled:
            self._signalled = True
            self._notice("collapse='restore' can do nothing here: this algorithm logs no KL and no entropy")
        seen = self._detector.observe(returns, kl, entropy, explained)
        if seen is None:
            return
        text = str(seen)
        if self.collapse == "restore" and self._best_state is not None:
            scale = self.learner.state().get("learning_rate_scale", 1.0) / 2
            self.learner.load_state(_copied(self._best_state) | {"learning_rate_scale": scale})
            self._detector.rearm()
            text += f"; the best weights are back, at {scale:g} x the learning rate"
        self._notice(text)

    def _notice(self, text: str) -> None:
        if self.view:
            self.view.notice(text)
        else:
            logger.warning("step %d: %s", self.step, text)

    def _evaluate(self) -> Mapping[str, float]:
        if self.evaluation is None:
            return {}
        metrics = self.evaluation()
        mean = metrics.get("eval/mean_reward", -math.inf)
        if mean > self._best_evaluation:
            self._best_evaluation = mean
            path = self.save()
            if path:
                mark_best(path)
        return metrics

    def _passed(self, before: int, every: int) -> bool:
        return every > 0 and before // every != self.step // every

    def _crash(self, error: NonFiniteError) -> None:
        if self.checkpoints is None:
            return
        folder = self.checkpoints.parent / "crash"
        folder.mkdir(exist_ok=True)
        np.savez(folder / f"step_{self.step:09d}.npz", **error.arrays)
        (folder / f"step_{self.step:09d}.txt").write_text(f"{error}\n", encoding="utf-8")

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        rows = self.learner.remembered if self.checkpoint_replay == "latest" else 0
        return {
            "step": self.step,
            "identity": self.identity,
            "learner": self.learner.state(),
            "collector": self.collector.state(),
            "buffer": self.buffer.state(rows),
            "statistics": self.statistics.state(),
            "collapse": self._detector.state(),
            "best_state": self._best_state,
            "best_evaluation": self._best_evaluation,
        }

    def load_state(self, state: Mapping[str, Any]) -> bool:
        """Restores what :meth:`state` gave; returns whether the run goes on bit for bit."""
        self.learner.load_state(state["learner"])
        self.buffer.load_state(state["buffer"])
        exact = self.collector.load_state(state["collector"])
        self.statistics.load_state(state["statistics"])
        self._detector.load_state(state["collapse"])
        self._best_state = state["best_state"]
        self._best_evaluation = state["best_evaluation"]
        return exact


def _copied(value: Any) -> Any:
    """A deep copy of nested state, tensors included."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: _copied(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(entry) for entry in value)
    return value
