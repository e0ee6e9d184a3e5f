"""Curves as pictures, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hakisa_algos.errors import require

_INK, _QUIET = "#22303c", "#9aa5b1"
# Told apart by people who see fewer colours (Okabe and Ito 2008), dark enough for thin lines on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0468f", "#9a7b00", "#2a9fd6", "#8c564b", "#5b5fc7")


@dataclass(frozen=True)
class Chart:
    """Curves over one axis.

    Lines are ``(x, y)`` or ``(x, y, low, high)``, whose band is shaded, by label.
    ``levels`` are dashed lines across, with what is compared; with ``doubling`` each step along x doubles it.
    """

    lines: Mapping[str, Sequence[Any]]
    title: str = ""
    xlabel: str = "env steps"
    ylabel: str = "return"
    levels: Mapping[str, float] = field(default_factory=dict)
    doubling: bool = False


def curves(path: Path, *charts: Chart, colours: Mapping[str, int] | None = None) -> None:
    """Draws charts as a PNG, two to a row; one alone has 1600 x 900 pixels (extra ``report``).

    A label has one colour in all of them: of the number in ``COLOURS`` that ``colours`` gives it, or as they come.
    """
    require("matplotlib", "report")
    # Not pyplot: its figures live in a global list, and its backend may want a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, rows = min(2, len(charts)), -(-len(charts) // 2)
    size = (8, 4.5) if columns == 1 else (10, 3.2 * rows + 0.4)
    figure = Figure(figsize=size, dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    numbers = dict(colours or {})
    drawn: dict[str, Any] = {}
    for place, chart in enumerate(charts, start=1):
        for label in chart.lines:
            numbers.setdefault(label, len(numbers))
        drawn |= _draw(figure.add_subplot(rows, columns, place), chart, numbers)
    if len(charts) == 1:
        figure.axes[0].legend(frameon=False, fontsize=9, labelcolor=_INK)
    elif len(drawn) > 1:
        figure.legend(drawn.values(), drawn.keys(), loc="outside upper center", ncols=len(drawn), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _draw(axes: Any, chart: Chart, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Draws one chart; returns its lines by their labels."""
    from matplotlib.ticker import EngFormatter

    drawn = {}
    for label, (x, y, *band) in chart.lines.items():
        colour = COLOURS[numbers[label] % len(COLOURS)]
        (drawn[label],) = axes.plot(x, y, color=colour, label=label)
        if band:
            axes.fill_between(x, *band, color=colour, alpha=0.18, linewidth=0)
    for label, level in chart.levels.items():
        axes.axhline(level, color=_QUIET, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1)
        axes.annotate(
            label, (1, level), xycoords=("axes fraction", "data"), xytext=(-4, 4), textcoords="offset points",
            ha="right", color=_QUIET, fontsize=9,
        )  # fmt: skip
    axes.set_title(chart.title, loc="left", color=_INK, fontweight="bold")
    axes.set_xlabel(chart.xlabel, color=_INK)
    axes.set_ylabel(chart.ylabel, color=_INK)
    if chart.doubling:
        axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="y", color="#e6eaee")
    axes.set_axisbelow(True)
    axes.margins(x=0.01, y=0.08)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_QUIET)
    axes.tick_params(colors=_INK, length=0, labelsize=9)
    return drawn
