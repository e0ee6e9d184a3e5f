"""The loop that every algorithm runs in: collect, update, log, check, save. It knows none of them by name."""

from __future__ import annotations

import contextlib
import copy
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.contract import ASSISTS, FRAME_STACK, declared
from hakisa_algos.data.needs import Nothing, Rows
from hakisa_algos.data.notes import Note
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import ConfigError, NonFiniteError, ObservationError, PoolError, Stopped
from hakisa_algos.learners.learner import Facts, Learner
from hakisa_algos.training.checkpoint import Checkpoints
from hakisa_algos.training.chronicle import MAP, Chronicle
from hakisa_algos.training.collapse import CollapseDetector
from hakisa_algos.training.curriculum import CarryOn, Curriculum
from hakisa_algos.training.metrics import Sink
from hakisa_algos.training.now import NOW, NowPicture
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.pictures import Picture, PictureFile, write_png
from hakisa_algos.training.signals import StopSignals
from hakisa_algos.training.statistics import EpisodeStatistics
from hakisa_algos.training.stopwatch import Stopwatch
from hakisa_algos.training.stored_run import same_env

logger = logging.getLogger(__name__)

# Seconds after a signal within which an update is waited for: a run that is stopped after one goes on bit for bit.
_GRACE = 3.0
_STOPPING = (
    "saves and stops after this update or evaluation, or at the first step after 3 s; now it waits for {}; Ctrl+C "
    "again: at once, without saving"
)
# What the death of an env's process raises, and what Gymnasium passes on from one that heard Ctrl+C itself.
_DEATHS = (PoolError, EOFError, ConnectionError, KeyboardInterrupt)

# A callback sees the trainer and the metrics of the last update, to which it may add its own; returning False stops.
Callback = Callable[["Trainer", dict[str, float]], bool | None]
# Plays episodes and returns metrics; it is given what says whether the run is to stop, and then raises Stopped.
EvaluationRun = Callable[[Callable[[], bool]], Mapping[str, float]]


