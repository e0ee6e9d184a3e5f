"""A run as one HTML file that needs nothing else: curves, what a player has taught, where agents were and more."""

from __future__ import annotations

import importlib.resources
import json
import math
import string
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from hakisa_algos.data.files import write_text
from hakisa_algos.training.agreement_report import cloning_section
from hakisa_algos.training.chronicle import CHRONICLE, milestone_rows
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.run_folder import RunFolder
from hakisa_algos.training.tables import chart, table

REPORT = "report.html"
# What is drawn, where a run has it: a metric's name, and what it is.
_CURVES = {
    "rollout/ep_rew_mean": "mean return of the last 100 episodes",
    "eval/mean_reward": "mean return of evaluations",
    "explore/places": "places where anybody has been",
    "explore/maps": "maps where anybody has been",
}
_MAPS = {
    "visits": "How often agents were there: dark seldom, bright often.",
    "first": "When one was there first: dark early in the run, bright lately.",
}


def write_report(folder: RunFolder) -> Path:
    """Writes report.html into a run's folder, of the run as it stands now."""
    rows = read_metrics(folder.metrics) if folder.metrics.is_file() else []
    told = _json(folder.path / CHRONICLE)
    config = folder.config
    steps = rows[-1]["step"] if rows else 0
    sections = [
        _curves(rows),
        cloning_section(folder.path),
        _assists(told),
        _farms(told),
        _milestones(told),
        _maps(told),
    ]
    text = string.Template(
        importlib.resources.files("hakisa_algos.training").joinpath(REPORT).read_text(encoding="utf-8")
    ).substitute(
        title=escape(f"{str(config.get('algorithm')).upper()} on {config.get('env') or 'an env of its own'}"),
        lead=escape(f"{folder.path.name}: {steps:,} env steps, seed {config.get('seed')}"),
        sections="\n".join(filter(None, sections)),
        config=escape(json.dumps(config, indent=1, ensure_ascii=False)),
        system=escape(json.dumps(_json(folder.path / "system.json"), indent=1, ensure_ascii=False)),
    )
    write_text(folder.path / REPORT, text)
    return folder.path / REPORT


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _curves(rows: Sequence[Mapping[str, Any]]) -> str:
    charts = []
    for name, words in _CURVES.items():
        points = [(row["step"], row[name]) for row in rows if name in row and math.isfinite(row[name])]
        if len(points) > 1:
            charts.append(f"<figure>{chart(points)}<figcaption>{escape(words)}</figcaption></figure>")
    return f'<h2>Curves</h2><div class="row">{"".join(charts)}</div>' if charts else ""


def _assists(told: Mapping[str, Any]) -> str:
    if not told:
        return ""
    listed = [*told["assists"], *(f"in training: {words}" for words in told["assists_in_training"])]
    items = "".join(f"<li>{escape(words)}</li>" for words in listed)
    none = "<p>None: pictures and buttons from the true start.</p>"
    return f"<h2>Assists</h2>{f'<ul>{items}</ul>' if items else none}"


def _farms(told: Mapping[str, Any]) -> str:
    if not told:
        return ""
    rows = [
        (farm["part"], farm["says"], f"{farm['run_step']:,}", farm["episodes"], len(farm["columns"]))
        for farm in told["farms"]
    ]
    if not rows:
        return "<h2>Farms</h2><p>No part of the reward was seen to be farmed.</p>"
    return "<h2>Farms</h2>" + table(("part", "what was seen first", "at step", "episodes", "envs"), rows)


def _milestones(told: Mapping[str, Any]) -> str:
    heads, rows = milestone_rows(told)
    return "<h2>Milestones</h2>" + table(heads, rows) if rows else ""


def _maps(told: Mapping[str, Any]) -> str:
    parts = []
    for by, words in _MAPS.items():
        pictures = told.get("maps", {}).get(by, {})
        if pictures:
            figures = "".join(
                f'<figure><img alt="map {escape(name)}" src="{picture}">'
                f"<figcaption>{escape(name)}</figcaption></figure>"
                for name, picture in pictures.items()
            )
            parts.append(f'<p>{escape(words)}</p><div class="row">{figures}</div>')
    return "<h2>Map</h2>" + "".join(parts) if parts else ""
