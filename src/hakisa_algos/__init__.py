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
    "register",
]

_HOME = {
    "Agent": "agent",
    "PPO": "agent",
    "A2C": "agent",
    "REINFORCE": "agent",
    "DQN": "agent",
    "PQN": "agent",
    "GA": "agent",
    "PPOConfig": "learners.ppo",
    "A2CConfig": "learners.ppo",
    "REINFORCEConfig": "learners.ppo",
    "DQNConfig": "learners.dqn",
    "PQNConfig": "learners.pqn",
    "GAConfig": "learners.ga",
    "register": "learners.registry",
}


def __getattr__(name: str) -> Any:
    # torch takes a second to import, and `hakisa --help` and the registry do without it.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hakisa_algos.errors import require

    require("torch", "algos")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
