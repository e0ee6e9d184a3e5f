"""Runs a learner that needs no envs in a folder, which at every moment is a run of the algorithm that it learns for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from hakisa_algos.data.files import write_document
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.gradient import GradientLearner
from hakisa_algos.learners.learner import Learner
from hakisa_algos.policy.precision import torch_threads
from hakisa_algos.training.agreement_report import AGREEMENT, AGREEMENT_FORMAT, AGREEMENT_VERSION
from hakisa_algos.training.checkpoint import Checkpoints, is_empty, load_checkpoint
from hakisa_algos.training.metrics import JsonlSink
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.run_folder import RunFolder
from hakisa_algos.training.trainer import Trainer, View

VERSION = 1


class OfflineLearner(Learner, Protocol):
    """A learner that has its data already, and makes another that goes on from it.

    Attributes:
        is_best: whether its newest policy is the best so far.
        best_report: how well that agrees with what was done, as JSON; None before there is one.
    """

    is_best: bool
    best_report: dict[str, Any] | None

    def student(self) -> GradientLearner:
        """A learner that begins from the best policy so far."""


@dataclass(frozen=True, eq=False)
class Offline:
    """One stage that learns offline.

    The run's checkpoints hold the best policy so far, and its metrics are those of who goes on from it. What the stage
    needs itself lies beside: ``NAME/`` with its own checkpoint, and ``NAME.jsonl`` with its metrics.

    Attributes:
        name: of the stage.
        asked: what was asked, and its file.
        rows: what it learns from.
        learner: who learns.
        begin: gives the learner its rows.
        identity: of the agent that the run is of.
        options: of the run.
        seed: of the run.
        device: where the policy lives.
        threads: of torch.
        more: what the report says besides.
        finish: is given each learner that a checkpoint is written of, and the run's folder, before that.
    """

    name: str
    asked: tuple[str, str, Any]
    rows: StoredRows
    learner: OfflineLearner
    begin: Callable[[], Any]
    identity: Mapping[str, Any]
    options: RunOptions
    seed: int
    device: torch.device
    threads: int
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    finish: Callable[[GradientLearner, Path], None] = lambda learner, folder: None

    def run(self, folder: Path, view: View | None = None, resume: bool = False) -> Trainer:
        """Learns until the held-out episodes say that it is enough, and writes the run.

        Args:
            folder: of the run: new, or its own with ``resume``.
            view: shows it.
            resume: go on from what lies there.
        """
        own = folder / self.name
        if resume:
            run = RunFolder.open(folder)
        else:
            with torch_threads(self.threads):
                self.begin()  # rows that nothing can be learned from leave no run behind
            run = RunFolder.create(folder, self.identity, threads=self.threads)
            file, kind, asked = self.asked
            said = dataclasses.asdict(asked) | {"rows": fingerprint(self.rows)}
            write_document(folder / file, kind, VERSION, json.loads(json.dumps(said)))
        trainer = Trainer(self.learner, None, self.options, seed=self.seed, device=self.device)
        with run.lock, torch_threads(self.threads):
            if resume:
                if not is_empty(own):
                    trainer.load_state(load_checkpoint(own).state)
                self.begin()
            if self.learner.is_best and is_empty(run.checkpoints):
                self._save(run)
            trainer.checkpoints, trainer.view = own, view
            trainer.callbacks = [lambda trainer, metrics: self._keep(run, trainer)]
            # Not metrics.jsonl: that is of the run that goes on from here, whose steps are the env's.
            with closing(JsonlSink(folder / f"{self.name}.jsonl", trainer.step)) as sink:
                trainer.sinks = [sink]
                trainer.train()
            self._save(run)
        return trainer

    def _keep(self, run: RunFolder, trainer: Trainer) -> bool:
        """The best so far is always there, as a run that can be played and trained on."""
        if self.learner.is_best:
            trainer.save()
            self._save(run)
        return True

    def _save(self, run: RunFolder) -> None:
        student = self.learner.student()
        self.finish(student, run.path)
        with closing(Checkpoints(run.checkpoints)) as checkpoints:
            checkpoints.save({"step": 0, "identity": self.identity, "learner": student.state()})
        if self.learner.best_report is not None:
            report = {**self.learner.best_report, **self.more}
            write_document(run.path / AGREEMENT, AGREEMENT_FORMAT, AGREEMENT_VERSION, report)


def fingerprint(rows: StoredRows) -> list[str]:
    """What says whether rows are the same."""
    return [segment.sha256 for one in rows.series for segment in one.segments]


def check_rows(rows: StoredRows, before: list[str]) -> None:
    """Refuses to go on with other rows than it began with.

    Raises:
        ConfigError: they are others.
    """
    if fingerprint(rows) != list(before):
        raise ConfigError("the recordings have changed since this began; begin again, in another folder")
