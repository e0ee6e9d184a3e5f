"""A step of a live game in words: readings, reward, input and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CELL = 10  # characters for a number, so that nothing jumps about
FLAGS = ("black", "clipped", "obscured", "resized")
FROZEN_S = 1.0


@dataclass(frozen=True)
class Status:
    """What is known after a step: of the step, its episode so far, and the run so far (``missed`` deadlines)."""

    step: int
    episode: int
    action: str
    reward: float
    episode_return: float
    missed: int
    info: dict[str, Any]

    def line(self) -> str:
        """All of it in one line."""
        parts = [f"step {self.step}", f"episode {self.episode}", self.action, *self._readings(), self._reward()]
        reasons = (f"{name}: {why}" for name, why in self.info.get("unread", {}).items())
        return "; ".join(part for part in [*parts, self._input(), self._time(), self._flags(), *reasons] if part)

    def lines(self, width: int) -> list[str]:
        """The same in several lines of at most ``width`` characters; always as many for one game."""
        names = self.info["readings"]
        cells = [f"{cell:<{len(name) + 1 + CELL}}" for name, cell in zip(names, self._readings(), strict=True)]
        head = f"step {self.step}, episode {self.episode}: {self.action}"
        lines = [head, *_rows(cells, width), self._reward(), self._input(), self._time(), self._flags()]
        return [line[:width] for line in lines]

    def _readings(self) -> list[str]:
        return [f"{name} {_number(value)}" for name, value in self.info["readings"].items()]

    def _reward(self) -> str:
        parts = [f"{name} {value:+.4g}" for name, value in self.info["reward_parts"].items()]
        return f"reward {self.reward:+.4g} ({', '.join(parts) or 'no parts'}), return {self.episode_return:.4g}"

    def _input(self) -> str:
        if "focused" not in self.info:
            return "no input"
        held = " ".join(self.info["held"]) or "nothing"
        found = ["focused" if self.info["focused"] else "NOT FOCUSED", f"held {held}"]
        found += [f"{self.info[name]} {name}" for name in ("refused", "dropped") if self.info[name]]
        return ", ".join([*found, *(f"released: {why}" for why in self.info["released"])])

    def _time(self) -> str:
        if "dt_ms" not in self.info:
            return "no frame"
        age, dt = self.info["frame_age_ms"], self.info["dt_ms"]
        return f"frame age {age:.1f} ms, dt {dt:.1f} ms, missed deadlines {self.missed}"

    def _flags(self) -> str:
        found = [name for name in FLAGS if self.info.get(name)]
        if self.info.get("unchanged_s", 0.0) > FROZEN_S:
            found.append(f"unchanged for {self.info['unchanged_s']:.1f} s")
        if self.info["failure"]:
            found.append(f"LOST: {self.info['failure']}")
        return ", ".join(found)


def _number(value: float | None) -> str:
    if value is None:
        return "no reading"
    return f"{value:.0f}" if value == round(value) else f"{value:.4g}"


def _rows(cells: list[str], width: int) -> list[str]:
    """As many cells in each row as fit; at least one."""
    rows: list[str] = []
    for cell in cells:
        if rows and len(rows[-1]) + 2 + len(cell) <= width:
            rows[-1] += f"  {cell}"
        else:
            rows.append(cell)
    return rows
