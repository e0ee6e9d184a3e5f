"""A comparison as text: the same results give the same text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hakisa_algos.comparison.plan import Job, Plan
from hakisa_algos.comparison.summary import Results, Row, Table, paces, tables
from hakisa_algos.training.aggregate import Estimate

_HEADS = ("algorithm", "runs", "env steps", "deterministic [95 %]", "stochastic [95 %]", "P(above next)")


def score_tables(plan: Plan, results: Results, errors: Sequence[tuple[Job, str]]) -> str:
    """The scores: interquartile means over runs with intervals, best first; and what failed, with the reasons."""
    found = [
        f"{title(table)}\n{_aligned([_HEADS, *(_cells(row, len(plan.seeds)) for row in table.rows)])}"
        for table in tables(plan, results)
    ]
    if errors:
        lines = [f"  {job}: {error.splitlines()[0]}" for job, error in errors]
        found.append("\n".join(["Failed, and left out", *lines]))
    return "\n\n".join(found)


def markdown_table(plan: Plan, results: Results) -> str:
    """A line for each algorithm, best first, and a column for each env, for a README.

    Deterministic scores; the best of an env is bold where it is told apart from the second.
    """
    found = tables(plan, results)
    by_env = {table.env: {row.algorithm: row for row in table.rows} for table in found if table.env is not None}
    heads = [f"{env}, {plan.protocol.on(env).steps:,} env steps" for env in by_env if env]
    ranked = [row.algorithm for row in found[0].rows] if found else []
    ranked += [name for name in plan.algorithms if name not in ranked and any(name in rows for rows in by_env.values())]
    lines = [["algorithm", *heads], ["---"] * (1 + len(heads))]
    for name in ranked:
        lines.append([name, *(_markdown_cell(rows, name, len(plan.seeds)) for rows in by_env.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_cell(rows: Mapping[str, Row], name: str, seeds: int) -> str:
    row = rows.get(name)
    if row is None:
        return "no run"
    value, _, interval = number(row.deterministic).partition(" ")
    best = next(iter(rows)) == name and row.told_apart
    some = "" if row.runs == seeds else f" ({runs(row, seeds)} runs)"
    return f"{f'**{value}**' if best else value} {interval}{some}"


def pace_table(plan: Plan, results: Results) -> str:
    """What it took. Times are measured, and differ from attempt to attempt."""
    timed = plan.protocol.minutes is not None
    lines = [("algorithm", "env", "env steps", "training", "steps/s", *(["ended by minutes"] if timed else []))]
    for env in plan.envs:
        for pace in paces(plan, results, env):
            speed = pace.steps / pace.seconds if pace.seconds else float("nan")
            cut = [f"{pace.cut} of {pace.runs}"] if timed else []
            figures = (f"{pace.steps:,.0f}", f"{pace.seconds:,.1f} s", f"{speed:,.0f}")
            lines.append((pace.algorithm, env, *figures, *cut))
    return _aligned(lines)


def title(table: Table) -> str:
    """What a table is about."""
    if table.env is None:
        return "All envs together (0: random player, 1: best run of the env)"
    return f"{table.env} (return)"


def told_apart(row: Row) -> str:
    """Whether a row differs from the next one, in a sign."""
    if row.above_next is None:
        return ""
    return f"{number(row.above_next, 2)} {'>' if row.told_apart else '~'}"


def number(estimate: Estimate, digits: int | None = None) -> str:
    """An estimate with its interval; ``digits`` after the point, by default as many as its size suggests."""
    if digits is None:
        digits = max(0, 3 - len(str(int(max(abs(estimate.low), abs(estimate.high))))))
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def runs(row: Row, asked: int) -> str:
    """How many runs the figures of a row are over, and of how many if some are missing."""
    return str(row.runs) if row.runs == asked else f"{row.runs} of {asked}"


def _cells(row: Row, seeds: int) -> tuple[str, ...]:
    steps = "" if row.steps is None else f"{row.steps:,.0f}"
    return (row.algorithm, runs(row, seeds), steps, number(row.deterministic), number(row.stochastic), told_apart(row))


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
