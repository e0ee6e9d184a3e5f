"""The live panel of :mod:`.console`, drawn with rich. Imported only when there is a terminal to draw on."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hakisa_algos.training.progress import Progress, duration, number

_WIDTH = 88
_LABEL = 12
_ACCENT = "cyan"
_QUIET = "dim"  # not a grey of its own: some colour schemes make it one with the background
_STAGES = (("env", "blue"), ("act", "cyan"), ("update", "magenta"), ("other", "bright_black"))
_BARS = "▁▂▃▄▅▆▇█"


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        # Rich would lead standard output away, whatever its own stream is, and end the program.
        raise BrokenPipeError("the terminal is gone")


def open_live(stream: TextIO, progress: Progress) -> Live:
    """A started live display of ``progress`` on a terminal; ``refresh()`` draws what it holds by then."""
    console = _Terminal(file=stream)
    live = Live(
        get_renderable=lambda: panel(progress, console.width),
        console=console,
        auto_refresh=False,
        # Standard error may go to a file: only what would land on this terminal is drawn above the panel.
        redirect_stderr=sys.stderr.isatty(),
    )
    live.start(refresh=True)
    return live


def panel(progress: Progress, width: int) -> RenderableType:
    """The whole view, at most ``width`` columns wide."""
    width = min(width, _WIDTH)
    inner = max(20, width - 6)
    parts: list[RenderableType] = [_progress(progress, inner)]
    for rows in (_learning(progress, inner), _training(progress), _time(progress, inner), _notices(progress)):
        if rows:
            parts += [Text(), _grid(rows)]
    title = Text(progress.title, style="bold default")
    return Panel(
        Group(*parts), title=title, title_align="left", box=box.ROUNDED, border_style="bright_black",
        width=width, padding=(1, 2),
    )  # fmt: skip


def sparkline(values: Sequence[float], width: int) -> str:
    """The course of ``values`` in ``width`` characters or fewer; each shows the mean of its part."""
    if not values or width < 1:
        return ""
    width = min(width, len(values))
    edges = [len(values) * index // width for index in range(width + 1)]
    means = [math.fsum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    if high - low < 1e-12 * max(1.0, abs(high)):
        return _BARS[3] * width
    return "".join(_BARS[round((mean - low) / (high - low) * (len(_BARS) - 1))] for mean in means)


def _progress(progress: Progress, width: int) -> RenderableType:
    total = max(1, progress.total_steps)
    done = min(progress.step, total)
    bar = ProgressBar(
        total=total, completed=done, width=width, complete_style=_ACCENT, finished_style="green",
    )  # fmt: skip
    left = Text()
    left.append(f"{done / total:.0%}", style="bold")
    left.append(f"   {progress.step:,} of {progress.total_steps:,} steps", style=_QUIET)
    right = Text()
    if math.isfinite(progress.rate):
        right.append(f"{progress.rate:,.0f}", style="bold")
        right.append(" steps/s   ", style=_QUIET)
    right.append(duration(progress.elapsed))
    right.append(" elapsed   ", style=_QUIET)
    right.append(duration(progress.seconds_left), style="bold")
    right.append(" left", style=_QUIET)
    facts = Table.grid()
    if left.cell_len + right.cell_len + 2 > width:  # a narrow terminal: one below the other
        facts.add_row(left)
        facts.add_row(right)
    else:
        facts.add_column(width=width - right.cell_len)
        facts.add_column(justify="right")
        facts.add_row(left, right)
    lines = Table.grid()  # a bar alone ends no line
    lines.add_row(bar)
    lines.add_row(facts)
    return lines


Row = tuple[str, RenderableType]


def _learning(progress: Progress, width: int) -> list[Row]:
    metrics, rows = progress.metrics, list[Row]()
    if _known(progress, "rollout/ep_rew_mean"):
        text = Text()
        text.append(f"{number(metrics['rollout/ep_rew_mean']):<9}", style=f"bold {_ACCENT}")
        text.append(sparkline(progress.returns, max(0, min(40, width - _LABEL - 9))), style=_ACCENT)
        rows.append(("return", text))
    if _known(progress, "rollout/episodes"):
        facts = [("", "rollout/episodes"), ("of length", "rollout/ep_len_mean")]
        rows.append(("episodes", _facts(progress, facts)))
    if _known(progress, "eval/mean_reward") or _known(progress, "eval/mean_reward_stochastic"):
        evaluated = [("deterministic", "eval/mean_reward"), ("stochastic", "eval/mean_reward_stochastic")]
        rows.append(("evaluation", _facts(progress, evaluated)))
    return rows


def _training(progress: Progress) -> list[Row]:
    policy = _facts(progress, [
        ("KL", "train/approx_kl"), ("entropy", "train/entropy"), ("clipped", "train/clip_fraction"),
    ])  # fmt: skip
    value = _facts(progress, [
        ("explained variance", "train/explained_variance"), ("loss", "train/value_loss"),
    ])  # fmt: skip
    update = _facts(
        progress,
        [
            ("", "train/n_updates"),
            ("epochs", "train/epochs"),
            ("gradient steps", "train/gradient_steps"),
            ("learning rate", "train/learning_rate"),
        ],
    )
    return [(label, text) for label, text in (("policy", policy), ("value", value), ("updates", update)) if text]


def _time(progress: Progress, width: int) -> list[Row]:
    shares = {stage: progress.metrics.get(f"time/{stage}_share", math.nan) for stage, _ in _STAGES}
    known = {stage: min(1.0, max(0.0, share)) for stage, share in shares.items() if math.isfinite(share)}
    if not known:
        return []
    known.setdefault("other", max(0.0, 1.0 - sum(known.values())))
    cells = max(10, min(40, width - _LABEL))
    bar, legend, end, used = Text(), Text(), 0.0, 0
    for stage, colour in _STAGES:
        if stage not in known:
            continue
        end += known[stage]
        length = min(cells, round(end * cells)) - used
        used += length
        bar.append("━" * length, style=colour)
        if known[stage] >= 0.005:
            legend.append("● ", style=colour)
            legend.append(f"{stage} {known[stage]:.0%}   ", style="default")
    if _known(progress, "time/bound_share"):
        legend.append(f"{progress.metrics['time/bound_share']:.0%} of the bound", style=_QUIET)
    return [("time", bar), ("", legend)]


def _notices(progress: Progress) -> list[Row]:
    rows = list[Row]()
    for text, count in progress.notices:
        line = Text(text, style="yellow")
        if count > 1:
            line.append(f"  x {count:,}", style=_QUIET)
        rows.append(("" if rows else "notices", line))
    return rows


def _facts(progress: Progress, facts: Iterable[tuple[str, str]]) -> Text:
    """``KL 0.0081   entropy 1.2``: the known ones of (label, metric)."""
    text = Text()
    for label, name in facts:
        if _known(progress, name):
            if text:
                text.append("   ")
            text.append(f"{label} " if label else "", style=_QUIET)
            text.append(number(progress.metrics[name]))
    return text


def _known(progress: Progress, name: str) -> bool:
    return math.isfinite(progress.metrics.get(name, math.nan))


def _grid(rows: Iterable[Row]) -> Table:
    grid = Table.grid()
    grid.add_column(width=_LABEL, style=_QUIET)
    grid.add_column()
    for label, content in rows:
        grid.add_row(label, content)
    return grid
