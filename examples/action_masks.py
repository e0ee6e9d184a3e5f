"""Never doing what is forbidden: Taxi, which says in its infos what would change nothing.

pip install "hakisa[algos]"
"""

import argparse

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TransformObservation

from hakisa_algos import PPO, PPOConfig


def taxi() -> gym.Env:
    """Taxi, whose state is one of 500 numbers, as 500 zeros and ones: what networks read."""
    env = gym.make("Taxi-v4")
    states = np.eye(500, dtype=np.float32)
    return TransformObservation(env, lambda state: states[state], gym.spaces.Box(0, 1, (500,), np.float32))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100_000)
steps = parser.parse_args().steps

# Nothing is to be said of masks: they are found in info["action_mask"], or by a method action_masks() of the env.
config = PPOConfig(total_steps=steps, n_steps=256, minibatch_size=256, learning_rate=3e-3, reward_scale=0.1)
agent = PPO(taxi, config, seed=1)
print("masks are obeyed:", agent.config.action_masks)
agent.learn()
print("PPO on Taxi:", agent.evaluate(episodes=20))

# In a program of your own they are handed on.
env = taxi()
observation, info = env.reset(seed=1)
action, state = agent.predict(observation, action_mask=info["action_mask"])
print("allowed:", np.flatnonzero(info["action_mask"]).tolist(), "chosen:", action)
agent.close()