class View(Protocol):
    """Shows a run to a person: metrics, warnings, and how far something is that takes long."""

    def update(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def notice(self, text: str) -> None: ...

    def status(self, text: str) -> None: ...


class Trainer:
    """Runs one learner on one vector env.

    Args:
        learner: what learns.
        envs: what it learns in; closed by whoever made them. None: for learners that need none.
        options: how the run is run.
        seed: of the run: envs, action sampling and minibatches.
        device: where the policy lives.
        make_envs: makes the same envs again, for learners that play in several processes.

    Attributes:
        identity: stored in every checkpoint: what is needed to build the same run again.
        checkpoints: folder to save in; None saves nothing.
        sinks: where metrics go.
        view: who shows them.
        callbacks: called after every update, before sinks and view.
        evaluation: called every ``options.evaluate_every`` steps; of its metrics ``eval/mean_reward`` decides which
            checkpoint is the best.
        buffer: what was collected.
        statistics: of finished episodes.
        chronicle: what agents did, as far as infos say.
        stopped_by: why :meth:`train` came back early, or None.
    """

    def __init__(
        self,
        learner: Learner,
        envs: VectorEnv[Any, Any, Any] | None,
        options: RunOptions | None = None,
        *,
        seed: int = 0,
        device: torch.device | None = None,
        make_envs: Callable[[], VectorEnv[Any, Any, Any]] | None = None,
    ) -> None:
        self.learner = learner
        self.envs = envs
        self.options = options or RunOptions()
        self.identity: Mapping[str, Any] = {}
        self.checkpoints: Path | None = None
        self.sinks: Sequence[Sink] = ()
        self.view: View | None = None
        self.callbacks: Sequence[Callback] = ()
        self.evaluation: EvaluationRun | None = None
        facts, layout = learner.facts(), learner.policy.observation
        stack = None
        if envs is not None:
            stack = FrameStack.of(declared(envs, FRAME_STACK), layout.raw_space, layout.space)
        num_envs = 1 if envs is None else envs.num_envs
        self.buffer = RolloutBuffer(facts.capacity, num_envs, layout, stack, facts.keep_observations)
        self.buffer.action_space = None if envs is None else envs.single_action_space
        self.collector = Collector(envs, learner.policy, self.buffer, seed=seed, device=device, make_envs=make_envs)
        self.statistics = EpisodeStatistics()
        self.chronicle = Chronicle(num_envs, () if envs is None else declared(envs, ASSISTS, ()))
        self.collector.listener = self._hear
        self._detector = CollapseDetector(facts.target_kl)
        self._best_state: dict[str, Any] | None = None
        self._best_evaluation = -math.inf
        self._saving: Checkpoints | None = None
        self._saved: tuple[Path | None, int] | None = None
        self._now: NowPicture | None = None
        self._map: PictureFile | None = None
        self._curriculum: Curriculum | None = None
        self._carry_on: CarryOn | None = None
        self._told_of_no_kl = self._looked_at_keys = False
        self._doing = "the first step"  # what a signal would wait for
        self.stopped_by: str | None = None

    @property
    def step(self) -> int:
        """Env steps of the run so far; how far the learner is, where it needs none."""
        return self._step(self.learner.facts())

    def _step(self, facts: Facts) -> int:
        return facts.need.done if isinstance(facts.need, Nothing) else self.buffer.steps

    def train(self) -> None:
        """Runs until the learner's end, a callback's False, or SIGINT, SIGTERM or SIGHUP; then saves.

        A signal is heard at once: the update under way is finished if that takes no more than three seconds. Else the
        run stops at the next step, and what was collected since the last update is not learned from. So it is with an
        exception whose attribute ``stop_training`` is true: an env raises it when a person has ended the game for good.

        Raises:
            NonFiniteError: see :class:`Learner`; a crash file is written, and no checkpoint, unless it was an
                observation, of which nothing is in there yet.
            BaseException: what an env, a callback, a sink raised; what was learned until then is saved.
        """
        self.stopped_by = None
        self._begin_pictures()
        self._begin_curriculum()
        self.collector.info_keys, self._looked_at_keys = self.options.info_keys, False
        first = self.step
        failed: BaseException | None = None
        self._say_what_will_not_be()
        with StopSignals(_GRACE, lambda: _STOPPING.format(self._doing)) as signals:
            self.collector.stop = lambda: signals.overdue
            try:
                self._loop(signals, first)
            except Stopped:
                self.stopped_by = signals.name
                self._count_episodes()
                self.buffer.episodes()
            except BaseException as error:
                if signals.insisted:
                    raise
                if signals.name and isinstance(error, _DEATHS):
                    self.stopped_by = signals.name
                    self._notice(f"{signals.name} ended processes of the env, too: its last steps are lost")
                elif getattr(error, "stop_training", False):
                    self.stopped_by = type(error).__name__
                    self._notice(f"{self.stopped_by}: {error}")
                else:
                    failed = error
            finally:
                with contextlib.suppress(Exception) if failed or signals.name else contextlib.nullcontext():
                    self.collector.close()
                self._end_pictures()
            if failed is None or self.step > first:
                self._save_at_the_end(failed)
        if failed is not None:
            raise failed
        self._look_at_keys()

    def _say_what_will_not_be(self) -> None:
        """What a user would wait for in vain."""
        facts, step = self.learner.facts(), self.step
        # It ends with a whole collection; beside, the last one comes too late to be learned from.
        rows = facts.need.n * self.buffer.num_envs if isinstance(facts.need, Rows) else 1
        end = step + -(-(facts.total - step) // rows) * rows
        total = f"total_steps={facts.total:,}"
        if step >= facts.total and not facts.midway:
            self._notice(
                f"nothing is left to do: the run has {step:,} steps, and {total} counts from its beginning; to go on, "
                "give it more"
            )
            return
        if facts.starts > end - rows * facts.beside:
            self._notice(
                f"nothing will be learned: learning starts after learning_starts={facts.starts:,} steps, and the run "
                f"ends at {total}; lower the former, or give it more steps"
            )
        every = self.options.evaluate_every
        if self.evaluation is not None and every and end // every == step // every:
            self._notice(f"evaluate_every={every:,} is never reached by {total}: nothing will be evaluated")

    def _save_at_the_end(self, failed: BaseException | None) -> None:
        # After any other NaN the learner is as before it, but the rows are not to be trusted.
        saves = not isinstance(failed, NonFiniteError) or isinstance(failed, ObservationError)
        try:
            if saves:
                self._save_once()
            if self._saving is not None:
                self._saving.wait()
        except Exception as error:
            if failed is None:
                raise
            failed.add_note(f"What was learned since the last checkpoint could not be saved: {error}")
        else:
            if failed is not None and saves and self.checkpoints is not None:
                failed.add_note(f"What was learned until step {self.step:,} is saved in {self.checkpoints.parent}")

    def _loop(self, signals: StopSignals, first: int) -> None:
        watch = Stopwatch(self.collector)
        while not self.stopped_by:
            facts = self.learner.facts()
            before = self._step(facts)
            if before >= facts.total and not facts.midway:
                break
            metrics = self._learn(facts, watch)
            self._doing = "an evaluation, a callback or a checkpoint"
            metrics |= watch.metrics(self.step - first)
            if self._passed(before, self.options.evaluate_every):
                metrics |= self._evaluate(signals)
            self._tell(metrics)
            self._advance_curriculum()
            self.stopped_by = signals.name or self._look_for_farms() or self.stopped_by
            if self._passed(before, self.options.checkpoint_every):
                self._save_once()
        if self.envs is not None and not self.collector.has_learned and self.step > first:
            self._notice(
                "nothing was learned: none of the rows counts, by what the env's infos say (docs/contract.md: "
                "transition, learned, resetting)"
            )

    def _learn(self, facts: Facts, watch: Stopwatch) -> dict[str, float]:
        self._doing = "a step of the envs"

        def update() -> dict[str, float]:
            self._doing = "a step of the envs" if facts.beside else "the update"
            lag = {"rollout/policy_lag": float(self.learner.policy.version - self.buffer.newest_version)}
            return watch.update(lambda: self.learner.update(self.buffer)) | (lag if self.buffer.readable else {})

        try:
            if facts.beside:
                metrics = self.collector.collect(facts.need, update) or {}
                returns = self._count_episodes()
            else:
                self.collector.collect(facts.need)
                returns = self._count_episodes()
                metrics = update()
            self.buffer.episodes()
            self._watch(returns, metrics)
        except NonFiniteError as error:
            self._crash(error)
            raise
        return self.statistics.metrics() | metrics | self.chronicle.metrics()

    def _tell(self, metrics: dict[str, float]) -> None:
        for callback in self.callbacks:
            if _is_false(callback(self, metrics)):
                self.stopped_by = "callback"
        for sink in self.sinks:
            sink.write(self.step, metrics)
        if self.view:
            self.view.update(self.step, metrics)
        if self._now is not None:
            self._now.update(self.collector.observation)
        if self._map is not None and not self.chronicle.is_empty:
            self._map.update(self._drawn_map)

    def _begin_curriculum(self) -> None:
        """The envs hear where they begin, and what is in the run's folder counts."""
        for former in (self._curriculum, self._carry_on):
            if former is not None:
                former.end()
        self._curriculum = self._carry_on = None
        share, carry_on = self.options.start_mix, self.options.carry_on
        if share:
            if self.checkpoints is None or self.envs is None:
                raise ConfigError(
                    f"start_mix={share:g} keeps states in a run folder: say which by run=, or leave it out"
                )
            self._curriculum = Curriculum(self.envs, self.checkpoints.parent, share, self.step)
        if carry_on and self.envs is not None:
            self._carry_on = CarryOn(self.envs, carry_on)
        self._say_assists()

    def _hear(self, notes: Mapping[int, Note], start: np.ndarray, step: int) -> None:
        self.chronicle.hear(notes, start, step)
        if self._curriculum is not None:
            self._curriculum.hear(notes, start, step)

    def _advance_curriculum(self) -> None:
        if self._curriculum is not None:
            for text in self._curriculum.update():
                self._notice(text)
        if self._carry_on is not None:
            self._carry_on.update()
        self._say_assists()

    def _say_assists(self) -> None:
        helps = (self._curriculum, self._carry_on)
        self.chronicle.assists_in_training = [words for one in helps if one is not None for words in one.assists()]

    def _look_for_farms(self) -> str | None:
        """Says of new ones, and what the run is stopped by if it is to be."""
        news = self.chronicle.take_news()
        for text in news:
            self._notice(text)
        return "exploit" if news and self.options.on_exploit == "stop" else None

    def _begin_pictures(self) -> None:
        self._now = self._map = None
        every = self.options.picture_every
        if self.checkpoints is not None and self.envs is not None and every:
            folder = self.checkpoints.parent
            self._now = NowPicture(folder / NOW, every, self.envs, self.buffer.stack)
            self._map = PictureFile(folder / MAP, every)

    def _drawn_map(self) -> Callable[[], Picture]:
        picture = self.chronicle.map.picture()  # now: what it is drawn from changes while a thread writes it
        return lambda: picture

    def _end_pictures(self) -> None:
        if self._now is not None:
            self._now.close()
        if self._map is not None:
            self._map.close()
            if not self.chronicle.is_empty:
                write_png(self._map.path, self.chronicle.map.picture)

    def _count_episodes(self) -> list[float]:
        episodes = list(self.buffer.finished)
        for episode in episodes:
            self.statistics.add(episode)
        best = self.statistics.best_mean_return
        if self.options.collapse == "restore" and episodes and self.statistics.mean_return >= best:
            # Before the update, which may be the fatal one: it is these weights that played those episodes. (Learners
            # that learn beside are not restored: no KL tells of their collapse.)
            self._best_state = copy.deepcopy(self.learner.state())
        if self.statistics.is_full:
            self._look_at_keys()
        return [episode.total for episode in episodes]

    def _look_at_keys(self) -> None:
        """Says once which info keys nothing came of, when there are episodes enough to tell, or at the end."""
        missing = [] if self._looked_at_keys else self.statistics.without(self.options.info_keys)
        self._looked_at_keys = True
        if missing:
            self._notice(
                f"info_keys: {', '.join(map(repr, missing))} logged nowhere, since no episode's last info had a number "
                f"there, of {self.statistics.count:,} episodes; look at their names, or leave them out"
            )

    def _watch(self, returns: list[float], metrics: Mapping[str, float]) -> None:
        if self.options.collapse == "off":
            return
        restore = self.options.collapse == "restore"
        kl = metrics.get("train/max_kl", metrics.get("train/approx_kl", math.nan))
        entropy, explained = (metrics.get(f"train/{n}", math.nan) for n in ("entropy_fraction", "explained_variance"))
        if restore and "train/n_updates" in metrics and math.isnan(kl) and not self._told_of_no_kl:
            self._told_of_no_kl = True
            self._notice("collapse='restore' can do nothing here: this algorithm logs no KL and no entropy")
        text = self._detector.observe(returns, kl, entropy, explained)
        if text is None:
            return
        if restore and self._best_state is not None:
            scale = self.learner.state().get("learning_rate_scale", 1.0) / 2
            self.learner.load_state(copy.deepcopy(self._best_state) | {"learning_rate_scale": scale})
            self._detector.rearm()
            text += f"; the best weights are back, at {scale:g} x the learning rate"
        self._notice(text)

    def _notice(self, text: str) -> None:
        if self.view:
            self.view.notice(text)
        else:
            logger.warning("step %d: %s", self.step, text)

    def say(self, text: str) -> None:
        """Tells who watches how far an evaluation is."""
        if self.view:
            self.view.status(f"evaluating: {text}")

    def _evaluate(self, signals: StopSignals) -> Mapping[str, float]:
        if self.evaluation is None:
            return {}
        try:
            metrics = self.evaluation(lambda: signals.name is not None)
        except Stopped:
            return {}
        mean = metrics.get("eval/mean_reward", -math.inf)
        if mean > self._best_evaluation:
            self._best_evaluation = mean
            self.save(best=True)
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

    def _save_once(self) -> None:
        if self._saved != (self.checkpoints, self.step):
            self.save()

    def save(self, *, best: bool = False) -> None:
        """Writes a checkpoint; never during an update. Rows since the last one do not count when it is resumed.

        The run may go on before it lies on the disk: what is written is what is so now. The best so far stays.
        """
        if self.checkpoints is None:
            return
        if self._saving is None or self._saving.folder != self.checkpoints:
            self._saving = Checkpoints(self.checkpoints)
        self.save_into(self._saving, best=best)
        self.chronicle.write(self.checkpoints.parent)
        self._saved = (self.checkpoints, self.step)

    def save_into(self, checkpoints: Checkpoints, *, best: bool = False) -> Path:
        """Begins a checkpoint in any folder; see :meth:`Checkpoints.save`."""
        rows = self.learner.facts().remembered if self.options.checkpoint_replay == "latest" else 0
        if self.buffer.readable == self.buffer.capacity:
            self.buffer.older = None  # all that is remembered lies in the ring
        older = self.buffer.older if rows else None
        return checkpoints.save(self.state(), self.buffer, rows, stored=older, best=best)

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs, but for the rows of the buffer."""
        return {
            "step": self.step,
            "identity": self.identity,
            "learner": self.learner.state(),
            "collector": self.collector.state(),
            "buffer": self.buffer.state(),
            "statistics": self.statistics.state(),
            "chronicle": self.chronicle.state(),
            "collapse": self._detector.state(),
            "best_state": self._best_state,
            "best_evaluation": self._best_evaluation,
        }

    def load_state(self, state: Mapping[str, Any], rows: Any = None) -> bool:
        """Restores what :meth:`state` gave, and says whether the run goes on bit for bit.

        It may come from a run with another number of envs, another size of the buffer, or envs that are made otherwise
        than ``identity`` says; its ``rows`` are None if the checkpoint holds none.
        """
        self.learner.load_state(state["learner"])
        self.buffer.older = self.buffer.restore(state["buffer"], rows)
        exact = self.collector.load_state(state["collector"], same_env(state["identity"], self.identity))
        self.statistics.load_state(state["statistics"])
        if "chronicle" in state:  # older checkpoints have none
            self.chronicle.load_state(state["chronicle"])
        self._detector.load_state(state["collapse"])
        self._best_state = state["best_state"]
        self._best_evaluation = state["best_evaluation"]
        if rows is None and self.buffer.rows and self.learner.facts().remembered:
            logger.warning("this checkpoint is without the rows that are learned from: not bit for bit")
            return False
        return exact


def _is_false(answer: Any) -> bool:
    """False in any form: Python's, NumPy's, or an array or tensor of it alone."""
    if isinstance(answer, bool):
        return not answer
    return "bool" in str(getattr(answer, "dtype", "")) and math.prod(answer.shape) == 1 and not answer.item()
