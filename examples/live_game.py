"""A live game in ten lines: started in an X display of its own, seen as pixels, played with keys.

sudo apt-get install xvfb
pip install "hakisa[screen]"
"""

import argparse

import gymnasium as gym

import hakisa_envs  # noqa: F401 (registers the ids)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--game", default="flash", help="a profile that ships, such as lbreakout2, or a TOML file")
arguments = parser.parse_args()

env = gym.make("Hakisa/ScreenGame-v0", game=arguments.game)
observation, info = env.reset(seed=1)
for _ in range(arguments.steps):
    action = env.action_space.sample()
    observation, reward, terminated, truncated, info = env.step(action)
    if terminated or truncated:
        observation, info = env.reset()
print(f"last of {arguments.steps} steps: {env.unwrapped.describe(action)}; the screen then read {info['readings']}")
env.close()
