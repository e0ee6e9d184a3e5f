"""One part of a GA run, in a process of its own: ``python ga_run.py FOLDER UPDATES``."""

import sys
from pathlib import Path

from hakisa_algos import GA, GAConfig

CONFIG = GAConfig(
    total_steps=10**6,
    num_envs=3,
    population=8,
    parents=3,
    survivors=2,
    candidates=2,
    validation_episodes=2,
    hidden_sizes=(4,),
    mutation_scale_decay=0.9,
    mutation_share_decay=0.8,
)


def play(folder, updates):
    """Begins the run, or goes on with it, up to so many updates; returns the agent."""
    folder = Path(folder)
    begun = folder.exists()
    agent = GA.load(folder, threads=1) if begun else GA("CartPole-v1", CONFIG, seed=3, threads=1)
    agent.learn(run=None if begun else folder, callbacks=[lambda trainer, m: m["train/n_updates"] < updates])
    return agent


if __name__ == "__main__":
    play(sys.argv[1], int(sys.argv[2]))
