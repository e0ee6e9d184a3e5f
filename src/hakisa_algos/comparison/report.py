"""A comparison as one HTML file that needs nothing else: curves, table, videos, settings, machine, command."""

from __future__ import annotations

import base64
import contextlib
import importlib.resources
import itertools
import json
import string
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hakisa_algos.comparison.folder import ComparisonFolder
from hakisa_algos.comparison.grid import Figure, as_html
from hakisa_algos.comparison.plan import PEER_PREFIX, RANDOM, Job, Plan
from hakisa_algos.comparison.summary import (
    RULE,
    Ranking,
    Results,
    chance,
    curves,
    median_seed,
    notes,
    rankings,
    seeds_of,
)
from hakisa_algos.comparison.table import outcome_grids, pace_grid, pair_grid, score_grids
from hakisa_algos.data.files import write_text
from hakisa_algos.errors import MissingExtraError
from hakisa_algos.training import plots

REPORT = "report.html"
# What curves are over: its name in results, in words, and the picture that they are drawn in.
AXES = (("step", "env steps", "curves.png"), ("seconds", "seconds of training", "curves-seconds.png"))
CHANCE = "random player"


def write_report(folder: ComparisonFolder, results: Results, errors: Sequence[tuple[Job, str]], workers: int) -> Path:
    """Writes report.html, and where matplotlib is installed the curves as curves.png and curves-seconds.png.

    ``workers`` is how many runs were trained at a time, which their times depend on.
    """
    plan = folder.plan
    # A colour belongs to its algorithm in every chart, table and caption.
    trained = [name for name in plan.algorithms if name != RANDOM]
    colours = {name: f"c{number % len(plots.COLOURS)}" for number, name in enumerate(trained)} | {RANDOM: "cr"}
    charts = {by: _charts(plan, results, by, unit) for by, unit, _ in AXES}
    ranked, pairs = rankings(plan, results), pair_grid(plan, results)
    grids = [*score_grids(plan, ranked), *outcome_grids(plan, results), *([pairs] if pairs else [])]
    text = string.Template(
        importlib.resources.files("hakisa_algos.comparison").joinpath(REPORT).read_text(encoding="utf-8")
    ).substitute(
        title=escape(_title(plan)),
        lead=escape(_lead(ranked)),
        facts="".join(f"<li>{escape(fact)}</li>" for fact in _facts(plan, results, workers)),
        legend="".join(f'<li><i class="{colours[name]}"></i>{escape(name)}</li>' for name in trained),
        data=_json([_chart_data(by, chart, colours) for by in charts for chart in charts[by]]),
        tables="".join(as_html(grid, colours) for grid in (*grids, pace_grid(plan, results))),
        reading=escape(_reading(plan)),
        videos="".join(_videos(folder, results, colours)),
        failures="".join(
            f'<p class="card failed"><b>{escape(str(job))}</b> failed: {escape(error)}</p>' for job, error in errors
        ),
        configs="".join(_configs(results)),
        command=escape(folder.command),
        version=f"hakisa {version('hakisa')}",
    )
    path = folder.path / REPORT
    write_text(path, text)
    for by, _, name in AXES:
        with contextlib.suppress(MissingExtraError):
            if charts[by]:
                plots.curves(folder.path / name, *charts[by], colours={name: k for k, name in enumerate(trained)})
    return path


def _title(plan: Plan) -> str:
    names = [name.upper().replace(PEER_PREFIX.upper(), "SB3 ") for name in plan.algorithms if name != RANDOM]
    return f"{_listed(names)} on {_listed(plan.envs)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lead(ranked: Sequence[Ranking]) -> str:
    """One sentence on who is ahead, no stronger than the intervals allow."""
    if not ranked:
        return "No run is done yet."
    env, (first, *rest) = ranked[0].env, ranked[0].rows
    who, where = first.algorithm, f"On {env}" if env else "Over all envs"
    if first.above_next is None:
        return f"{where}, {who} scores {Figure(first.deterministic)}."
    ahead = "is ahead" if first.told_apart else f"and {rest[0].algorithm} cannot be told apart"
    above = f"a run of {who} scores above one of {rest[0].algorithm} with probability {Figure(first.above_next, 2)}"
    return f"{where}, {who} {ahead}: {above}."


def _facts(plan: Plan, results: Results, workers: int) -> list[str]:
    protocol = plan.protocol
    steps = (
        [f"{protocol.on(env).steps:,} on {env}" for env in plan.envs] if protocol.steps_on else [f"{protocol.steps:,}"]
    )
    facts = [
        f"{_listed(steps)} env steps per run; the table says what was used",
        f"{len(plan.seeds)} seeds",
        f"{protocol.final_episodes} episodes per final evaluation, on fresh seeds",
        f"{len(results)} of {len(plan.jobs)} runs done",
        f"{workers} at a time, {protocol.threads} torch thread each",
    ]
    if protocol.minutes is not None:
        facts.append(f"training ends with the first update after {protocol.minutes:g} minutes")
    return facts + notes(plan, results)


def _reading(plan: Plan) -> str:
    many = " Over all envs, 0 is the random player and 1 the best run of each env." if len(plan.envs) > 1 else ""
    return (
        "Interquartile mean over runs of the mean return, with its 95 % stratified bootstrap interval. “P(above next)” "
        " is the probability that a run of this algorithm scores higher than one of the next; two algorithms are "
        f"told apart where {RULE}.{many} Curves: evaluations of {plan.protocol.curve_episodes} "
        "episodes on fresh seeds, deterministic; their time is not counted as training."
    )


def _charts(plan: Plan, results: Results, by: str, unit: str) -> list[plots.Chart]:
    """One for each env with results, with the random player's return."""
    charts = []
    for env in plan.envs:
        level = chance(plan, results, env)
        levels = {} if level is None else {CHANCE: level}
        lines, label = curves(plan, results, env, by), "return, interquartile mean and 95 % band"
        charts += [plots.Chart(lines, env, unit, label, levels)] if lines else []
    return charts


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


def _videos(folder: ComparisonFolder, results: Results, colours: Mapping[str, str]) -> list[str]:
    cards = []
    plan = folder.plan
    for env, name in itertools.product(plan.envs, plan.algorithms):
        seed = median_seed(plan, results, name, env)
        if seed is None:
            continue
        video = results[name, env, seed]["video"]
        path = folder.of(Job(name, env, seed, plan.protocol.on(env))) / str(video.get("file"))
        runs = len(seeds_of(plan, results, name, (env,)))
        who = f'<i class="{colours[name]}"></i><b>{escape(name)}</b> on {escape(env)}'
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


def _configs(results: Results) -> list[str]:
    """One fold per algorithm and set of hyperparameters, which may differ between envs; then the machines."""
    folds: dict[tuple[str, str, str], list[str]] = {}
    for (name, env, _), result in results.items():
        envs = folds.setdefault((name, _indented(result["config"]), result["source"]), [])
        envs += [] if env in envs else [env]
    for system in dict.fromkeys(_indented(result["system"]) for result in results.values()):
        folds["Machine and versions", system, "what runs were made with"] = ["all envs"]
    return [
        f"<details><summary>{escape(name)} <span class='quiet'>{escape(_listed(envs))}: {escape(source)}</span>"
        f"</summary><pre>{escape(values)}</pre></details>"
        for (name, values, source), envs in folds.items()
    ]


def _indented(values: Any) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False)
