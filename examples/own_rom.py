"""Street Fighter II on your own ROM, with a reward of your own; where there is none, the Fighter stands in.

pip install "hakisa[retro]"
hakisa retro import FILE
"""

import argparse

import gymnasium as gym

import hakisa_envs  # noqa: F401 (registers the ids)
from hakisa_envs.retro.errors import RomError

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=10_000)
steps = parser.parse_args().steps


def reward(before, after, outcome):
    """Two frames of one round, and its outcome once it is over: what is paid, by parts."""
    closer = abs(before.enemy_x - before.x) - abs(after.enemy_x - after.x)
    return {"closer": closer / 256, "round": {"win": 1.0, "loss": -1.0}.get(outcome, 0.0)}


options = {"episode": "match", "actions": "macros", "reward": reward}
env = gym.make("Hakisa/StreetFighter2-v0", **options)
try:
    env.reset(seed=1)
except RomError as error:
    print(error)
    env = gym.make("Hakisa/Fighter-v0", **options)
    env.reset(seed=1)

env.action_space.seed(1)
decisions, over = 0, False
while decisions < steps and not over:
    _, _, terminated, truncated, info = env.step(env.action_space.sample())
    decisions, over = decisions + 1, terminated or truncated
print(f"a match against {info['opponent']} from {info['start']}: {info['outcome']} after {decisions} decisions")
env.close()
