"""Child of test_workers: ``python resume_fighter.py first|second FOLDER``: PPO on the Fighter, whole and in halves."""

import sys
from pathlib import Path

OPTIONS = {"frame_size": 36, "sticky": 0.25, "sampling": "lost", "states": ["mixed.easy.left", "rusher.hard.right"]}


def main(part, folder):
    # Here, since the processes of the envs import this file, too.
    from hakisa_algos.agent import PPO
    from hakisa_algos.learners.ppo_config import PPOConfig

    def train(agent, run, updates):
        agent.learn(run=run, callbacks=[lambda trainer, metrics: trainer.step < updates * 24], checkpoint_every=10**9)
        agent.close()

    if part == "second":
        train(PPO.load(folder / "halves", threads=1), folder / "halves", 4)
        return
    config = PPOConfig(num_envs=2, n_steps=12, minibatch_size=12, epochs=1, total_steps=96, network="small")
    for name, updates in (("straight", 4), ("halves", 2)):
        train(PPO("Hakisa/Fighter-v0", config, seed=5, env_options=OPTIONS, threads=1), folder / name, updates)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
