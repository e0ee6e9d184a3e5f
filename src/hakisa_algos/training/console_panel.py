"""The live panel of :mod:`.console`, drawn with rich. Imported only when there is a terminal to draw on."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
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
_BARS = "▁▂▃▄▅▆▇█"
_LEARNING = {
    "episodes": {"": "rollout/episodes", "of length": "rollout/ep_len_mean", "won": "rollout/win_rate"},
    "evaluation": {
        "deterministic": "eval/mean_reward", "stochastic": "eval/mean_reward_stochastic", "won": "eval/win_rate",
    },
}  # fmt: skip
_TRAINING = {
    "policy": {"KL": "train/approx_kl", "entropy": "train/entropy", "clipped": "train/clip_fraction"},
    "value": {"explained variance": "train/explained_variance", "loss": "train/value_loss"},
    "updates": {
        "": "train/n_updates", "epochs": "train/epochs", "gradient steps": "train/gradient_steps",
        "learning rate": "train/learning_rate",
    },
    "time": {"env": "time/env_share", "act": "time/act_share", "update": "time/update_share"},
}  # fmt: skip

Row = tuple[str, RenderableType]


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
    learning = _return(progress, inner) + _facts(progress, _LEARNING)
    for rows in (learning, _facts(progress, _TRAINING), _notices(progress)):
        if rows:
            grid = Table.grid()
            grid.add_column(width=_LABEL, style=_QUIET)
            for row in rows:
                grid.add_row(*row)
            parts += [Text(), grid]
    return Panel(
        Group(*parts), title=Text(progress.title, style="bold default"), title_align="left", box=box.ROUNDED,
        border_style="bright_black", width=width, padding=(1, 2),
    )  # fmt: skip


def sparkline(values: Sequence[float], width: int) -> str:
    """The course of ``values`` in ``width`` characters or fewer; each shows the mean of its part."""
    width = min(width, len(values))
    if width < 1:
        return ""
    edges = [len(values) * index // width for index in range(width + 1)]
    means = [math.fsum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    if high - low < 1e-12 * max(1.0, abs(high)):
        return _BARS[3] * width
    return "".join(_BARS[round((mean - low) / (high - low) * (len(_BARS) - 1))] for mean in means)


def _progress(progress: Progress, width: int) -> RenderableType:
    lines = Table.grid()  # a bar alone ends no line
    lines.add_row(ProgressBar(1.0, progress.share, width, complete_style=_ACCENT, finished_style="green"))
    steps = f"   {progress.step:,} of {progress.total_steps:,} steps"
    left = Text.assemble((f"{progress.share:.0%}", "bold"), (steps, _QUIET))
    right = Text()
    if math.isfinite(progress.get("time/fps")):
        right.append(f"{progress.get('time/fps'):,.0f}", "bold").append(" steps/s   ", _QUIET)
    right.append(duration(progress.get("time/elapsed"))).append(" elapsed   ", _QUIET)
    right.append(duration(progress.seconds_left), "bold").append(" left", _QUIET)
    space = width - left.cell_len - right.cell_len
    lines.add_row(Text.assemble(left, " " * space if space > 1 else "\n", right))
    return lines


def _return(progress: Progress, width: int) -> list[Row]:
    newest = progress.get("rollout/ep_rew_mean")
    if not math.isfinite(newest):
        return []
    text = Text(f"{number(newest):<9}", f"bold {_ACCENT}")
    return [("return", text.append(sparkline(list(progress.returns.values()), min(40, width - _LABEL - 9)), _ACCENT))]


def _facts(progress: Progress, rows: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """``KL 0.0081   entropy 1.2``: of each row what is known; no row where nothing is."""
    found: list[Row] = []
    for title, facts in rows.items():
        said = [Text(f"{label} ".lstrip(), _QUIET).append(value, "default") for label, value in progress.said(facts)]
        found += [(title, Text("   ").join(said))] if said else []
    return found


def _notices(progress: Progress) -> list[Row]:
    rows: list[Row] = []
    for text, count in progress.notices:
        more = f"  x {count:,}" if count > 1 else ""
        rows.append(("" if rows else "notices", Text(text, "yellow").append(more, _QUIET)))
    return rows + ([("now", Text(progress.status))] if progress.status else [])
