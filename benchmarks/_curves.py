"""Learning curves over seeds: interquartile means, bootstrap bands, pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def iqm(scores: np.ndarray) -> np.ndarray:
    """Interquartile mean over the first axis: the mean of the middle half (Agarwal et al. 2021)."""
    ordered = np.sort(scores, axis=0)
    cut = len(ordered) // 4
    return ordered[cut : len(ordered) - cut].mean(0)


def band(scores: np.ndarray, samples: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile-bootstrap interval of the IQM over seeds; ``scores`` is ``[seeds, points]``."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, len(scores), (samples, len(scores)))
    values = np.stack([iqm(scores[rows]) for rows in drawn])
    low, high = np.percentile(values, [2.5, 97.5], axis=0)
    return low, high


def draw(path: Path, steps: np.ndarray, curves: dict[str, np.ndarray], goal: float, title: str) -> None:
    """A PNG with one line and band per entry of ``curves``, each ``[seeds, points]``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), dpi=130)
    for name, scores in curves.items():
        low, high = band(scores)
        (line,) = axes.plot(steps, iqm(scores), label=f"{name} ({len(scores)} seeds)")
        axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.axhline(goal, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="env steps", ylabel="evaluation return (IQM, 95 % band)", title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
