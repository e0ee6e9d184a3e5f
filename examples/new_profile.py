"""A game of your own: a profile, which is one TOML file and no code. docs/your-own-game.md goes through it slowly.

Here the game is the little program that ships to try things out; only its red bar is looked at, in colour.

sudo apt-get install xvfb
pip install "hakisa[screen]"
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import gymnasium as gym

import hakisa_envs
from hakisa_envs.screen.profile import load_profile

PROGRAM = Path(hakisa_envs.__file__).parent / "screen" / "games" / "flash.py"
PROFILE = """
name = "bar"

[launch]
command = ["{python}", "PROGRAM", "400", "300"]

[window]
title = "^Hakisa flash$"      # a regular expression
size = [400, 300]

[screen]
size = [400, 300]             # of the X display that is started for it

[observation]
region = [0, 150, 400, 150]   # left, top, width, height: its lower half
size = [64, 48]
grey = false
stack = 2

[actions]
commands = ["release_all", "hold_only"]
keys = ["Left", "Right"]      # shorten and lengthen the red bar
rate = 20.0

[reading.bar]                 # how much of it is red, 0 to 1
kind = "bar"
region = [0, 250, 400, 25]
low = [150, 0, 0]
high = [255, 80, 80]

[[reward]]
reading = "bar"
on = "fall"                   # the shorter the better

[[end]]
when = "bar < 0.5"

[[reset]]
do = "press"
key = "Right"
until = "bar > 0.95"
again = 0.05                  # press again until it holds

[pause]
how = "stop"
"""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200)
steps = parser.parse_args().steps

with TemporaryDirectory() as folder:
    path = Path(folder) / "bar.toml"
    path.write_text(PROFILE.replace("PROGRAM", str(PROGRAM)))
    print("a profile with the readings", [reading.name for reading in load_profile(path).readings])
    env = gym.make("Hakisa/ScreenGame-v0", game=path)
    env.action_space.seed(1)
    env.reset(seed=1)
    total, episodes = 0.0, 0
    for _ in range(steps):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        total += reward
        if terminated or truncated:
            episodes += 1
            env.reset()
    print(f"{env.observation_space.shape}, {episodes} episodes, reward {total:.2f} in all")
    env.close()
