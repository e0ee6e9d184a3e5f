"""Two live games side by side under Stable-Baselines3's PPO, which pauses them while it updates.

sudo apt-get install xvfb
pip install "hakisa[screen,sb3]"
"""

import argparse

import gymnasium as gym
from stable_baselines3 import PPO

from hakisa_envs.sb3 import PauseCallback, SB3VecEnv


def main() -> None:
    """Under `if __name__`, because the games run in processes that import this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--game", default="flash", help="a profile that ships, such as lbreakout2, or a TOML file")
    arguments = parser.parse_args()

    games = gym.make_vec("hakisa_envs:Hakisa/ScreenGame-v0", 2, game=arguments.game, max_episode_steps=200)
    envs = SB3VecEnv(games)
    model = PPO("CnnPolicy", envs, n_steps=128, batch_size=64, seed=1, device="cpu")
    model.learn(arguments.steps, callback=PauseCallback())
    share = model.logger.name_to_value["live/paused_share"]
    print(f"SB3's PPO on live games: {model.num_timesteps} steps, the games stood still for {share:.0%} of the time")
    envs.close()


if __name__ == "__main__":
    main()
