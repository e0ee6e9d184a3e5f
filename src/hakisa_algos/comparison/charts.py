"""Learning curves with bands: as SVG for the report, whose style sheet colours them, and as PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.comparison.summary import Curves
from hakisa_algos.errors import require

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 44
# Told apart by people who see fewer colours (Okabe and Ito 2008), dark enough for thin lines on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0468f", "#9a7b00", "#2a9fd6", "#8c564b", "#5b5fc7")
_AXIS = {"steps": "env steps", "seconds": "seconds of training"}


def svg(curves: Curves, colours: Mapping[str, int], chance: float | None, label: str) -> str:
    """An ``<svg>`` whose lines have the classes ``c0``, ``c1``, ...

    Args:
        curves: what to draw.
        colours: number of the colour of each algorithm.
        chance: return of the random player, a dashed line; None draws none.
        label: for those who do not see it.
    """
    right, low, high = limits(curves, chance)
    parts = []
    for tick in ticks(low, high, 5):
        y = _y(tick, low, high)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in ticks(0, right, 6):
        x = _x(tick, right)
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{short(tick)}</text>'
        )
    parts.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 4}" text-anchor="middle">'
        f"{_AXIS[curves.by]}</text>"
    )
    if chance is not None:
        y = _y(chance, low, high)
        parts.append(f'<line class="chance" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{y - 5:.1f}" text-anchor="end">random player</text>')
    for name, band in curves.bands.items():
        grid = curves.grids[name]
        outline = _points(grid, band.high, right, low, high) + _points(grid[::-1], band.low[::-1], right, low, high)
        parts.append(f'<polygon class="band c{colours[name]}" points="{" ".join(outline)}"/>')
    for name, band in curves.bands.items():
        line = _points(curves.grids[name], band.value, right, low, high)
        parts.append(f'<polyline class="curve c{colours[name]}" points="{" ".join(line)}"/>')
    parts.append(f'<line class="cursor" x1="0" x2="0" y1="{TOP}" y2="{HEIGHT - BOTTOM}" visibility="hidden"/>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" data-right="{right:.8g}">'
        f"{''.join(parts)}</svg>"
    )


def png(path: Path, curves: Curves, colours: Mapping[str, int], chance: float | None, title: str) -> None:
    """The same as a picture, 1600 x 900 pixels (extra ``report``).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _figure(8, 4.5)
    axes = figure.add_subplot()
    _draw(axes, curves, colours, chance)
    axes.set(ylabel="return, interquartile mean and 95 % band")
    axes.set_title(title, loc="left", fontweight="bold")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Software": None})


def png_of_all(path: Path, charts: Sequence[tuple[str, Curves, float | None]], colours: Mapping[str, int]) -> None:
    """One picture of several envs, two to a row, with one legend (extra ``report``).

    Args:
        path: to write.
        charts: of each env its id, its curves, and the random player's return.
        colours: number of the colour of each algorithm.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    rows = math.ceil(len(charts) / 2)
    figure = _figure(10, 3.2 * rows + 0.4)
    lines: dict[str, Any] = {}
    for place, (env, curves, chance) in enumerate(charts, start=1):
        axes = figure.add_subplot(rows, 2, place)
        _draw(axes, curves, colours, chance)
        axes.set_title(env, loc="left", fontweight="bold")
        for line, name in zip(*axes.get_legend_handles_labels(), strict=True):
            lines.setdefault(name, line)
    figure.supylabel("return, interquartile mean and 95 % band", fontsize="medium")
    figure.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=len(lines) or 1, frameon=False)
    figure.savefig(path, metadata={"Software": None})


def _figure(width: float, height: float) -> Any:
    require("matplotlib", "report")
    # Not pyplot: its figures live in a global list, and its backend may want a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw(axes: Any, curves: Curves, colours: Mapping[str, int], chance: float | None) -> None:
    for name, band in curves.bands.items():
        colour = COLOURS[colours[name] % len(COLOURS)]
        axes.plot(curves.grids[name], band.value, color=colour, linewidth=2, label=name)
        axes.fill_between(curves.grids[name], band.low, band.high, color=colour, alpha=0.18, linewidth=0)
    if chance is not None:
        axes.axhline(chance, color="#8a939c", linestyle="--", linewidth=1, label="random player")
    axes.set(xlabel=_AXIS[curves.by])
    axes.locator_params(axis="x", nbins=5)  # six-digit steps would run into each other
    axes.grid(axis="y", color="#e6eaee")
    axes.spines[["top", "right", "left"]].set_visible(False)


def limits(curves: Curves, chance: float | None) -> tuple[float, float, float]:
    """The right end of the picture, and its lowest and highest return."""
    right = max((float(grid[-1]) for grid in curves.grids.values()), default=1.0) or 1.0
    ends = [end for band in curves.bands.values() for end in (float(band.low.min()), float(band.high.max()))]
    ends += [] if chance is None else [chance]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    margin = 0.04 * (high - low) or 1.0
    return right, low - margin, high + margin


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, roughly so many."""
    raw = (high - low) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * count for count in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A number on an axis."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def _x(value: float, right: float) -> float:
    return LEFT + value / right * (WIDTH - LEFT - RIGHT)


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def _points(grid: np.ndarray, values: np.ndarray, right: float, low: float, high: float) -> list[str]:
    return [f"{_x(x, right):.1f},{_y(y, low, high):.1f}" for x, y in zip(grid, values, strict=True)]
