"""A player is recorded, and an agent learns to play like it: CartPole, with a scripted player.

pip install "hakisa[algos]"
"""

import argparse
import tempfile
from contextlib import closing
from pathlib import Path

import gymnasium as gym
import numpy as np

from hakisa_algos import Agent
from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.recording_writer import RecordingWriter
from hakisa_algos.stages.study import Studies, Study

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2_000, help="gradient steps")
steps = parser.parse_args().steps


def play(observation):
    """Where the pole falls, the cart goes."""
    return np.int64(observation[2] + observation[3] > 0)


def record(folder, episodes):
    """The returns of what was recorded; a person would do it by "hakisa record CartPole-v1"."""
    env, returns, t_ns = gym.make("CartPole-v1"), [], 0
    with closing(RecordingWriter(folder, env.observation_space, env.action_space, None)) as writer:
        writer.describe({"name": "cartpole", "env": "CartPole-v1", "env_options": {}, "rate": 50.0, "idle": None,
                         "meanings": ["left", "right"]})  # fmt: skip
        for seed in range(episodes):
            seen, _ = env.reset(seed=seed)
            total, over, start = 0.0, False, True
            while not over:
                action = play(seen)
                after, reward, terminated, truncated, _ = env.step(action)
                values = {"reward": np.float32(reward), "terminated": terminated, "truncated": truncated, "t_ns": t_ns}
                writer.add(seen, action, values, start=start, following=after, final=truncated)
                seen, over, start = after, terminated or truncated, False
                total, t_ns = total + reward, t_ns + 20_000_000
            writer.end(seen, {"t_ns": t_ns})
            returns.append(total)
    env.close()
    return returns


with tempfile.TemporaryDirectory() as home:
    recording, clone = Path(home, "recording"), Path(home, "clone")
    print(f"the teacher: mean return {np.mean(record(recording, episodes=20)):.1f}")
    study = Study((str(recording),), "ppo", CloningConfig(total_steps=steps), {"hidden_sizes": (64,)})
    studies = Studies(study)
    studies.run(clone)
    accuracy = studies.learner.best_report["metrics"]["held_out/accuracy"]
    print(f"the clone does what the teacher did in {accuracy:.1%} of the rows that it never saw")
    agent = Agent.load(clone)
    print("the clone:", agent.evaluate(episodes=20))
    agent.close()
