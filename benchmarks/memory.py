"""Bytes that a rollout buffer takes per stacked 84 x 84 transition, ours beside Stable-Baselines3's."""

from __future__ import annotations

import _results
import gymnasium as gym
from stable_baselines3.common.buffers import RolloutBuffer as SB3RolloutBuffer

import hakisa_envs  # noqa: F401 (registers the ids)
from hakisa_algos import PPO
from hakisa_algos.training.trainer import Trainer


def main() -> None:
    """Fills both with one rollout of Pong at SB3's size, 8 envs x 128 rows, and counts their arrays."""
    agent = PPO("Hakisa/Pong-v0", seed=1)
    trainer = Trainer(agent.learner, agent.envs)
    trainer.collector.collect(agent.learner.need)
    ours = trainer.buffer.nbytes / (agent.config.n_steps * agent.envs.num_envs)
    env = gym.make("Hakisa/Pong-v0")
    peer = SB3RolloutBuffer(128, env.observation_space, env.action_space, n_envs=8)
    arrays = [value for value in vars(peer).values() if hasattr(value, "nbytes")]
    theirs = sum(array.nbytes for array in arrays) / (128 * 8)
    figures = {"hakisa_bytes_per_transition": round(ours, 1), "sb3_bytes_per_transition": round(theirs, 1)}
    print(figures, _results.save("memory", figures))


if __name__ == "__main__":
    main()
