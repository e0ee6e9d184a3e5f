"""Draws docs/images/pong.png from the stored results of benchmarks/pong.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import _results
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def label(record: dict[str, Any]) -> str:
    """Seed, precision and what is unusual about the game."""
    options = record["env_options"]
    unusual = [f"difficulty {options['difficulty']}"] if "difficulty" in options else []
    unusual += [f"sticky actions {options['sticky']}"] if "sticky" in options else []
    return ", ".join([f"seed {record['seed']}", "bf16" if record["bf16"] else "fp32", *unusual])


def main() -> None:
    """One line per result file whose name begins with ``pong``."""
    figure, axes = plt.subplots(figsize=(7, 3.6), dpi=130)
    for path in sorted(_results.RESULTS.glob("pong*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        steps, _, means = zip(*record["curve_steps_minutes_mean20"], strict=True)
        axes.plot([step / 1000 for step in steps], means, label=label(record))
    for level in (-20.3, 20):
        axes.axhline(level, color="grey", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="thousand env steps",
        ylabel="score, mean of 20 games",
        ylim=(-21.5, 21.5),
        title="PPO on Pong, from pixels",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(Path(__file__).parents[1] / "docs" / "images" / "pong.png")


if __name__ == "__main__":
    main()
