"""Hakisa's PPO on somebody else's env: CartPole.

pip install "hakisa[algos]"
"""

import argparse

from hakisa_algos import PPO, PPOConfig

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100_000)
steps = parser.parse_args().steps

config = PPOConfig(total_steps=steps, n_steps=32, epochs=20, minibatch_size=256, gamma=0.98, gae_lambda=0.8)
agent = PPO("CartPole-v1", config, seed=1).learn()
print("PPO on CartPole:", agent.evaluate(episodes=20))

# One action at a time, as in a program of your own.
action, state = agent.predict([0.0, 0.0, 0.05, 0.0])
print("a pole that leans to the right: push", "right" if action == 1 else "left")
agent.close()
