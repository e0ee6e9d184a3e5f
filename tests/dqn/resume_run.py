"""One part of a run, in a process of its own: ``python resume_run.py ALGORITHM FOLDER STOP``; prints a hash."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from hakisa_algos import DQN, PQN, DQNConfig, PQNConfig

TOTAL = 1024
CONFIGS = {
    # A ring that has gone round, priorities, tails of several steps and a target between two copies.
    "dqn": DQNConfig(
        total_steps=TOTAL,
        num_envs=4,
        buffer_size=600,
        learning_starts=100,
        train_every=32,
        gradient_steps=2,
        n_step=3,
        dueling=True,
        prioritized=True,
        target_every=500,
        hidden_sizes=(16,),
        epsilon_schedule="exponential",
    ),
    "dqn-polyak": DQNConfig(
        total_steps=TOTAL,
        buffer_size=2000,
        learning_starts=100,
        train_every=64,
        gradient_steps=1,
        polyak=0.1,
        hidden_sizes=(16,),
        learning_rate_schedule="linear",
    ),
    # Played by another thread while it learns.
    "dqn-beside": DQNConfig(
        total_steps=TOTAL,
        num_envs=4,
        buffer_size=600,
        learning_starts=100,
        train_every=16,
        gradient_steps=1,
        hidden_sizes=(16,),
        network="mlp",
        normalize_observation=True,
        epsilon_fraction=0.1,
        learn_beside=True,
    ),
    "pqn": PQNConfig(total_steps=TOTAL, num_envs=4, n_steps=32, hidden_sizes=(16,)),
}


PONG = {"frame_size": 16, "frame_stack": 2, "frame_skip": 16, "max_episode_steps": 45, "num_threads": 2}


def leaves(value):
    """Everything in nested state, in order."""
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from leaves(value[key])
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from leaves(entry)
    elif isinstance(value, torch.Tensor):
        yield value.detach().contiguous().numpy().tobytes()
    elif isinstance(value, np.ndarray):
        yield value.tobytes()
    else:
        yield repr(value).encode()


def play(name, folder, stop):
    """Begins the run, or goes on with it, up to env step ``stop``; returns the step and the hash of all state."""
    cls, folder = PQN if name == "pqn" else DQN, Path(folder)
    begun = folder.exists()
    beside = name == "dqn-beside"
    threads = 2 if beside else None
    if begun:
        agent = cls.load(folder, threads=threads)
    elif beside:
        agent = cls("Hakisa/Pong-v0", CONFIGS[name], seed=3, threads=threads, env_options=PONG)
    else:
        agent = cls("CartPole-v1", CONFIGS[name], seed=3)
    agent.learn(TOTAL, run=None if begun else folder, callbacks=[lambda trainer, _: trainer.step < stop])
    trainer = agent._trainer
    buffer = trainer.buffer
    position = np.arange(buffer.oldest * buffer.num_envs, buffer.steps)
    ring = {column: buffer.take(column, position) for column in ("action", "reward", "terminated", "truncated")}
    ring["observation"] = buffer.observation(np.append(position, buffer.steps))
    state = {"learner": agent.learner.state(), "ring": ring, "statistics": trainer.statistics.state()}
    return trainer.step, hashlib.sha256(b"|".join(leaves(state))).hexdigest()


if __name__ == "__main__":
    print(*play(sys.argv[1], sys.argv[2], int(sys.argv[3])))
