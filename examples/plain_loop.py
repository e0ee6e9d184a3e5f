"""A Hakisa env in a plain Gymnasium loop: no trainer, no torch.

pip install "hakisa[atari]"
"""

import argparse

import gymnasium as gym

import hakisa_envs  # noqa: F401 (registers the ids)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2_000)
steps = parser.parse_args().steps

env = gym.make("Hakisa/Pong-v0", frame_size=42)
env.action_space.seed(1)
observation, info = env.reset(seed=1)
points = 0.0
for _ in range(steps):
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    points += reward
    if terminated or truncated:
        observation, info = env.reset()
print(f"{points:+.0f} points in {steps} steps of random play, seeing {observation.shape} {observation.dtype}")
env.close()
