"""Draws docs/images/pong.png from the stored results of benchmarks/pong.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import _results

from hakisa_algos.training.plots import Chart, curves


def label(record: dict[str, Any]) -> str:
    """Seed, precision and what is unusual about the game or the run."""
    options = record["env_options"]
    unusual = [f"difficulty {options['difficulty']}"] if "difficulty" in options else []
    unusual += [f"sticky actions {options['sticky']}"] if "sticky" in options else []
    unusual += [f"{record['torch_threads']} threads"] if record["torch_threads"] > 1 else []
    return ", ".join([f"seed {record['seed']}", "bf16" if record["bf16"] else "fp32", *unusual])


def main() -> None:
    """One line per run of PPO in a result file whose name begins with ``pong``."""
    lines = {}
    for path in sorted(_results.RESULTS.glob("pong*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("algorithm", "ppo") != "ppo":
            continue
        steps, _, means = zip(*record["curve_steps_minutes_mean20"], strict=True)
        lines[label(record)] = steps, means
    levels = {"random play -20.3": -20.3, "goal 20": 20.0}
    picture = Path(__file__).parents[1] / "docs" / "images" / "pong.png"
    curves(picture, Chart(lines, "PPO on Pong, from pixels", ylabel="score, mean of 20 games", levels=levels))


if __name__ == "__main__":
    main()
