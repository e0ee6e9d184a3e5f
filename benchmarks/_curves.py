"""Learning curves over seeds as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hakisa_algos.training.aggregate import band


def draw(path: Path, steps: np.ndarray, curves: dict[str, np.ndarray], goal: float, title: str) -> None:
    """A PNG with one line and band per entry of ``curves``, each ``[seeds, points]``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), dpi=130)
    for name, scores in curves.items():
        found = band(scores)
        (line,) = axes.plot(steps, found.value, label=f"{name} ({len(scores)} seeds)")
        axes.fill_between(steps, found.low, found.high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.axhline(goal, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="env steps", ylabel="evaluation return (IQM, 95 % band)", title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
