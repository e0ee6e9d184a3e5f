"""A policy with memory: CartPole that shows no velocities.

pip install "hakisa[algos]"
"""

import argparse

import gymnasium as gym
import numpy as np

from hakisa_algos import PPO, PPOConfig

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=50_000)
steps = parser.parse_args().steps


class Positions(gym.ObservationWrapper):
    """Where cart and pole are, but not how fast they move: that must be remembered."""

    def __init__(self):
        super().__init__(gym.make("CartPole-v1"))
        box = self.env.observation_space
        self.observation_space = gym.spaces.Box(box.low[[0, 2]], box.high[[0, 2]], dtype=np.float32)

    def observation(self, observation):
        return observation[[0, 2]]


for memory in (None, "lstm"):
    config = PPOConfig(
        total_steps=steps,
        n_steps=64,
        minibatch_size=256,
        learning_rate=2.5e-3,
        reward_scale=0.05,  # actor and critic share the memory: values of about 1 suit both
        normalize_observation=True,
        memory=memory,
        memory_size=64,
    )
    agent = PPO(Positions, config, seed=1).learn()
    print(f"memory={memory}:", agent.evaluate(episodes=20))
    agent.close()
