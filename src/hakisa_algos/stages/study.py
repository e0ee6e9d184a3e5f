"""Makes an agent that plays as was recorded, by behaviour cloning; the run that it writes is one of PPO or DQN."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakisa_algos.data.contract import MEANING, stored_option
from hakisa_algos.data.files import read_document
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.learners.cloning import CloningConfig, CloningLearner, student_config
from hakisa_algos.learners.validation import config_from
from hakisa_algos.policy.precision import make_repeatable, resolve_device, resolve_threads, torch_threads
from hakisa_algos.stages.action_names import ActionNames
from hakisa_algos.stages.demonstrations import check_game, check_rate, meaning_of
from hakisa_algos.stages.offline import VERSION, Offline, check_rows
from hakisa_algos.stages.recording import RecordedRows, Recording
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.stored_run import describe
from hakisa_algos.training.trainer import Trainer, View

STUDY, FORMAT = "study.json", "hakisa-study"
# Delays that are tried, in milliseconds, and for how many gradient steps each.
DELAYS_MS = (0.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0)
DELAY_STEPS = 400
_FIX = "study the recordings again, in another folder"


@dataclass(frozen=True)
class Study:
    """What is studied, and how; all of it stands in the run's study.json.

    Attributes:
        recordings: their folders.
        algorithm: what the clone is for, ``"ppo"`` or ``"dqn"``.
        config: of the cloning.
        student: hyperparameters of that algorithm that are otherwise.
        seed: of everything random.
        env: the env that it is to play in; default: the recorded one.
        env_options: likewise.
    """

    recordings: tuple[str, ...]
    algorithm: str = "ppo"
    config: CloningConfig = dataclasses.field(default_factory=CloningConfig)
    student: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seed: int = 0
    env: str | None = None
    env_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Options as files hold them."""
        object.__setattr__(self, "env_options", stored_option(self.env_options))


class Studies:
    """One study, on its way.

    Args:
        study: what and how.
        device: where the network lives.
        threads: of torch.

    Attributes:
        learner: the clone.
        rows: what it learns from.

    Raises:
        CheckpointError: a recording is damaged.
        ConfigError: they are of different games, or there is too little of them.
    """

    def __init__(self, study: Study, device: str = "auto", threads: int | None = None) -> None:
        self.study = study
        self.recordings = [Recording.open(path) for path in study.recordings]
        self.rows = RecordedRows(self.recordings)
        first = self.recordings[0]
        check_rate(self.recordings)
        check_game(self.recordings, *self._env())
        self._spaces = first.observation_space, first.action_space
        self.student = student_config(study.algorithm, self._spaces[0], study.student)
        if self.student.action_masks is not False:
            raise ConfigError(
                f"action_masks={self.student.action_masks!r}: a clone learns from recordings, which hold no masks; "
                "leave it out"
            )
        self.device = resolve_device(device, self._spaces[0])
        make_repeatable(self.device)
        self.threads = resolve_threads(threads, self._spaces[0])
        self.learner = self._make(study.config)
        self.options = RunOptions(device=device, threads=threads)

    @property
    def period_ms(self) -> float:
        """Of a row."""
        return 1000.0 / float(self.recordings[0].facts["rate"])

    def _make(self, config: CloningConfig) -> CloningLearner:
        study: Any = self.study
        return CloningLearner(
            *self._spaces,
            config,
            seed=study.seed,
            device=self.device,
            algorithm=study.algorithm,
            student=self.student,
        )

    def find_delay(self, steps: int = DELAY_STEPS, say: Callable[[str], None] = lambda text: None) -> int:
        """The reaction time in rows: the one at which what was done is most likely, by what was seen so long before.

        Each is tried with a new network for some gradient steps, and judged by the likelihood of what was done in
        held-out rows, which are the same for all. Every row counts alike, in learning too: rare actions that weighed
        more would be expected more often than they come.
        """
        tried: dict[int, float] = {}
        delays = sorted({round(ms / self.period_ms) for ms in DELAYS_MS})
        plain: dict[str, Any] = {"balance": 0.0, "idle_run": 0, "patience": 100}
        for delay in delays:
            config = dataclasses.replace(
                self.study.config, delay=delay, total_steps=steps, update_steps=max(1, steps // 4), **plain
            )
            learner = self._make(config)
            learner.study(self.rows, alike=delays)
            trainer = Trainer(learner, None, seed=self.study.seed, device=self.device)
            with torch_threads(self.threads):
                trainer.train()
            tried[delay] = learner.best_loss
            say(f"a reaction of {delay * self.period_ms:.0f} ms: held-out likelihood {math.exp(-tried[delay]):.4f}")
            if trainer.stopped_by:
                raise KeyboardInterrupt(trainer.stopped_by)
        return min(tried, key=lambda d: tried[d])

    def run(self, folder: Path, view: View | None = None, resume: bool = False) -> Trainer:
        """See :meth:`hakisa_algos.stages.offline.Offline.run`."""
        study, learner = self.study, self.learner
        offline = Offline(
            "cloning",
            (STUDY, FORMAT, study),
            self.rows,
            learner,
            lambda: learner.study(self.rows, self.recordings[0].facts.get("idle")),
            self._identity(),
            self.options,
            study.seed,
            self.device,
            self.threads,
            more={
                "delay_ms": study.config.delay * self.period_ms,
                "names": ActionNames.of(self.recordings[0]).heads(),
            },
        )
        return offline.run(folder, view, resume)

    def check_rows(self, before: list[str]) -> None:
        """Refuses to go on with other rows than it began with."""
        check_rows(self.rows, before)

    def _env(self) -> tuple[str, dict[str, Any]]:
        """That it is to play in, and its options."""
        study, facts = self.study, self.recordings[0].facts
        options = facts.get("env_options", {}) if study.env_options is None else study.env_options
        return study.env or facts["env"], dict(options)

    def _identity(self) -> dict[str, Any]:
        study, (env, env_options) = self.study, self._env()
        observation, action = self._spaces
        return {
            "algorithm": study.algorithm,
            "config": dataclasses.asdict(self.student),
            "env": env,
            "env_options": env_options,
            "vectorization": "auto",
            "seed": study.seed,
            "custom_network": False,
            "relabel": False,
            "spaces": {"observation": describe(observation), "action": describe(action)},
            MEANING: meaning_of(self.recordings[0]) or None,
            "options": dataclasses.asdict(self.options),
        }


def begun(folder: Path) -> tuple[Study, list[str]]:
    """The study that a run folder is of, and what its rows were.

    Raises:
        CheckpointError: it is of none, or damaged.
    """
    if not (folder / STUDY).exists():
        raise CheckpointError(f"{folder} is no study: it has no {STUDY}; pass a folder that hakisa study made")
    said = read_document(folder / STUDY, FORMAT, VERSION, _FIX)
    try:
        rows, config = said.pop("rows"), config_from(CloningConfig, said.pop("config"))
        names = {field.name for field in dataclasses.fields(Study)}
        told = {name: value for name, value in said.items() if name in names}
        recordings = tuple(told.pop("recordings"))
        student = {n: tuple(v) if isinstance(v, list) else v for n, v in told.pop("student").items()}
        return Study(recordings, config=config, student=student, **told), rows
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / STUDY} does not say what is studied ({error!r}); {_FIX}") from error
