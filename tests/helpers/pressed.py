"""A recording of Press, played by somebody who does what it asks for, always or with mistakes."""

import gymnasium as gym
import numpy as np

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.recording_writer import RecordingWriter

PRESS = {"num_keys": 3, "grid_size": 3, "episode_length": 16}
ENV = "Hakisa/Press-v0"


def press(folder, options=PRESS, episodes=6, wrong=0.0, seed=0, **facts):
    """Record it, with other facts about it where they are given; a share ``wrong`` of actions is drawn at random."""
    rng = np.random.default_rng(seed)
    env = gym.make(ENV, disable_env_checker=True, **options).unwrapped
    writer = RecordingWriter(folder, env.observation_space, env.action_space, None)
    known = {"name": "press", "env": ENV, "env_options": options, "rate": 10.0, "idle": None}
    writer.describe(known | {"commands": ["wait", "press", "click"]} | facts)
    t = 0
    for episode in range(episodes):
        seen, _ = env.reset(seed=1000 * seed + episode)
        over = False
        while not over:
            action = env.game.answers[env._targets[env._position]]
            if rng.random() < wrong:
                action = np.array([rng.integers(3), rng.integers(3), rng.integers(3)])
            after, reward, over, _, _ = env.step(action)
            values = {"reward": np.float32(reward), "terminated": over, "t_ns": t}
            writer.add(seen, action, values, start=env._position == 1, following=after)
            seen, t = after, t + 100_000_000
        writer.end(seen, {"t_ns": t})
    writer.close()
    return Recording.open(folder)
