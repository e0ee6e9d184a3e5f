"""Curves and tables of a run's page, as HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _EDGE = 470, 190, 28


def chart(points: Sequence[tuple[float, float]], unit: str = "env steps") -> str:
    """An SVG of a curve over steps, with its ends written beside it."""
    (left, right), (low, high) = ((min(values), max(values)) for values in zip(*points, strict=True))

    def at(x: float, y: float) -> str:
        across = _EDGE + (x - left) / ((right - left) or 1) * (_WIDTH - 2 * _EDGE)
        return f"{across:.1f},{_HEIGHT - _EDGE - (y - low) / ((high - low) or 1) * (_HEIGHT - 2 * _EDGE):.1f}"

    line = " ".join(at(*point) for point in points)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}"><polyline points="{line}"/><text x="{_EDGE}" y="18">{high:.4g}</text>'
        f'<text x="{_EDGE}" y="{_HEIGHT - 8}">{low:.4g}</text><text x="{_WIDTH - _EDGE}" y="{_HEIGHT - 8}" '
        f'text-anchor="end">{right:,} {unit}</text></svg>'
    )


def table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table of words and numbers."""
    head = "".join(f"<th>{escape(word)}</th>" for word in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
