"""A table of words and figures, and the three ways to show it: plain text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from hakisa_algos.training.aggregate import Estimate, Rates


@dataclass(frozen=True)
class Figure:
    """A number with its interval in a cell, a word behind it, and how it stands out: ``"best"``, ``"yes"`` or ``"no"``.

    Without ``digits`` it has as many after the point as its size suggests.
    """

    estimate: Estimate
    digits: int | None = None
    note: str = ""
    mark: str = ""

    @property
    def parts(self) -> tuple[str, str, str]:
        """Value, interval and note as text."""
        low, high = self.estimate.low, self.estimate.high
        digits = max(0, 3 - len(str(int(max(abs(low), abs(high)))))) if self.digits is None else self.digits
        return f"{self.estimate.value:.{digits}f}", f"[{low:.{digits}f}, {high:.{digits}f}]", self.note

    def __str__(self) -> str:
        return " ".join(filter(None, self.parts))


Cell = str | Figure


@dataclass(frozen=True)
class Grid:
    """A table; ``""`` is a cell with nothing to say. HTML draws figures of the column ``drawn`` on one scale, too."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    drawn: int | None = None
    note: str = ""


OUTCOME_HEADS = ("different", "won [95 %]", "lost [95 %]", "drawn [95 %]")


def outcome_cells(rates: Rates) -> tuple[Cell, ...]:
    """The cells of :data:`OUTCOME_HEADS`."""
    return str(rates.games), *(Figure(rate, 2) for rate in (rates.win, rates.loss, rates.draw))


def as_text(grid: Grid) -> str:
    """Columns under one another, for a terminal."""
    lines = [[str(cell) for cell in line] for line in (grid.heads, *grid.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    told = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
    return "\n".join(filter(None, [grid.title, *told, grid.note and f"  {grid.note}"]))


def as_markdown(grid: Grid) -> str:
    """Lines with bars, the best figures in bold; without title and note."""
    rows = [[_bold(cell) for cell in row] for row in grid.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (grid.heads, ["---"] * len(grid.heads), *rows))


def as_html(grid: Grid, colours: Mapping[str, str]) -> str:
    """A titled ``<table>`` in a card; first cells that name an algorithm are marked with the class of its colour."""
    head = "".join(f"<th>{escape(text)}</th>" for text in grid.heads)
    ends = [cell.estimate for row in grid.rows for cell in row[grid.drawn or 0 :][:1] if isinstance(cell, Figure)]
    low, high = min((end.low for end in ends), default=0), max((end.high for end in ends), default=1)
    body = ""
    for row in grid.rows:
        name = str(row[0])
        tint = colours.get(name, "")
        swatch = f'<i class="{tint}"></i>' if tint else ""
        cells = [f"<td>{swatch}<b>{escape(name)}</b></td>"]
        for column, cell in enumerate(row[1:], start=1):
            picture = _whisker(cell, low, high, tint) if column == grid.drawn and isinstance(cell, Figure) else ""
            mark = f' class="{cell.mark}"' if isinstance(cell, Figure) and cell.mark else ""
            cells.append(f"<td{mark}>{_html(cell)}{picture}</td>")
        body += f"<tr>{''.join(cells)}</tr>"
    title = f"<h3>{escape(grid.title)}</h3>" if grid.title else ""
    note = f'<p class="quiet">{escape(grid.note)}</p>' if grid.note else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'{title}<div class="card scroll">{table}</div>{note}'


def _bold(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    value, *rest = cell.parts
    return " ".join(filter(None, [f"**{value}**" if cell.mark == "best" else value, *rest]))


def _html(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    value, *rest = cell.parts
    return f"<b>{value}</b> <small>{escape(' '.join(filter(None, rest)))}</small>"


def _whisker(figure: Figure, low: float, high: float, tint: str) -> str:
    """The interval as a line with a dot."""
    found, span = figure.estimate, (high - low) or 1.0
    left, dot, right = (100 * (end - low) / span for end in (found.low, found.value, found.high))
    places = f"--left:{left:.1f}%;--dot:{dot:.1f}%;--right:{100 - right:.1f}%"
    return f'<span class="whisker {tint}" style="{places}"></span>'
