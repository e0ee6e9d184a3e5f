"""A comparison as one HTML file that needs nothing else: curves, table, videos, settings, machine, command."""

from __future__ import annotations

import base64
import importlib.resources
import json
import os
import re
import string
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hakisa_algos.comparison.charts import LEFT, RIGHT, WIDTH, limits, png, png_of_all, svg
from hakisa_algos.comparison.folder import ComparisonFolder
from hakisa_algos.comparison.plan import PEERS, RANDOM, Job, Plan
from hakisa_algos.comparison.report_table import lead, pair_table, score_table
from hakisa_algos.comparison.summary import (
    RULE,
    Curves,
    Results,
    curves,
    episodes_played,
    median_seed,
    pairwise,
    scores,
    tables,
    videos_missing,
)
from hakisa_algos.errors import MissingExtraError

REPORT = "report.html"
_COLOURS = 8
_UNITS = {"steps": "env steps", "seconds": "s of training"}


def write_report(folder: ComparisonFolder, results: Results, errors: Sequence[tuple[Job, str]], workers: int) -> Path:
    """Writes report.html, and where matplotlib is installed PNGs of the curves: of each env, and of all in one.

    Args:
        folder: of the comparison.
        results: of its runs, as many as there are.
        errors: of those that failed.
        workers: how many runs were trained at a time, which their times depend on.

    Returns:
        Where the report lies.
    """
    plan = folder.plan
    # A colour belongs to its algorithm in every chart, table and caption.
    colours = {name: i % _COLOURS for i, name in enumerate(name for name in plan.algorithms if name != RANDOM)}
    found = [(env, curves(plan, results, env, by), _chance(plan, results, env)) for env in plan.envs for by in _UNITS]
    found = [chart for chart in found if chart[1].bands]
    ranked = tables(plan, results)
    text = string.Template(
        importlib.resources.files("hakisa_algos.comparison").joinpath(REPORT).read_text(encoding="utf-8")
    ).substitute(
        title=escape(_title(plan)),
        lead=escape(lead(plan, ranked)),
        facts=_items(_facts(plan, results, workers)),
        legend="".join(f'<li><i class="c{number}"></i>{escape(name)}</li>' for name, number in colours.items()),
        charts="".join(_chart(i, *chart, colours) for i, chart in enumerate(found)),
        data=_json([_chart_data(chart, chance, colours) for _, chart, chance in found]),
        table=score_table(plan, results, ranked, colours),
        reading=escape(_reading(plan)),
        matrix=pair_table(plan, results, pairwise(plan, results, plan.algorithms)),
        videos="".join(_videos(folder, results, colours)),
        failures="".join(_failure(job, error) for job, error in errors),
        configs="".join(_configs(plan, results)),
        machine=_machine(results),
        command=escape(folder.command),
        version=f"hakisa {version('hakisa')}",
    )
    path = folder.path / REPORT
    beside = path.with_suffix(".html.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
    _write_pictures(folder.path, plan, found, colours)
    return path


def _title(plan: Plan) -> str:
    names = [name.upper() if name not in PEERS else f"SB3 {name[4:].upper()}" for name in plan.algorithms]
    return f"{_listed([name for name in names if name != RANDOM.upper()])} on {_listed(plan.envs)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _facts(plan: Plan, results: Results, workers: int) -> list[str]:
    protocol = plan.protocol
    steps = (
        [f"{protocol.on(env).steps:,} on {env}" for env in plan.envs] if protocol.steps_on else [f"{protocol.steps:,}"]
    )
    # More than was asked for where they are no multiple of those that are played side by side.
    episodes = [str(count) for count in episodes_played(results)] or [str(protocol.final_episodes)]
    facts = [
        f"{_listed(steps)} env steps per run; the table says what was used",
        f"{len(plan.seeds)} seeds",
        f"{_listed(episodes)} episodes per final evaluation, on fresh seeds",
        f"{len(results)} of {len(plan.jobs)} runs done",
        f"{workers} at a time, {protocol.threads} torch thread each",
    ]
    if protocol.minutes is not None:
        facts.append(f"training ends with the first update after {protocol.minutes:g} minutes")
    return facts + [f"{count} runs have no video: {reason}" for reason, count in videos_missing(results).items()]


def _items(texts: Sequence[str]) -> str:
    return "".join(f"<li>{escape(text)}</li>" for text in texts)


def _reading(plan: Plan) -> str:
    many = " Over all envs, 0 is the random player and 1 the best run of each env." if len(plan.envs) > 1 else ""
    return (
        "Interquartile mean over runs of the mean return, with its 95 % stratified bootstrap interval. “Above the next "
        "row” is the probability that a run of this algorithm scores higher than one of the next; two algorithms are "
        f"told apart where {RULE}.{many} Curves: evaluations of {plan.protocol.curve_episodes} "
        "episodes on fresh seeds, deterministic; their time is not counted as training."
    )


def _chance(plan: Plan, results: Results, env: str) -> float | None:
    found = scores(plan, results, RANDOM, (env,), "deterministic")
    return float(found.mean()) if found.size else None


def _chart(number: int, env: str, chart: Curves, chance: float | None, colours: Mapping[str, int]) -> str:
    picture = svg(chart, colours, chance, f"Return on {env} by {chart.by}")
    return (
        f'<figure class="chart card by-{chart.by}" data-chart="{number}"><figcaption>{escape(env)}'
        f' <span class="quiet">return</span></figcaption>{picture}</figure>'
    )


def _chart_data(chart: Curves, chance: float | None, colours: Mapping[str, int]) -> dict[str, Any]:
    lines = [
        {
            "name": name,
            "colour": f"c{colours[name]}",
            "x": chart.grids[name].round(3).tolist(),
            "y": band.value.round(4).tolist(),
            "low": band.low.round(4).tolist(),
            "high": band.high.round(4).tolist(),
        }
        for name, band in chart.bands.items()
    ]
    return {
        "right": limits(chart, chance)[0],
        "width": WIDTH,
        "left": LEFT,
        "rightMargin": RIGHT,
        "unit": _UNITS[chart.by],
        "lines": lines,
    }


def _json(value: Any) -> str:
    # "</script>" inside would end the element.
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _videos(folder: ComparisonFolder, results: Results, colours: Mapping[str, int]) -> list[str]:
    cards = []
    plan = folder.plan
    for env in plan.envs:
        for name in plan.algorithms:
            seed = median_seed(plan, results, name, env)
            if seed is None:
                continue
            video = results[name, env, seed]["video"]
            path = folder.of(Job(name, env, seed, plan.protocol.on(env))) / str(video.get("file"))
            runs = sum(key[:2] == (name, env) for key in results)
            who = f'<i class="{_colour(name, colours)}"></i><b>{escape(name)}</b> on {escape(env)}'
            which = f"seed {seed}, the middle one of {runs}" if runs > 1 else f"seed {seed}"
            if "missing" in video or not path.is_file():
                why = escape(str(video.get("missing", "its file is gone")))
                blank = f'<div class="none">no video: {why}</div>'
                cards.append(f'<figure class="card">{blank}<figcaption>{who}</figcaption></figure>')
                continue
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            end = "" if video["over"] else ", cut there"
            cards.append(
                f'<figure class="card"><video controls muted loop playsinline preload="metadata" '
                f'src="data:video/mp4;base64,{data}"></video><figcaption>{who}<br><span class="quiet">{which}: return '
                f"{video['return']:.4g} in {video['steps']:,} steps{end}</span></figcaption></figure>"
            )
    return cards


def _colour(name: str, colours: Mapping[str, int]) -> str:
    """The class of an algorithm's colour."""
    return f"c{colours[name]}" if name in colours else "cr"


def _failure(job: Job, error: str) -> str:
    return f'<p class="card failed"><b>{escape(str(job))}</b> failed: {escape(error)}</p>'


def _configs(plan: Plan, results: Results) -> list[str]:
    """One fold per algorithm and set of hyperparameters: they may differ between envs."""
    folds: dict[tuple[str, str, str], list[str]] = {}
    for env in plan.envs:
        for name in plan.algorithms:
            for seed in plan.seeds:
                if (result := results.get((name, env, seed))) is not None:
                    key = (name, json.dumps(result["config"]), result["source"])
                    folds.setdefault(key, [])
                    if env not in folds[key]:
                        folds[key].append(env)
    return [
        f"<details><summary>{escape(name)} <span class='quiet'>on {escape(_listed(envs))}: {escape(source)}</span>"
        f"</summary>{_definitions(json.loads(config))}</details>"
        for (name, config, source), envs in folds.items()
    ]


def _machine(results: Results) -> str:
    """Every machine and set of versions that runs were made on: usually one."""
    systems = {json.dumps(result["system"], sort_keys=True): result["system"] for result in results.values()}
    return "".join(
        f"<details><summary>Machine and versions</summary>{_definitions(system)}</details>"
        for system in systems.values()
    )


def _definitions(values: Mapping[str, Any]) -> str:
    terms = "".join(f"<dt>{escape(str(key))}</dt><dd>{escape(_plain(value))}</dd>" for key, value in values.items())
    return f"<dl>{terms or '<dt>none</dt>'}</dl>"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _write_pictures(
    path: Path, plan: Plan, found: Sequence[tuple[str, Curves, float | None]], colours: Mapping[str, int]
) -> None:
    for env, chart, chance in found:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", env)
        try:
            png(path / f"curves-{name}-{chart.by}.png", chart, colours, chance, f"{env}, {len(plan.seeds)} seeds")
        except MissingExtraError:  # the report has them all the same
            return
    by_steps = [chart for chart in found if chart[1].by == "steps"]
    if len(by_steps) > 1:
        png_of_all(path / "curves.png", by_steps, colours)
