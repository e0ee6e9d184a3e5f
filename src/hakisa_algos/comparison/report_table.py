"""The words and the table of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from hakisa_algos.comparison.plan import Plan
from hakisa_algos.comparison.summary import Pace, Results, Row, Table, apart, at_equal_time, paces
from hakisa_algos.comparison.table import number, runs, title
from hakisa_algos.training.aggregate import Estimate

_COLUMNS = 6


def lead(plan: Plan, ranked: Sequence[Table]) -> str:
    """One sentence on who is ahead, no stronger than the intervals allow."""
    if not ranked:
        return "No run is done yet."
    first, *rest = ranked[0].rows
    where = "over all envs" if ranked[0].env is None else f"on {ranked[0].env}"
    budget = _budget(plan, ranked[0].env)
    if first.above_next is None:
        return f"{budget}, {first.algorithm} scores {number(first.deterministic)} {where}."
    chance = f"a run of it scores above one of {rest[0].algorithm} with probability {number(first.above_next, 2)}"
    if first.told_apart:
        return f"{budget}, {first.algorithm} is ahead {where}: {chance}."
    return f"{budget}, {first.algorithm} and {rest[0].algorithm} cannot be told apart {where}: {chance}."


def _budget(plan: Plan, env: str | None) -> str:
    protocol = plan.protocol if env is None else plan.protocol.on(env)
    same = env is None and protocol.steps_on
    steps = "After the same env steps on each env" if same else f"After {protocol.steps:,} env steps"
    return steps if protocol.minutes is None else f"{steps} or {protocol.minutes:g} minutes of training"


def score_table(plan: Plan, results: Results, ranked: Sequence[Table], colours: Mapping[str, int]) -> str:
    """The bodies of the one table: all envs together first, then each."""
    return "".join(_body(plan, results, table, colours) for table in ranked)


def pair_table(plan: Plan, results: Results, found: Mapping[tuple[str, str], Estimate]) -> str:
    """Who scores above whom, each pair over the envs that both played."""
    names = [name for name in plan.algorithms if any(name in pair for pair in found)]
    if len(names) < 3:
        return ""
    done = {name: len({seed for algorithm, _, seed in results if algorithm == name}) for name in names}
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = ""
    for first in names:
        cells = (_pair(found.get((first, other)), min(done[first], done[other])) for other in names)
        rows += f"<tr><th>{escape(first)}</th>{''.join(cells)}</tr>"
    return (
        "<h2>Probability that a run of the row scores above one of the column</h2>"
        f'<div class="card scroll"><table class="matrix"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def _pair(estimate: Estimate | None, runs: int) -> str:
    if estimate is None:
        return "<td>·</td>"
    mark = ("yes" if estimate.value > 0.5 else "no") if apart(estimate, runs) else ""
    return f'<td class="{mark}">{_figure(estimate, 2)}</td>'


def _body(plan: Plan, results: Results, table: Table, colours: Mapping[str, int]) -> str:
    ends = [end for row in table.rows for end in (row.deterministic.low, row.deterministic.high)]
    low, high = min(ends), max(ends)
    spent = {pace.algorithm: pace for pace in paces(plan, results, table.env)} if table.env else {}
    seconds, then = at_equal_time(plan, results, table.env) if table.env else (0.0, {})
    rows = []
    for row in table.rows:
        tint = f"c{colours[row.algorithm]}" if row.algorithm in colours else "cr"
        pace = spent.get(row.algorithm)
        cells = [
            f'<i class="{tint}"></i><b>{escape(row.algorithm)}</b> <small>{runs(row, len(plan.seeds))} runs</small>',
            _figure(row.deterministic),
            _whisker(row.deterministic, low, high, tint),
            _figure(row.stochastic),
            _above(row),
            "" if pace is None else f"{pace.steps:,.0f} <small>in {pace.seconds:,.1f} s{_cut(pace)}</small>",
        ]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    compared = ", ".join(f"{name} {number(estimate)}" for name, estimate in then.items())
    note = f"At equal training time, {seconds:,.1f} s: {compared}" if len(then) > 1 else ""
    below = f'<tr><td class="quiet" colspan="{_COLUMNS}">{escape(note)}</td></tr>' if note else ""
    head = f'<tr><th class="env" colspan="{_COLUMNS}" scope="rowgroup">{escape(title(table))}</th></tr>'
    return f"<tbody>{head}{''.join(rows)}{below}</tbody>"


def _cut(pace: Pace) -> str:
    return f", {pace.cut} of {pace.runs} runs ended by their minutes" if pace.cut else ""


def _above(row: Row) -> str:
    if row.above_next is None:
        return ""
    return f"{_figure(row.above_next, 2)} <small>{'told apart' if row.told_apart else 'unclear'}</small>"


def _figure(estimate: Estimate, digits: int | None = None) -> str:
    value, _, interval = number(estimate, digits).partition(" ")
    return f"<b>{value}</b> <small>{interval}</small>"


def _whisker(estimate: Estimate, low: float, high: float, tint: str) -> str:
    """The interval as a line with a dot, all rows of a table on one scale."""
    span = high - low or 1.0

    def x(value: float) -> str:
        return f"{6 + 178 * (value - low) / span:.1f}"

    return (
        '<svg class="whisker" viewBox="0 0 190 18" aria-hidden="true">'
        '<line class="rail" x1="6" x2="184" y1="9" y2="9"/>'
        f'<line class="dot {tint}" x1="{x(estimate.low)}" x2="{x(estimate.high)}" y1="9" y2="9"/>'
        f'<circle class="dot {tint}" cx="{x(estimate.value)}" cy="9" r="4.5"/></svg>'
    )
