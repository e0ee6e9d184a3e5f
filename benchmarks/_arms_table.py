"""The arms of stages.py side by side: a table with intervals, and a picture of the curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _arms import ARMS, NAMES, WINDOW, worst

from hakisa_algos.training.plots import Chart, curves

REPLICATES = 10_000
_CLONED = [name for name, arm in ARMS.items() if arm.clone]  # they begin from the clone of the teacher's play
TITLES = {
    "alone": "RL alone (PPO)",
    "plain": "clone, then plain PPO",
    "prior": "clone, warm-up, fading prior (PPO)",
    "dqn": "DQN with demonstrations",
    "shuffled": "actions shuffled",
    "random": "random play instead",
}
HOW = """
Points are those per {unit}. Intervals are 95 % bootstraps, {replicates:,} times: seeds are drawn with replacement,
then lives within each seed, and the clone's and the teacher's lives; with three seeds such an interval is rather too
narrow than too wide. The worst mean of {window} consecutive lives is that of training, by drawn actions, of the worst
seed, and is compared with the clone's mean by drawn actions: a clone that stays as it is shows {unchanged:.0%} in
{lives} lives. It is empty for arms that do not begin from that clone: RL alone, DQN, whose net begins from nothing,
and the controls, which begin from clones of their own. Live minutes are those of one display, game minutes those of
all. Both count what was played to be learned from, and no evaluations; wall minutes count the evaluations during
training too, but not those after it.
"""


def means(seeds: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Bootstrapped means ``[REPLICATES]``: seeds are drawn, and then lives of each."""
    of_each = np.stack(
        [lives[rng.integers(0, len(lives), (REPLICATES, len(lives)))].mean(1) for lives in seeds for _ in seeds]
    ).reshape(len(seeds), len(seeds), REPLICATES)  # of a seed that is drawn twice, lives are drawn twice
    chosen = rng.integers(0, len(seeds), (len(seeds), REPLICATES))
    drawn: np.ndarray = of_each[chosen, np.arange(len(seeds))[:, None], np.arange(REPLICATES)].mean(0)
    return drawn


