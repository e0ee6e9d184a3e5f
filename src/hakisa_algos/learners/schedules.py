"""A hyperparameter that shrinks over a run."""

from __future__ import annotations

import math
from typing import Literal

from hakisa_algos.errors import ConfigError, did_you_mean

Shape = Literal["constant", "linear", "cosine"]
SHAPES = ("constant", "linear", "cosine")


def anneal(value: float, shape: str, progress: float) -> float:
    """``value`` at the start of a run, and 0 at its end unless ``shape`` is ``"constant"``.

    Args:
        value: at the first step.
        shape: ``"constant"``, ``"linear"`` or ``"cosine"``.
        progress: share of the run's ``total_steps`` that is done, clipped to 0..1.
    """
    done = min(max(progress, 0.0), 1.0)
    if shape == "constant":
        return value
    if shape == "linear":
        return value * (1 - done)
    if shape == "cosine":
        return value * (1 + math.cos(math.pi * done)) / 2
    raise ConfigError(f"schedule {shape!r} is unknown.{did_you_mean(shape, SHAPES)}")
