"""What a view of a run shows, and in which words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Progress:
    """What the view shows; the one place where it is kept.

    Attributes:
        title: what runs, such as ``"PPO on Hakisa/Pong-v0"``.
        total_steps: env steps of the whole run.
        step: env steps done.
        metrics: the newest value of each metric.
        returns: mean returns so far, thinned out evenly.
        notices: the last notices, oldest first, and how often each was given in a row.
        elapsed: seconds since ``start``.
        rate: env steps per second, NaN while unknown.
    """

    title: str
    total_steps: int
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    returns: list[float] = field(default_factory=list)
    notices: list[tuple[str, int]] = field(default_factory=list)
    elapsed: float = 0.0
    rate: float = math.nan

    @property
    def seconds_left(self) -> float:
        """At the present rate; NaN while unknown."""
        return max(0, self.total_steps - self.step) / self.rate if self.rate > 0 else math.nan


def plain_line(progress: Progress) -> str:
    """One line for a log file: everything that the panel leads with."""
    metrics = progress.metrics
    share = progress.step / progress.total_steps if progress.total_steps > 0 else 1.0
    parts = [f"{progress.step:,}/{progress.total_steps:,} {share:.0%}"]
    if math.isfinite(progress.rate):
        parts.append(f"{progress.rate:,.0f} steps/s")
    if math.isfinite(progress.seconds_left):
        parts.append(f"{duration(progress.seconds_left)} left")
    for name, label in (
        ("rollout/ep_rew_mean", "return"),
        ("rollout/episodes", "episodes"),
        ("eval/mean_reward", "evaluated"),
        ("train/approx_kl", "KL"),
        ("train/entropy", "entropy"),
        ("train/explained_variance", "explained"),
        ("time/env_share", "env"),
        ("time/act_share", "act"),
        ("time/update_share", "update"),
        ("time/bound_share", "bound"),
    ):
        if math.isfinite(metrics.get(name, math.nan)):
            value = metrics[name]
            parts.append(f"{label} {value:.0%}" if name.endswith("_share") else f"{label} {number(value)}")
    return "  ".join(parts)


def number(value: float) -> str:
    """The digits that matter: ``1,204``, ``12.4``, ``0.00812``, ``2.5e-04``."""
    if not math.isfinite(value):
        return "-"
    if value == round(value) and abs(value) < 1e9:
        return f"{value:,.0f}"
    if abs(value) < 1e-3 or abs(value) >= 1e9:
        return f"{value:.1e}"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if abs(value) < 1000 else 0
    return f"{value:,.{min(digits, 6)}f}"


def duration(seconds: float) -> str:
    """``0:42``, ``16:20``, ``3:05:00``, ``4 d 3 h``; ``-`` while unknown."""
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
