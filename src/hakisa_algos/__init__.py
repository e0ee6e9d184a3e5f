"""Trainers for any Gymnasium env: PPO, A2C, REINFORCE, DQN, PQN and GA on one loop."""

from __future__ import annotations

from typing import Any

__all__ = [
    "A2C",
    "DQN",
    "GA",
    "PPO",
    "PQN",
    "REINFORCE",
    "A2CConfig",
    "Agent",
    "DQNConfig",
    "GAConfig",
    "PPOConfig",
    "PQNConfig",
    "REINFORCEConfig",
    "RunOptions",
    "register",
]

_HOMES = {
    "agent": ("Agent", "PPO", "A2C", "REINFORCE", "DQN", "PQN", "GA"),
    "learners.ppo": ("PPOConfig", "A2CConfig", "REINFORCEConfig"),
    "learners.dqn": ("DQNConfig",),
    "learners.pqn": ("PQNConfig",),
    "learners.ga": ("GAConfig",),
    "learners.registry": ("register",),
    "training.options": ("RunOptions",),
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    # torch takes a second to import, and `hakisa --help` and the registry do without it.
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hakisa_algos.errors import require

    require("torch", "algos")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
