"""Where episodes of training begin: some envs at milestones that the run has reached, some where they were cut.

What got agents past months of being stuck was to begin everywhere at the state of the first that reached something. It
also narrows them, so a share stays at the true start, evaluation knows no other, and every start says where it is from.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from hakisa_algos.data.contract import CARRY_ON, EXCLUSIVE, MILESTONE_FOLDER, NEXT_START, declared, follows
from hakisa_algos.data.files import write_json
from hakisa_algos.data.notes import Note
from hakisa_algos.errors import ConfigError

ARCHIVE, LINEAGE = "archive", "lineage.json"


@dataclass(frozen=True)
class Start:
    """A milestone's first state.

    Attributes:
        milestone: its name.
        step: env steps of the run when it was reached.
        column: of the env.
        lineage: where that episode began, where the episode began that led there, and so on to the true start.
    """

    milestone: str
    step: int
    column: int
    lineage: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.milestone} (step {self.step:,}, from {' from '.join(self.lineage)})"


class CarryOn:
    """Lets episodes begin where the one before was cut.

    Args:
        envs: those that are trained in.
        probability: that an episode begins so.

    Raises:
        ConfigError: the envs cannot do that, or are evaluated in themselves.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any], probability: float) -> None:
        self._envs: Any = envs.unwrapped
        self._probability = probability
        _check(envs, f"carry_on={probability:g}", CARRY_ON, "go on where an episode was cut")
        self.update()

    def update(self) -> None:
        """Tells the envs, every time: a process may have been replaced."""
        self._envs.set_attr(CARRY_ON, [self._probability] * self._envs.num_envs)

    def end(self) -> None:
        """The envs begin as they would."""
        self._envs.set_attr(CARRY_ON, [0.0] * self._envs.num_envs)

    def assists(self) -> list[str]:
        """What was helped, in words."""
        return [f"with a probability of {self._probability:g} an episode begins where the one before it was cut"]


class Curriculum:
    """Keeps the first state of each milestone in the run's folder, and says who begins there.

    Args:
        envs: those that are trained in.
        run: the run's folder.
        share: of the envs, rounded, that begin at milestones as soon as there are some; the last columns.
        step: env steps of the run so far; what the folder has of later ones is not counted.

    Attributes:
        starts: that there are, in the order in which they were reached.

    Raises:
        ConfigError: the envs do not say milestones and keep no states of them, or are evaluated in themselves.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any], run: Path, share: float, step: int) -> None:
        _check(envs, f"start_mix={share:g}", NEXT_START, "keep milestones and begin at them")
        inner: Any = envs.unwrapped
        self._envs, self._folder = inner, (run / ARCHIVE).absolute()
        self._helped = round(share * envs.num_envs)
        self._reached: dict[str, tuple[int, int, str]] = {}
        known = json.loads(self._list.read_text(encoding="utf-8")) if self._list.is_file() else []
        every = [Start(**{**row, "lineage": tuple(row["lineage"])}) for row in known]
        self.starts = [start for start in every if start.step <= step]
        shutil.rmtree(self._columns, ignore_errors=True)
        self._folder.mkdir(exist_ok=True)
        self._tell()

    @property
    def _list(self) -> Path:
        return self._folder / LINEAGE

    @property
    def _columns(self) -> Path:
        return self._folder / "columns"

    def hear(self, notes: Mapping[int, Note], start: NDArray[np.bool_], step: int) -> None:
        """Takes in a row, as :data:`hakisa_algos.data.collect.Listener` says."""
        del start
        for column, note in notes.items():
            if note.milestone is not None and note.milestone not in self._reached:
                self._reached[note.milestone] = column, step, note.start or "the true start"

    def update(self) -> list[str]:
        """Takes over what was reached since the last time, and tells the envs; returns what is new, in words."""
        have, new = {start.milestone: start for start in self.starts}, []
        for milestone, (column, step, begun) in self._reached.items():
            file = self._columns / str(column) / f"{milestone}.state"
            if milestone in have or not file.is_file():  # a process that died keeps nothing
                continue
            before = have[begun].lineage if begun in have and column >= self._first_helped else ()
            new.append(Start(milestone, step, column, (begun, *before)))
            os.replace(file, self.file(milestone))
        self._reached.clear()
        if new:
            self.starts += new
            write_json(self._list, [asdict(start) for start in self.starts])
        self._tell()
        return [f"{start} is kept: episodes begin there, too" for start in new]

    def end(self) -> None:
        """The envs begin as they would, and keep nothing."""
        for name in (MILESTONE_FOLDER, NEXT_START):
            self._envs.set_attr(name, [None] * self._envs.num_envs)

    def file(self, milestone: str) -> Path:
        """Where a milestone's state lies."""
        return self._folder / f"{milestone}.state"

    def assists(self) -> list[str]:
        """What was helped, in words."""
        count = self._envs.num_envs
        if not self.starts:
            return [f"{self._helped} of {count} envs will begin at milestones, of which none is reached yet"]
        listed = "; ".join(map(str, self.starts))
        return [f"{self._helped} of {count} envs begin at milestones that the run has reached: {listed}"]

    @property
    def _first_helped(self) -> int:
        return int(self._envs.num_envs) - self._helped

    def assigned(self) -> list[str | None]:
        """Where each column begins its later episodes: the newest milestones are dealt out first."""
        dealt: list[str | None] = [None] * self._envs.num_envs
        for index in range(self._helped if self.starts else 0):
            chosen = self.starts[-1 - index % len(self.starts)]
            dealt[self._first_helped + index] = str(self.file(chosen.milestone))
        return dealt

    def _tell(self) -> None:
        # Every time: a process may have been replaced.
        folders: Sequence[str] = [str(self._columns / str(column)) for column in range(self._envs.num_envs)]
        self._envs.set_attr(MILESTONE_FOLDER, folders)
        self._envs.set_attr(NEXT_START, self.assigned())


def _check(envs: VectorEnv[Any, Any, Any], given: str, attribute: str, able: str) -> None:
    option = given.partition("=")[0]
    inner: Any = envs.unwrapped
    if not (follows(envs.metadata) and all(inner.call("has_wrapper_attr", attribute))):
        raise ConfigError(
            f"{given} needs envs that {able} (docs/contract.md: {attribute}), such as Hakisa/Monsters-v0; "
            f"leave {option} out"
        )
    if declared(envs, EXCLUSIVE):
        raise ConfigError(
            f"{given} does not go with an env that is evaluated in itself: evaluations begin at the true start; "
            f"leave {option} out"
        )
