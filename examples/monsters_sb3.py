"""Our journey with monsters under Stable-Baselines3's PPO: an emulator in each process.

pip install "hakisa[retro,sb3]"
"""

import argparse

import gymnasium as gym


def main() -> None:
    """Under `if __name__`, because the emulators run in processes that import this file; so torch is imported here."""
    from stable_baselines3 import PPO

    from hakisa_envs.sb3 import SB3VecEnv

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500_000)
    parser.add_argument("--look", type=int, default=1_000, help="steps that are looked at afterwards")
    arguments = parser.parse_args()

    envs = SB3VecEnv(
        gym.make_vec("hakisa_envs:Hakisa/Monsters-v0", 4, frame_stack=4, episode_length=4_096, goal=2, sticky=0.1)
    )
    model = PPO("CnnPolicy", envs, n_steps=128, batch_size=128, n_epochs=3, gamma=0.995, ent_coef=0.01, seed=1)
    model.learn(arguments.steps)

    observations, places, milestones = envs.reset(), set(), set()
    for _ in range(arguments.look):
        actions, _ = model.predict(observations)
        observations, _, _, infos = envs.step(actions)
        places |= {info["place"] for info in infos if "place" in info}
        milestones |= {info["milestone"] for info in infos if "milestone" in info}
    envs.close()
    maps = len({place[:2] for place in places})
    print(f"SB3's PPO on Monsters, {arguments.steps} steps: {len(places)} tiles of {maps} maps; {sorted(milestones)}")


if __name__ == "__main__":
    main()
