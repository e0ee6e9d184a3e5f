"""How far a clone does what was done: likelihood, accuracy of each head, and what it takes for what."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hakisa_algos.policy.heads import NEVER, ActionDistribution, Segments

TOP = (1, 3, 5)
# Choices of a head up to which the whole table of what was taken for what is kept.
_WHOLE_TABLE = 64


class Agreement:
    """Takes batches of what was done and what the clone says; a head counts only where the command makes it relevant.

    An argument is judged under the command that was given, so its figures do not suffer from wrong commands.

    Args:
        heads: of the clone.
    """

    def __init__(self, heads: Segments) -> None:
        layout = heads.layout
        self._heads = heads
        self.names = head_names(layout)
        self._sums = {"loss": 0.0, "nll": 0.0, "weight": 0.0, "rows": 0.0, "agree": 0.0, "forbidden": 0.0}
        self._right = np.zeros((len(self.names), len(TOP)))
        self._count = np.zeros(len(self.names))
        self.tables = [np.zeros((n, n), np.int64) if n <= _WHOLE_TABLE else None for n in layout.nvec]

    def add(self, distribution: ActionDistribution, action: Tensor, weight: Tensor) -> None:
        """Takes a batch.

        Args:
            distribution: the clone's.
            action: what was done, ``[batch, *shape]``.
            weight: how much each counts in the loss, ``[batch]``.
        """
        heads, layout, sums = self._heads, self._heads.layout, self._sums
        log_prob = distribution.log_prob(action)
        possible = log_prob > NEVER / 2
        nll = -log_prob[possible].double()
        sums["loss"] += float((nll * weight[possible]).sum())
        sums["nll"] += float(nll.sum())
        sums["weight"] += float(weight[possible].sum())
        sums["rows"] += len(action)
        sums["forbidden"] += float((~possible).sum())
        choice = heads.encode(action)
        same = heads.decode(choice).reshape(len(action), -1) == distribution.mode().reshape(len(action), -1)
        sums["agree"] += float(same.all(1).sum())
        command = choice[:, 0] if layout.conditional else torch.zeros_like(choice[:, 0])
        segment = heads.segment[command]  # [batch, heads]; one past the last where it is irrelevant
        for head in range(len(self.names)):
            relevant = torch.nonzero(segment[:, head] < len(layout.size)).squeeze(1)
            if not len(relevant):
                continue
            at = segment[relevant, head]
            likely, done = distribution.log_probs[relevant, at], choice[relevant, at]
            best = likely.topk(min(max(TOP), likely.shape[-1]), -1).indices
            hit = (best == done[:, None]).cumsum(-1).bool()
            self._count[head] += len(relevant)
            self._right[head] += [float(hit[:, min(k, hit.shape[1]) - 1].sum()) for k in TOP]
            table = self.tables[head]
            if table is not None:
                np.add.at(table, (done.cpu().numpy(), best[:, 0].cpu().numpy()), 1)

    def metrics(self) -> dict[str, float]:
        """By name, all of the held-out rows; accuracies of heads that were never relevant are left out."""
        sums = self._sums
        rows, possible = max(sums["rows"], 1), max(sums["rows"] - sums["forbidden"], 1)
        said = {
            "held_out/loss": sums["loss"] / max(sums["weight"], 1e-9),
            "held_out/likelihood": math.exp(-min(sums["nll"] / possible, 700)),
            "held_out/accuracy": sums["agree"] / rows,
            "held_out/forbidden": sums["forbidden"] / rows,
        }
        for name, right, count in zip(self.names, self._right, self._count, strict=True):
            if count:
                said |= {f"held_out/{name}_top{k}": float(hits / count) for k, hits in zip(TOP, right, strict=True)}
        recall = self.recall()
        if recall:
            said["held_out/worst_recall"] = min(recall.values())
        return said

    def recall(self) -> dict[int, float]:
        """Of each choice of the first head that was made at all, the share in which the clone says the same."""
        table = self.tables[0]
        if table is None:
            return {}
        return {i: float(row[i] / row.sum()) for i, row in enumerate(table) if row.sum()}

    def report(self) -> dict[str, Any]:
        """As JSON: metrics, and of each head a table, ``[done][said]``, or None where it has too many choices."""
        tables = {n: None if t is None else t.tolist() for n, t in zip(self.names, self.tables, strict=True)}
        return {"metrics": self.metrics(), "confusion": tables}


def head_names(layout: Any) -> list[str]:
    """What the heads of an action are called in metrics."""
    if layout.conditional:
        return ["command", *(f"argument_{i}" for i in range(1, len(layout.nvec)))]
    return ["action"] if len(layout.nvec) == 1 else [f"action_{i}" for i in range(len(layout.nvec))]
