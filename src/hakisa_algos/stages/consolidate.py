"""Learns offline from recordings, a person's and the agent's own, and writes a run that goes on from there."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakisa_algos.data.contract import stored_option
from hakisa_algos.data.files import read_document
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.learners.advantage_weighted import AdvantageLearner
from hakisa_algos.learners.consolidation import Consolidator
from hakisa_algos.learners.dqn import DQNLearner
from hakisa_algos.learners.gradient import GradientLearner
from hakisa_algos.learners.offline_q import OfflineQLearner
from hakisa_algos.learners.ppo import PPOLearner
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.learners.validation import changed, config_from
from hakisa_algos.policy.precision import make_repeatable, resolve_device, resolve_threads
from hakisa_algos.stages.action_names import ActionNames
from hakisa_algos.stages.demonstrations import check_game, check_learned, check_rate, demonstrations
from hakisa_algos.stages.offline import VERSION, Offline, check_rows
from hakisa_algos.stages.recording import RecordedRows, Recording
from hakisa_algos.training.demonstrations import SHARE, keep
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.stored_run import StoredRun, describe
from hakisa_algos.training.trainer import Trainer, View

CONSOLIDATION, FORMAT = "consolidation.json", "hakisa-consolidation"
_FIX = "consolidate again, into another folder"


@dataclass(frozen=True)
class Consolidation:
    """What is consolidated, and how; all of it stands in the run's consolidation.json.

    Attributes:
        agent: the run that it begins from.
        recordings: their folders.
        config: of the consolidation; default: that of the agent's algorithm.
        seed: of everything random.
        env: the env that it is to play in; default: the agent's.
        env_options: likewise.
    """

    agent: str
    recordings: tuple[str, ...]
    config: Any = None
    seed: int = 0
    env: str | None = None
    env_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Options as files hold them."""
        object.__setattr__(self, "env_options", stored_option(self.env_options))


def learner_of(stored: StoredRun) -> type[Consolidator]:
    """What learns offline for the algorithm of a run.

    Raises:
        ConfigError: nothing does.
    """
    name = stored.before["algorithm"]
    learner = find_algorithm(name)
    for kind, consolidator in ((PPOLearner, AdvantageLearner), (DQNLearner, OfflineQLearner)):
        if issubclass(learner, kind):
            return consolidator
    raise ConfigError(f"{stored.path} is a run of {name}, which cannot learn offline; ppo, a2c, reinforce and dqn can")


class Consolidations:
    """One consolidation, on its way.

    Args:
        asked: what and how.
        stored: the run that the agent is read from; default: what ``asked`` names.
        device: where the network lives.
        threads: of torch.

    Attributes:
        learner: who learns.
        recordings: what from.

    Raises:
        CheckpointError: the agent or a recording is damaged.
        ConfigError: they do not fit together; it names the recording.
    """

    def __init__(
        self,
        asked: Consolidation,
        stored: StoredRun | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        stored = stored or StoredRun.read(asked.agent)
        kind = learner_of(stored)
        self.asked = dataclasses.replace(asked, config=asked.config or kind.config_class())
        self.recordings = [Recording.open(path) for path in asked.recordings]
        self._check(stored)
        self.rows = RecordedRows(self.recordings)
        first = self.recordings[0]
        space = first.observation_space
        self.config = stored.config()
        persons = [recording for recording in self.recordings if recording.by_person]
        # A run of DQN keeps what a person did, and goes on with it.
        self._shown = demonstrations(persons) if kind is OfflineQLearner and persons else None
        if self._shown is not None and not self.config.demonstration_share:
            self.config = changed(self.config, {"demonstration_share": SHARE})
        self.device = resolve_device(device, space)
        make_repeatable(self.device)
        self.threads = resolve_threads(threads, space)
        self.options = RunOptions(device=device, threads=threads)
        env, env_options = self._env(stored)
        self._identity = {
            **stored.before,
            "config": dataclasses.asdict(self.config),
            "env": env,
            "env_options": env_options,
            "seed": asked.seed,
            "relabel": False,
            "options": dataclasses.asdict(self.options),
        }
        assert stored.checkpoint is not None
        weights = stored.checkpoint.state["learner"]["policy"]
        make = functools.partial(self._make, stored.before["algorithm"], space, first.action_space, weights)
        self.learner = kind(make, self.asked.config, seed=asked.seed, device=self.device)

    def _make(self, algorithm: str, observation: Any, action: Any, weights: Mapping[str, Any]) -> GradientLearner:
        found: Any = find_algorithm(algorithm)
        how = {"num_envs": self.config.num_envs, "seed": self.asked.seed, "device": self.device}
        learner: GradientLearner = found(observation, action, self.config, **how)
        learner.begin_from(weights)
        return learner

    def _check(self, stored: StoredRun) -> None:
        before = stored.before
        if stored.checkpoint is None:
            raise ConfigError(f"{stored.path} has no checkpoint yet; pass a run that has learnt something")
        if before["custom_network"]:
            raise ConfigError(f"{stored.path} was trained with a network of its own, which no file holds")
        if before["config"].get("action_masks") is True:
            raise ConfigError(
                f"{stored.path} obeys action masks, which recordings do not hold: offline it would learn what "
                "forbidden actions are worth, as if they could be done; it may learn on in its env: play RUN --learn"
            )
        for recording in self.recordings:
            for kind, space in (("observation", recording.observation_space), ("action", recording.action_space)):
                if describe(space) != before["spaces"][kind]:
                    raise ConfigError(
                        f"{recording.path} holds {kind}s of {describe(space)}, and {stored.path} has "
                        f"{before['spaces'][kind]}: it is of another game, profile or size"
                    )
        check_rate(self.recordings)
        check_learned(stored, self.recordings)
        check_game(self.recordings, *self._env(stored))

    def _env(self, stored: StoredRun) -> tuple[str, dict[str, Any]]:
        """That it is to play in, and its options."""
        asked = self.asked
        options = stored.asked["env_options"] if asked.env_options is None else asked.env_options
        return asked.env or stored.asked["env"], dict(options)

    @property
    def period_ms(self) -> float:
        """Of a row."""
        return 1000.0 / float(self.recordings[0].facts["rate"])

    def delayed(self, milliseconds: float) -> Consolidations:
        """The same for a person who reacts so late."""
        config = dataclasses.replace(self.asked.config, delay=round(milliseconds / self.period_ms))
        return Consolidations(dataclasses.replace(self.asked, config=config), device=self.options.device)

    def run(self, folder: Path, view: View | None = None, resume: bool = False) -> Trainer:
        """See :meth:`hakisa_algos.stages.offline.Offline.run`."""
        learner = self.learner
        idle = next((r.facts["idle"] for r in self.recordings if r.facts.get("idle") is not None), None)
        offline = Offline(
            "consolidation",
            (CONSOLIDATION, FORMAT, self.asked),
            self.rows,
            learner,
            lambda: learner.study(self.rows, idle),
            self._identity,
            self.options,
            self.asked.seed,
            self.device,
            self.threads,
            more={"names": ActionNames.of(self.recordings[0]).heads()},
            finish=self._show,
        )
        return offline.run(folder, view, resume)

    def _show(self, student: GradientLearner, folder: Path) -> None:
        if self._shown is not None:
            assert isinstance(student, DQNLearner)
            student.demonstrate(self._shown)
            keep(student, folder)

    def check_rows(self, before: Sequence[str]) -> None:
        """Refuses to go on with other rows than it began with."""
        check_rows(self.rows, list(before))


def begun(folder: Path) -> tuple[Consolidation, StoredRun, list[str]]:
    """What a run folder is a consolidation of, the agent in it, and what the rows were.

    Raises:
        CheckpointError: it is of none, or damaged.
    """
    if not (folder / CONSOLIDATION).exists():
        raise CheckpointError(
            f"{folder} is no consolidation: it has no {CONSOLIDATION}; pass a folder that hakisa consolidate made"
        )
    said = read_document(folder / CONSOLIDATION, FORMAT, VERSION, _FIX)
    try:
        names = {field.name for field in dataclasses.fields(Consolidation)}
        told = {name: value for name, value in said.items() if name in names}
        stored = StoredRun.read(folder)
        if stored.checkpoint is None:  # it was ended before anything was written
            stored = StoredRun.read(told["agent"])
        config = config_from(learner_of(stored).config_class, told.pop("config"))
        recordings = tuple(told.pop("recordings"))
        return Consolidation(recordings=recordings, config=config, **told), stored, said["rows"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / CONSOLIDATION} does not say what is consolidated ({error!r}); {_FIX}"
        ) from error
