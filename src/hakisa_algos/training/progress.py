"""What is known of a run at one moment, and in which words it is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

_PARTS = 256
_NOTICES = 3
_LINE = {
    "return": "rollout/ep_rew_mean",
    "episodes": "rollout/episodes",
    "won": "rollout/win_rate",
    "evaluated": "eval/mean_reward",
    "KL": "train/approx_kl",
    "entropy": "train/entropy",
    "explained": "train/explained_variance",
    "env": "time/env_share",
    "act": "time/act_share",
    "update": "time/update_share",
}


@dataclass
class Progress:
    """What a panel or a line shows; the one place where it is kept.

    ``metrics`` has the newest value of each, ``returns`` the last mean return of each part of the run by its number,
    and ``notices`` the last ones, oldest first, with how often each was given in a row; ``status`` says how far
    something is that takes long.
    """

    title: str
    total_steps: int
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    returns: dict[int, float] = field(default_factory=dict)
    notices: list[tuple[str, int]] = field(default_factory=list)
    status: str = ""

    def take(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes in what is new; metrics that are not given keep their last value."""
        self.step, self.status = int(step), ""
        self.metrics.update({name: float(value) for name, value in metrics.items()})
        if math.isfinite(self.get("rollout/ep_rew_mean")):
            self.returns[int(_PARTS * self.share)] = self.get("rollout/ep_rew_mean")

    def notice(self, text: str) -> bool:
        """Takes in a notice; False if it is the last one again, which is counted."""
        last, count = self.notices[-1] if self.notices else (None, 0)
        if text == last:
            self.notices[-1] = (text, count + 1)
        else:
            self.notices = [*self.notices, (text, 1)][-_NOTICES:]
        return text != last

    def get(self, name: str) -> float:
        """The newest value of a metric; NaN while unknown."""
        return self.metrics.get(name, math.nan)

    @property
    def share(self) -> float:
        """Of the run that is done, at most 1."""
        return min(1.0, self.step / self.total_steps) if self.total_steps > 0 else 1.0

    @property
    def seconds_left(self) -> float:
        """At the present rate; NaN while unknown."""
        rate = self.get("time/fps")
        return max(0, self.total_steps - self.step) / rate if rate > 0 else math.nan

    def said(self, facts: Mapping[str, str]) -> list[tuple[str, str]]:
        """Of metrics by their labels those that are known, as (label, value in words)."""
        known = [(label, name, self.get(name)) for label, name in facts.items() if math.isfinite(self.get(name))]
        percent = ("_share", "/win_rate")
        return [(label, f"{value:.0%}" if name.endswith(percent) else number(value)) for label, name, value in known]

    def line(self) -> str:
        """One line for a log file: everything that the panel leads with."""
        parts = [f"{self.step:,}/{self.total_steps:,} {self.share:.0%}"]
        if math.isfinite(self.seconds_left):
            parts += [f"{self.get('time/fps'):,.0f} steps/s", f"{duration(self.seconds_left)} left"]
        return "  ".join(parts + [f"{label} {value}" for label, value in self.said(_LINE)])


def number(value: float) -> str:
    """The digits that matter: ``1,204``, ``12.4``, ``0.00812``."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """``16:20``, ``3:05:00``, ``4 days, 3:20:00``; ``-`` while unknown."""
    if not math.isfinite(seconds):
        return "-"
    return str(timedelta(seconds=min(int(seconds), 10**9))).removeprefix("0:")
