"""A comparison as text: the same results give the same text."""

from __future__ import annotations

from collections.abc import Sequence

from hakisa_algos.comparison.plan import Job, Plan
from hakisa_algos.comparison.summary import Results, Row, Table, paces, tables
from hakisa_algos.training.aggregate import Estimate

_HEADS = ("algorithm", "runs", "deterministic [95 %]", "stochastic [95 %]", "P(above next)")


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


def pace_table(plan: Plan, results: Results) -> str:
    """What it took. Times are measured, and differ from attempt to attempt."""
    lines = [("algorithm", "env", "env steps", "training", "steps/s")]
    for env in plan.envs:
        for pace in paces(plan, results, env):
            speed = pace.steps / pace.seconds if pace.seconds else float("nan")
            lines.append((pace.algorithm, env, f"{pace.steps:,.0f}", f"{pace.seconds:,.1f} s", f"{speed:,.0f}"))
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
    return (row.algorithm, runs(row, seeds), number(row.deterministic), number(row.stochastic), told_apart(row))


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
