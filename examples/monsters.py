"""Our journey with monsters: PPO with memory, from pictures and a map of where the agent has been.

pip install "hakisa[algos,retro]"
"""

import argparse
import dataclasses

from hakisa_algos import PPO
from hakisa_algos.learners.ppo_config import MONSTERS

OPTIONS = {"visited_map": True, "episode_length": 4_096, "goal": 2, "sticky": 0.1}


def main() -> None:
    """Under `if __name__`, because the emulators run in processes that import this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--envs", type=int, default=8, help="emulators that play side by side")
    parser.add_argument("--run", default="runs/monsters")
    parser.add_argument("--start-mix", type=float, default=0.0, help="share of envs that begin at milestones")
    parser.add_argument("--episodes", type=int, default=8, help="that it is evaluated over")
    parser.add_argument("--longest", type=int, default=4_096, help="steps after which such an episode is cut")
    arguments = parser.parse_args()

    config = dataclasses.replace(MONSTERS, total_steps=arguments.steps, num_envs=arguments.envs)
    agent = PPO("Hakisa/Monsters-v0", config, env_options=OPTIONS)
    agent.learn(run=arguments.run, on_exploit="stop", start_mix=arguments.start_mix)
    print(f"where it went: {arguments.run}/map.png, how far it came: hakisa report {arguments.run}")
    print("two badges, from the true start:", agent.evaluate(arguments.episodes, max_steps=arguments.longest))
    agent.close()


if __name__ == "__main__":
    main()
