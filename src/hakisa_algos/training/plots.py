"""Pictures of a finished or running run, drawn without a display."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hakisa_algos.errors import RunFolderError, require
from hakisa_algos.training.metrics import read_metrics

_INK, _QUIET, _CURVE, _EVALUATION = "#22303c", "#9aa5b1", "#1f77b4", "#d1495b"


def learning_curve(
    metrics_jsonl: Path, output_png: Path, *, baseline: float | None = None, title: str = "Learning curve"
) -> None:
    """Draw return over env steps as a PNG (extra ``report``).

    Args:
        metrics_jsonl: the run's metrics; the curve is ``rollout/ep_rew_mean``, the dots ``eval/mean_reward``.
        output_png: the picture to write, 1600 x 900 pixels; its folder is made.
        baseline: return of a random policy, drawn as a dashed line; ``None`` (default) draws none.
        title: above the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
        RunFolderError: the metrics hold no return yet, or cannot be read.
    """
    require("matplotlib", "report")
    # Not pyplot: its figures live in a global list, and its backend may want a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_metrics(metrics_jsonl)
    curve = _series(rows, "rollout/ep_rew_mean")
    evaluations = _series(rows, "eval/mean_reward")
    if not curve and not evaluations:
        raise RunFolderError(
            f"{metrics_jsonl} has {len(rows)} lines and no rollout/ep_rew_mean; a curve needs one finished episode; "
            "train longer"
        )
    figure = Figure(figsize=(8, 4.5), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if baseline is not None:
        axes.axhline(baseline, color=_QUIET, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1)
        axes.annotate(
            f"random policy {baseline:.4g}", (1, baseline), xycoords=("axes fraction", "data"), xytext=(-4, 4),
            textcoords="offset points", ha="right", color=_QUIET, fontsize=9,
        )  # fmt: skip
    if curve:
        axes.plot(*zip(*curve, strict=True), color=_CURVE, linewidth=1.8, label="training, mean of the last episodes")
    if evaluations:
        axes.plot(
            *zip(*evaluations, strict=True), color=_EVALUATION, linestyle="none", marker="o", markersize=5,
            markeredgecolor="white", label="evaluation, deterministic", zorder=3,
        )  # fmt: skip
        axes.legend(frameon=False, fontsize=9, labelcolor=_INK, loc="best")
    _tidy(axes, title)
    output_png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output_png, metadata={"Software": None})


def _series(rows: list[dict[str, Any]], name: str) -> list[tuple[int, float]]:
    """(step, value) where there is one."""
    return [(row["step"], row[name]) for row in rows if name in row and row[name] == row[name]]


def _tidy(axes: Any, title: str) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_title(title, loc="left", color=_INK, fontsize=13, fontweight="bold", pad=12)
    axes.set_xlabel("env steps", color=_INK)
    axes.set_ylabel("return", color=_INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="y", color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.01, y=0.08)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_QUIET)
    axes.tick_params(colors=_INK, length=0, labelsize=9)
