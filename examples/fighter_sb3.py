"""Our fighting game under Stable-Baselines3's PPO: an emulator in each process.

pip install "hakisa[retro,sb3]"
"""

import argparse

import gymnasium as gym

ROUNDS = 4


def main() -> None:
    """Under `if __name__`, because the emulators run in processes that import this file; so torch is imported here."""
    from stable_baselines3 import PPO

    from hakisa_envs.sb3 import SB3VecEnv

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    steps = parser.parse_args().steps

    envs = SB3VecEnv(gym.make_vec("hakisa_envs:Hakisa/Fighter-v0", 4))
    model = PPO("CnnPolicy", envs, n_steps=128, batch_size=128, n_epochs=3, ent_coef=0.01, seed=1, device="cpu")
    model.learn(steps)

    observations, outcomes = envs.reset(), []
    while len(outcomes) < ROUNDS:
        actions, _ = model.predict(observations)
        observations, _, dones, infos = envs.step(actions)
        outcomes += [info["outcome"] for info, done in zip(infos, dones, strict=True) if done]
    envs.close()
    print(f"SB3's PPO on the Fighter, {steps} steps: {outcomes.count('win')} of {len(outcomes)} rounds won")


if __name__ == "__main__":
    main()
