"""Child of test_signals: trains CartPole until it is stopped.

It goes on with RUN if that exists, saves after every update and prints each step. With SIGNAL it sends itself that
one twice in the middle of an update.
"""

import os
import signal
import sys
from pathlib import Path

from hakisa_algos.agent import PPO
from hakisa_algos.learners.ppo_config import PPOConfig


def main(path, twice=None, vectorization="auto"):
    if path.exists():
        agent = PPO.load(path)
    else:
        config = PPOConfig(total_steps=10**8, num_envs=4, n_steps=16, minibatch_size=32)
        agent = PPO("CartPole-v1", config, vectorization=vectorization)

    def say(trainer, metrics):
        print(trainer.step, flush=True)

    if twice and twice != "-":
        update = agent.learner.update

        def interrupted(buffer):
            if buffer.steps == 3 * 64:
                os.kill(os.getpid(), signal.Signals[twice])
                os.kill(os.getpid(), signal.Signals[twice])
            return update(buffer)

        agent.learner.update = interrupted
    agent.learn(run=path, callbacks=[say], checkpoint_every=64)
    agent.close()
    print(f"stopped by {agent._trainer.stopped_by} at {agent._trainer.step}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
