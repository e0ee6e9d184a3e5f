"""Hakisa's PPO on an action with arguments: which command, and with which key or at which cell.

pip install "hakisa[algos]"
"""

import argparse

from hakisa_algos import PPO, PPOConfig

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200_000)
steps = parser.parse_args().steps

# Each target is answered at once, so nothing is to be looked ahead for: gamma 0.
config = PPOConfig(total_steps=steps, learning_rate=2e-3, entropy_coefficient=0.01, gamma=0.0)
agent = PPO("Hakisa/Press-v0", config, seed=1)
print("actions:", agent.envs.single_action_space)
agent.learn()
print("PPO on Press, of 32:", agent.evaluate(episodes=20))
agent.close()
