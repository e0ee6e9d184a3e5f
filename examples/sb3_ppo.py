"""A Hakisa env under Stable-Baselines3's PPO.

pip install "hakisa[sb3]"
"""

import argparse

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import hakisa_envs  # noqa: F401 (registers the ids)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100_000)
steps = parser.parse_args().steps

envs = make_vec_env("Hakisa/Press-v0", n_envs=8, seed=1)
model = PPO("MlpPolicy", envs, n_steps=128, batch_size=256, seed=1, device="cpu")
model.learn(steps)
mean, deviation = evaluate_policy(model, envs, n_eval_episodes=16)
print(f"SB3's PPO on Press: {mean:.1f} +/- {deviation:.1f} of 32 after {steps} steps")
