"""Child of test_resume: ``python resume_child.py first|second FOLDER`` runs each case's half of the story.

``first`` runs every case to the end in FOLDER/CASE-straight, and again to the middle in FOLDER/CASE-halves;
``second``, in a process that knows nothing of the first, takes the latter to the end.
"""

import logging
import sys
from pathlib import Path

from hakisa_algos.agent import PPO
from hakisa_algos.learners.ppo_config import PPOConfig

# steps of one update, envs and options of each case; a run is six updates
CASES = {
    "cartpole": ("CartPole-v1", {}, {"normalize_observation": True, "target_kl": 0.01, "learning_rate": 3e-3}),
    "press": ("Hakisa/Press-v0", {"episode_length": 7}, {"optimizer": "rmsprop"}),
    "pong": (
        "Hakisa/Pong-v0",
        {"sticky": 0.25, "frame_size": 36, "noop_max": 5, "max_episode_steps": 30},
        {"network": "small", "n_steps": 56, "clip_schedule": "linear"},
    ),
}
ENVS = 3
UPDATES = 6


def config_of(case):
    _, _, changes = CASES[case]
    small = {"num_envs": ENVS, "n_steps": 32, "minibatch_size": 40, "epochs": 2} | changes
    return PPOConfig(total_steps=UPDATES * ENVS * small["n_steps"], **small)


def train(agent, run, stop_after=UPDATES):
    middle = stop_after * ENVS * agent.config.n_steps
    agent.learn(
        run=run,
        callbacks=[lambda trainer, metrics: trainer.step < middle],
        evaluate_every=2 * ENVS * agent.config.n_steps if agent.config.network == "auto" else 0,
        evaluate_episodes=3,
        checkpoint_every=10**9,
        collapse="restore",
    )
    agent.close()


def main(part, folder):
    for case, (env, options, _) in CASES.items():
        if part == "first":
            for name, stop in (("straight", UPDATES), ("halves", UPDATES // 2)):
                agent = PPO(env, config_of(case), seed=11, env_options=options, threads=1)
                train(agent, folder / f"{case}-{name}", stop)
        else:
            run = folder / f"{case}-halves"
            train(PPO.load(run, threads=1), run)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main(sys.argv[1], Path(sys.argv[2]))
