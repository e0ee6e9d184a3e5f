"""What the agents of a run did, as far as the infos of their envs say: where they were, how far they came, what they
farmed. It is kept in the run's folder and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hakisa_algos.data.files import write_json
from hakisa_algos.data.notes import Note, Place
from hakisa_algos.training.exploits import Farm, FarmDetector, coarse
from hakisa_algos.training.exploration import ORDERS, ExplorationMap
from hakisa_algos.training.pictures import png_text

CHRONICLE, MAP = "chronicle.json", "map.png"  # in the run's folder


@dataclass
class Milestone:
    """The first time that anybody reached something.

    Attributes:
        step: env steps of the run then.
        minutes: of training then.
        start: where that episode began.
        columns: in which it was reached so far.
    """

    step: int
    minutes: float
    start: str | None
    columns: set[int] = field(default_factory=set)


@dataclass
class FoundFarm:
    """A farm as often as it was found.

    Attributes:
        farm: the first time.
        step: env steps of the run then.
        episodes: in which it was found so far.
        columns: likewise.
    """

    farm: Farm
    step: int
    episodes: int = 0
    columns: set[int] = field(default_factory=set)


class Chronicle:
    """Hears every row's notes.

    Args:
        columns: of the envs.
        assists: what makes the game easier than it is for who has only the picture and the buttons.

    Attributes:
        assists: these.
        assists_in_training: others, of the training alone.
        map: where agents have been.
        milestones: that were reached, by name, in order.
        farms: that were found.
        is_empty: whether the envs never said anything.
    """

    def __init__(self, columns: int, assists: Sequence[str] = ()) -> None:
        self.assists = list(assists)
        self.assists_in_training: list[str] = []
        self.map = ExplorationMap()
        self.milestones: dict[str, Milestone] = {}
        self.farms: dict[tuple[str, Place], FoundFarm] = {}
        self.is_empty = True
        self._detectors = [FarmDetector() for _ in range(columns)]
        self._columns = columns
        self._news: list[str] = []
        self._minutes, self._since = 0.0, time.monotonic()

    def hear(self, notes: Mapping[int, Note], start: NDArray[np.bool_], step: int) -> None:
        """Takes in a row, after which the run has ``step`` env steps, and episodes begin in the columns ``start``."""
        self.is_empty = self.is_empty and not notes
        for column, note in notes.items():
            self.map.add(note.place, step)
            if note.milestone is not None:
                first = Milestone(step, self.minutes, note.start)
                self.milestones.setdefault(note.milestone, first).columns.add(column)
            if note.parts:
                farm = self._detectors[column].add(note)
                if farm is not None:
                    self._found(farm, column, step)
        for column in np.flatnonzero(start).tolist():
            self._detectors[column].begin()

    def _found(self, farm: Farm, column: int, step: int) -> None:
        key = farm.part, coarse(farm.place)
        if key not in self.farms:
            self._news.append(str(farm))
        known = self.farms.setdefault(key, FoundFarm(farm, step))
        known.episodes += 1
        known.columns.add(column)

    @property
    def minutes(self) -> float:
        """Of training so far."""
        return self._minutes + (time.monotonic() - self._since) / 60

    def take_news(self) -> list[str]:
        """Farms that were found since this was last asked, in words."""
        news, self._news = self._news, []
        return news

    def metrics(self) -> dict[str, float]:
        """By name (docs/metrics.md); none where the envs say nothing."""
        if self.is_empty:
            return {}
        found = {"explore/maps": float(self.map.maps), "explore/places": float(self.map.tiles)}
        found["exploit/farms"] = float(len(self.farms))
        found["exploit/episodes"] = float(sum(known.episodes for known in self.farms.values()))
        for name, milestone in self.milestones.items():
            found[f"milestone/{name}"] = len(milestone.columns) / self._columns
        return found

    def write(self, folder: Path) -> None:
        """Puts what is known into the run's folder."""
        if not self.is_empty:
            maps = {
                by: {".".join(map(str, where)): png_text(picture) for where, picture in self.map.pictures(by)}
                for by in ORDERS
            }
            write_json(folder / CHRONICLE, self.plain() | {"maps": maps})

    def plain(self) -> dict[str, Any]:
        """As JSON says it, all but the maps."""
        return {
            "columns": self._columns,
            "assists": self.assists,
            "assists_in_training": self.assists_in_training,
            "minutes": self.minutes,
            "milestones": {
                name: {**asdict(one), "columns": sorted(one.columns)} for name, one in self.milestones.items()
            },
            "farms": [
                {
                    **asdict(known.farm), "place": list(known.farm.place), "says": str(known.farm),
                    "run_step": known.step, "episodes": known.episodes, "columns": sorted(known.columns),
                }
                for known in self.farms.values()
            ],
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps. Of running episodes, farms are looked for anew."""
        # Where nothing is said no clock is kept: two runs that are alike have checkpoints that are alike.
        minutes = 0.0 if self.is_empty else self.minutes
        return {**self.plain(), "minutes": minutes, "map": self.map.state(), "is_empty": self.is_empty}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state`, perhaps of a run with another number of columns."""
        self.map.load_state(state["map"])
        self.is_empty = state["is_empty"]
        self._minutes, self._since = state["minutes"], time.monotonic()
        self.milestones = {
            name: Milestone(**{**one, "columns": set(one["columns"])}) for name, one in state["milestones"].items()
        }
        self.farms = {}
        for one in state["farms"]:
            farm = Farm(one["part"], tuple(one["place"]), one["returns"], one["share"], one["step"])
            known = FoundFarm(farm, one["run_step"], one["episodes"], set(one["columns"]))
            self.farms[farm.part, coarse(farm.place)] = known


def milestone_rows(told: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The milestones in what `Chronicle.plain` says, as a table: its heads and its rows."""
    heads = ("milestone", "first step", "first minute", "share of envs", "that episode began at")
    rows = [
        (
            name, f"{one['step']:,}", f"{one['minutes']:.1f}", f"{len(one['columns']) / told['columns']:.0%}",
            one["start"] or "",
        )
        for name, one in told.get("milestones", {}).items()
    ]  # fmt: skip
    return heads, rows
