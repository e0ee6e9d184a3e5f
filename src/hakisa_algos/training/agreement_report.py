"""Of a run that was taught by recordings: how well its agent agrees with the player, as a section of the run's page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from hakisa_algos.data.files import read_document
from hakisa_algos.errors import CheckpointError
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.tables import chart, table

AGREEMENT, AGREEMENT_FORMAT, AGREEMENT_VERSION = "agreement.json", "hakisa-agreement", 1
# Who has taught it, what its metrics are called, and what is examined.
_TAUGHT = {
    "cloning.jsonl": ("Cloning", "held-out rows"),
    "consolidation.jsonl": (
        "Consolidation",
        "held-out rows in which was done what the agent would have done, as it came",
    ),
}
_CURVES = {
    "held_out/loss": "loss: the lower, the likelier is what was done",
    "held_out/accuracy": "share of rows in which the agent's likeliest action is the one that was done",
    "held_out/explained_variance": "share of the variance of returns that the critic foresees",
}
_MOST = 16  # choices of a head that have a row and a column of their own, the commonest
_OTHERS = "others"


def cloning_section(folder: Path) -> str:
    """The section; empty for a run that nobody has taught.

    Raises:
        CheckpointError: agreement.json is damaged.
    """
    if not (folder / AGREEMENT).is_file():
        return ""
    said = read_document(
        folder / AGREEMENT, AGREEMENT_FORMAT, AGREEMENT_VERSION, "remove it, and the page goes without"
    )
    file = next((name for name in _TAUGHT if (folder / name).is_file()), "cloning.jsonl")
    title, examined = _TAUGHT[file]
    try:
        parts = [_curves(folder / file), _top(said["metrics"]), *_tables(said["confusion"], said.get("names", {}))]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CheckpointError(f"{folder / AGREEMENT} does not say how well the agent agrees ({error!r})") from error
    return f"<h2>{title}</h2><p>Of {escape(examined)}; nothing is learned from them.</p>{''.join(parts)}"


def _curves(path: Path) -> str:
    rows = read_metrics(path) if path.is_file() else []
    charts = ""
    for name, words in _CURVES.items():
        points = [(row["step"], row[name]) for row in rows if name in row and math.isfinite(row[name])]
        if len(points) > 1:
            charts += f"<figure>{chart(points, 'gradient steps')}<figcaption>{escape(words)}</figcaption></figure>"
    return f'<div class="row">{charts}</div>' if charts else ""


def _top(metrics: Mapping[str, float]) -> str:
    """How often what was done is among the first choices of each head."""
    heads = [name.removesuffix("_top1").removeprefix("held_out/") for name in metrics if name.endswith("_top1")]
    rows = [(head, *(f"{metrics[f'held_out/{head}_top{k}']:.1%}" for k in (1, 3, 5))) for head in heads]
    rows.append(("all that matter", f"{metrics['held_out/accuracy']:.1%}", "", ""))
    return table(("head", "first choice", "among 3", "among 5"), rows)


def _tables(confusion: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> list[str]:
    """Of each head a table of what was done and what the agent says, by the names of its choices."""
    found = []
    for head, counts in confusion.items():
        if counts is None:
            found.append(f"<h3>{escape(head)}</h3><p>It has too many choices for a table.</p>")
        elif any(map(any, counts)):
            known = names.get(head, ())
            words = [str(known[i]) if i < len(known) else str(i) for i in range(len(counts))]
            found.append(f"<h3>{escape(head)}: what was done, and what the agent says</h3>{_confusion(counts, words)}")
    return found


def _confusion(counts: Sequence[Sequence[int]], words: Sequence[str]) -> str:
    """Rows are what was done, columns what the agent says; the darker, the larger a share of its row."""
    given = [sum(row) + sum(other[i] for other in counts) for i, row in enumerate(counts)]
    used = [i for i in range(len(counts)) if given[i]]
    told = sorted(sorted(used, key=lambda i: -given[i])[:_MOST])
    rest = [i for i in used if i not in told]
    groups = [(words[i], [i]) for i in told] + ([(f"{len(rest)} {_OTHERS}", rest)] if rest else [])
    head = "".join(f"<th>{escape(word)}</th>" for word, _ in groups)
    lines = ""
    for word, done in groups:
        cells = [sum(counts[i][j] for i in done for j in said) for _, said in groups]
        total = sum(cells) or 1
        lines += f"<tr><th>{escape(word)}</th>" + "".join(
            f'<td style="background: rgb(10 132 198 / {0.6 * n / total:.2f})">{n:,}</td>' for n in cells
        )
        lines += f"<td>{sum(cells):,}</td></tr>"
    return (
        f'<div class="wide"><table><thead><tr><th>done \\ said</th>{head}<th>all</th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )
