"""Child of test_signals: trains in a vector env of the user's own, whose steps take SECONDS from the 40th on.

It says when the first of them begins, and how the run ended.
"""

import os
import sys
import time

from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from hakisa_algos import Agent
from tests.helpers.counting import CountingEnv
from tests.policy.test_encoding import CONFIGS


class Slow(CountingEnv):
    steps = 0

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def step(self, action):
        self.steps += 1
        if self.steps >= 40:
            os.write(1, b"slow\n")  # at once, or two processes mix their lines
            time.sleep(self.seconds)
        return super().step(action)


if __name__ == "__main__":
    kind, algorithm, seconds, path = sys.argv[1:]
    make = AsyncVectorEnv if kind == "async" else SyncVectorEnv
    agent = Agent(make([lambda: Slow(float(seconds))] * 2), CONFIGS[algorithm], algorithm=algorithm)
    agent.learn(10**6, run=path)
    print(f"stopped by {agent.stopped_by} at {agent.steps}", flush=True)
