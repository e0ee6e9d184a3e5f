"""What is compared as one HTML file that needs nothing else: curves, tables, films, settings, command."""

from __future__ import annotations

import base64
import contextlib
import importlib.resources
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hakisa_algos.comparison.grid import Grid, as_html
from hakisa_algos.data.files import write_text
from hakisa_algos.errors import MissingExtraError
from hakisa_algos.training import plots

REPORT = "report.html"
# What curves are over: its name in results, in words, and the picture that they are drawn in.
AXES = (("step", "env steps", "curves.png"), ("seconds", "seconds of training", "curves-seconds.png"))
CHANCE = "random player"


@dataclass(frozen=True)
class Film:
    """Somebody at play.

    Attributes:
        name: who.
        env: where.
        which: of several, in words.
        path: of the mp4.
        said: ``return``, ``steps`` and ``over`` of the episode, or why it is ``missing``.
    """

    name: str
    env: str
    which: str
    path: Path
    said: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """All that stands in a report.

    Attributes:
        title: of the page.
        lead: one sentence on what came of it.
        facts: on how it was measured, short.
        colours: CSS classes of the names, which they have in every chart, table and caption.
        legend: names that have curves.
        charts: for each of :data:`AXES`.
        grids: tables.
        reading: how to read them.
        films: side by side.
        failures: what went wrong, and how.
        folds: what is folded away: what it is, of whom, and the text.
        command: that makes it again.
    """

    title: str
    lead: str
    facts: Sequence[str]
    colours: Mapping[str, str]
    legend: Sequence[str]
    charts: Mapping[str, Sequence[plots.Chart]]
    grids: Sequence[Grid]
    reading: str
    films: Sequence[Film]
    failures: Sequence[tuple[str, str]]
    folds: Sequence[tuple[str, str, str]]
    command: str


def write_page(folder: Path, page: Page) -> Path:
    """Writes report.html, and where matplotlib is installed the curves as curves.png and curves-seconds.png."""
    colours = page.colours
    text = string.Template(
        importlib.resources.files("hakisa_algos.comparison").joinpath(REPORT).read_text(encoding="utf-8")
    ).substitute(
        title=escape(page.title),
        lead=escape(page.lead),
        facts="".join(f"<li>{escape(fact)}</li>" for fact in page.facts),
        legend="".join(f'<li><i class="{colours[name]}"></i>{escape(name)}</li>' for name in page.legend),
        data=_json([_chart_data(by, chart, colours) for by in page.charts for chart in page.charts[by]]),
        tables="".join(as_html(grid, colours) for grid in page.grids),
        reading=escape(page.reading),
        videos="".join(_card(film, colours[film.name]) for film in page.films),
        failures="".join(
            f'<p class="card failed"><b>{escape(what)}</b> failed: {escape(why)}</p>' for what, why in page.failures
        ),
        configs="".join(
            f"<details><summary>{escape(what)} <span class='quiet'>{escape(whose)}</span>"
            f"</summary><pre>{escape(values)}</pre></details>"
            for what, whose, values in page.folds
        ),
        command=escape(page.command),
        version=f"hakisa {version('hakisa')}",
    )
    path = folder / REPORT
    write_text(path, text)
    for by, _, name in AXES:
        with contextlib.suppress(MissingExtraError):
            if page.charts[by]:
                numbers = {name: k for k, name in enumerate(page.legend)}
                plots.curves(folder / name, *page.charts[by], colours=numbers)
    return path


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """A CSS class for each."""
    return {name: f"c{number % len(plots.COLOURS)}" for number, name in enumerate(names)}


def _chart_data(by: str, chart: plots.Chart, colours: Mapping[str, str]) -> dict[str, Any]:
    """What the page draws a chart from."""
    lines = [
        {"name": name, "colour": colours[name]}
        | {end: values.round(4).tolist() for end, values in zip(("x", "y", "low", "high"), line, strict=True)}
        for name, line in chart.lines.items()
    ]
    return {"env": chart.title, "by": by, "unit": chart.xlabel, "chance": chart.levels.get(CHANCE), "lines": lines}


def _json(value: Any) -> str:
    # "</script>" inside would end the element.
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _card(film: Film, colour: str) -> str:
    who = f'<i class="{colour}"></i><b>{escape(film.name)}</b> on {escape(film.env)}'
    if "missing" in film.said or not film.path.is_file():
        why = escape(str(film.said.get("missing", "its file is gone")))
        blank = f'<div class="none">no video: {why}</div>'
        return f'<figure class="card">{blank}<figcaption>{who}</figcaption></figure>'
    data = base64.b64encode(film.path.read_bytes()).decode("ascii")
    end = "" if film.said["over"] else ", cut there"
    return (
        f'<figure class="card"><video controls muted loop playsinline preload="metadata" '
        f'src="data:video/mp4;base64,{data}"></video><figcaption>{who}<br><span class="quiet">{escape(film.which)}: '
        f"return {film.said['return']:.4g} in {film.said['steps']:,} steps{end}</span></figcaption></figure>"
    )
