"""How often Q-learning acts at random, over a run."""

from __future__ import annotations

from typing import Literal

from hakisa_algos.errors import ConfigError, did_you_mean

EpsilonShape = Literal["linear", "exponential"]
EPSILON_SHAPES = ("linear", "exponential")


def epsilon_at(progress: float, start: float, end: float, fraction: float, shape: str) -> float:
    """From ``start`` to ``end`` over the first ``fraction`` of a run, and ``end`` from there on.

    Args:
        progress: share of the run's ``total_steps`` that is done.
        start: at the first step.
        end: what remains.
        fraction: larger explores longer.
        shape: ``"linear"``: equal differences; ``"exponential"``: equal ratios, so most of the fall comes early.
    """
    done = min(max(progress / fraction, 0.0), 1.0)
    if shape == "linear":
        return start + (end - start) * done
    return float(start * (end / start) ** done)


def check_epsilon(start: float, end: float, fraction: float, shape: str) -> None:
    """Checks what :func:`epsilon_at` takes.

    Raises:
        ConfigError: names the option, its value and the rule.
    """
    if shape not in EPSILON_SHAPES:
        raise ConfigError(f"epsilon_schedule={shape!r} is unknown.{did_you_mean(shape, EPSILON_SHAPES)}")
    for name, value in (("epsilon_start", start), ("epsilon_end", end)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name}={value!r} must lie in 0..1")
        if shape == "exponential" and value == 0:
            raise ConfigError(f'{name}=0 cannot be reached by ratios; use a small number, or epsilon_schedule="linear"')
    if not 0 < fraction <= 1:
        raise ConfigError(f"epsilon_fraction={fraction!r} must be greater than 0 and at most 1")
