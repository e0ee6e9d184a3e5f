"""Hyperparameters that Stable-Baselines3's own zoo of tuned agents has for some of our envs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _zoo(file: str, entry: str) -> str:
    return f"RL Baselines3 Zoo, hyperparams/{file}.yml, {entry}"


# By algorithm and env: keyword arguments, and where they come from.
ZOO: Mapping[tuple[str, str], tuple[Mapping[str, Any], str]] = {
    ("sb3-ppo", "CartPole-v1"): (
        {
            "num_envs": 8,
            "n_steps": 32,
            "batch_size": 256,
            "n_epochs": 20,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "ent_coef": 0.0,
            "learning_rate": "lin_0.001",
            "clip_range": "lin_0.2",
        },
        _zoo("ppo", "CartPole-v1"),
    ),
    ("sb3-dqn", "CartPole-v1"): (
        {
            "learning_rate": 2.3e-3,
            "batch_size": 64,
            "buffer_size": 100_000,
            "learning_starts": 1_000,
            "gamma": 0.99,
            "target_update_interval": 10,
            "train_freq": 256,
            "gradient_steps": 128,
            "exploration_fraction": 0.16,
            "exploration_final_eps": 0.04,
            "policy_kwargs": {"net_arch": [256, 256]},
        },
        _zoo("dqn", "CartPole-v1"),
    ),
    ("sb3-a2c", "CartPole-v1"): ({"num_envs": 8, "ent_coef": 0.0}, _zoo("a2c", "CartPole-v1")),
    ("sb3-ppo", "Hakisa/Pong-v0"): (
        {
            "num_envs": 8,
            "n_steps": 128,
            "batch_size": 256,
            "n_epochs": 4,
            "learning_rate": "lin_2.5e-4",
            "clip_range": "lin_0.1",
            "vf_coef": 0.5,
            "ent_coef": 0.01,
        },
        _zoo("ppo", "atari"),
    ),
    ("sb3-dqn", "Hakisa/Pong-v0"): (
        {
            "buffer_size": 100_000,
            "learning_rate": 1e-4,
            "batch_size": 32,
            "learning_starts": 100_000,
            "target_update_interval": 1_000,
            "train_freq": 4,
            "gradient_steps": 1,
            "exploration_fraction": 0.1,
            "exploration_final_eps": 0.01,
        },
        _zoo("dqn", "atari"),
    ),
}