def interval(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 %."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def summary(runs: Sequence[Mapping[str, Any]], taught: Mapping[str, Any], way: str) -> dict[str, Any]:
    """Of an arm's runs, one per seed: by best actions (``"best"``) or by drawn ones (``"drawn"``)."""
    rng = np.random.default_rng(0)
    points = [np.array(run["final"][way]["points"]) for run in runs]
    clone, teacher = np.array(taught["clone"][way]["points"]), np.array(taught["teacher"]["points"])
    drawn = means(points, rng)
    value = float(np.mean([lives.mean() for lives in points]))
    return {
        "mean": value,
        "interval": interval(drawn),
        "seeds": [float(lives.mean()) for lives in points],
        "minus_clone": value - float(clone.mean()),
        "minus_clone_interval": interval(drawn - means([clone], rng)),
        "minus_teacher": value - float(teacher.mean()),
        "minus_teacher_interval": interval(drawn - means([teacher], rng)),
        "over_random": ratio(value, taught["random"]["mean"]),
    }


def ratio(value: float, of: float) -> float:
    """How many times as much; NaN where it is of nothing, or of less, as in Pong."""
    return value / of if of > 0 else math.nan


def unchanged(points: Sequence[float], lives: int) -> float:
    """The worst window of so many lives drawn from these, as a share of their mean: what is chance alone (median)."""
    rng = np.random.default_rng(0)
    drawn = [worst(rng.choice(points, lives).tolist())["mean"] for _ in range(500)]
    return ratio(float(np.median(drawn)), float(np.mean(points)))


def load(folder: Path, game: str) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """What the teacher left, and the runs of each arm that has some."""
    taught = json.loads((folder / f"stages_{game}_teacher.json").read_text())
    runs = {
        name: [json.loads(path.read_text()) for path in sorted(folder.glob(f"stages_{game}_{name}_seed*.json"))]
        for name in NAMES
    }
    return taught, {name: found for name, found in runs.items() if found}


def title(name: str) -> str:
    """An arm in words."""
    return ", ".join(TITLES[part] for part in name.split("_"))


def table(taught: Mapping[str, Any], runs: Mapping[str, Sequence[Mapping[str, Any]]], unit: str) -> str:
    """Markdown: those who were there before, then the arms."""
    lines = [
        f"| player | seeds | points per {unit}, best actions [95 %] | drawn actions | minus the clone [95 %] | "
        f"minus the teacher [95 %] | x RL alone | x random | worst {WINDOW} lives, of the clone's | "
        "minutes: wall, live, game | human minutes |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, best, drawn in (
        ("the teacher", taught["teacher"], None),
        ("random play", None, taught["random"]),
        ("the clone alone", taught["clone"]["best"], taught["clone"]["drawn"]),
    ):
        said = (
            f"{one['mean']:.4g} ± {1.96 * one['sem']:.3g} ({one['lives']} lives)" if one else ""
            for one in (best, drawn)
        )
        human = f"{taught['human_minutes']:g}" if name == "the clone alone" else ""
        lines.append(f"| {name} | | {' | '.join(said)}{7 * ' |'} {human} |")
    found = {name: {way: summary(one, taught, way) for way in ("best", "drawn")} for name, one in runs.items()}
    for name, ways in found.items():
        best, drawn = ways["best"], ways["drawn"]
        alone = f"{ratio(best['mean'], found['alone']['best']['mean']):.2f}" if "alone" in found else ""
        lowest = ""
        if name in _CLONED:
            worst_mean = min(run["worst_window"]["mean"] for run in runs[name])
            lowest = f"{ratio(worst_mean, taught['clone']['drawn']['mean']):.0%}"
        minutes = ", ".join(
            f"{np.mean([run[f'{kind}_minutes'] for run in runs[name]]):.1f}" for kind in ("wall", "live", "game")
        )
        cells = (
            title(name),
            ", ".join(str(run["seed"]) for run in runs[name]),
            _with_interval(best["mean"], best["interval"]),
            _with_interval(drawn["mean"], drawn["interval"]),
            _with_interval(best["minus_clone"], best["minus_clone_interval"]),
            _with_interval(best["minus_teacher"], best["minus_teacher_interval"]),
            alone,
            f"{best['over_random']:.2f}",
            lowest,
            minutes,
            f"{runs[name][0]['human_minutes']:g}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    cloned = [name for name in runs if name in _CLONED] or list(runs)
    played = round(float(np.mean([run["training_lives"] for name in cloned for run in runs[name]])))
    by_chance = unchanged(taught["clone"]["drawn"]["points"], played)
    how = HOW.format(unit=unit, replicates=REPLICATES, window=WINDOW, unchanged=by_chance, lives=played)
    return "\n".join(lines) + "\n" + how


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.4g} [{interval[0]:.4g}, {interval[1]:.4g}]"


def draw(path: Path, taught: Mapping[str, Any], runs: Mapping[str, Sequence[Mapping[str, Any]]], unit: str) -> None:
    """Means over seeds of the curves of training, with the lowest and the highest seed as a band."""
    lines = {}
    for name, found in runs.items():
        steps = [np.array(run["curve_steps_points"]) for run in found]
        first, last = max(each[0, 0] for each in steps), min(each[-1, 0] for each in steps)
        grid = np.linspace(first, last, 100)
        points = np.stack([np.interp(grid, *each.T) for each in steps])
        lines[title(name)] = (grid, points.mean(0), points.min(0), points.max(0))
    levels = {
        "the teacher": taught["teacher"]["mean"],
        "the clone": taught["clone"]["drawn"]["mean"],
        "random play": taught["random"]["mean"],
    }
    words = f"points per {unit}, drawn actions, last 100"
    curves(path, Chart(lines, taught["game"], "env steps", words, levels))
