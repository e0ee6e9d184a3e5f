"""How often a clone of a scripted player of Press does what the player did, in episodes that it has not seen.

    python benchmarks/cloning.py

Once the player does what is asked, and once hardly anything but wait: it presses one key of twelve and clicks in one
column of twelve.
"""

from __future__ import annotations

import argparse
import itertools
import sys

import _results
import gymnasium as gym
import numpy as np
import torch

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.learners.cloning import CloningConfig, CloningLearner
from hakisa_algos.policy.policy import Decision, FeedForward
from hakisa_algos.training.trainer import Trainer
from hakisa_envs.press.game import PressGame

GAME = PressGame("vector", 12, 12, 32, 0.1)
KEY, COLUMN = 3, 5


class Player(FeedForward):
    """Does what is asked; ``rare``: only for one key and one column, and waits otherwise."""

    version = 0

    def __init__(self, layout: object, rare: bool) -> None:
        self.observation, self.rare = layout, rare

    def act(self, observation: torch.Tensor, state: dict, explore: bool, generator: torch.Generator | None) -> Decision:
        """See :class:`hakisa_algos.policy.policy.Policy`."""
        shown = (observation.numpy()[:, None] == GAME.observations[None]).all(-1).argmax(1)
        answer = GAME.answers[shown].copy()
        if self.rare:
            wanted = np.where(answer[:, 0] == 1, answer[:, 1] == KEY, answer[:, 1] == COLUMN)
            answer[~wanted] = 0
        return Decision(torch.from_numpy(answer), {}, state)


def measure(algorithm: str, rare: bool, rows: int, config: CloningConfig, seed: int) -> dict[str, float]:
    """Metrics of the best clone."""
    envs = gym.make_vec("Hakisa/Press-v0", num_envs=8)
    learner = CloningLearner(
        envs.single_observation_space, envs.single_action_space, config, algorithm=algorithm, seed=seed
    )
    buffer = RolloutBuffer(rows, 8, learner.policy.observation)
    Collector(envs, Player(learner.policy.observation, rare), buffer, seed=seed).collect(Rows(rows))
    learner.study(buffer)
    trainer = Trainer(learner, None, seed=seed)
    trainer.train()
    assert learner.best_report is not None
    return {"gradient_steps": trainer.step} | learner.best_report["metrics"]


def main() -> int:
    """Measures and stores."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=1000, help="of each of 8 envs")
    parser.add_argument("--steps", type=int, default=2000, help="gradient steps at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = CloningConfig(total_steps=given.steps, update_steps=100, batch_size=128, learning_rate=3e-3, patience=5)
    found = {}
    for algorithm, rare, seed in itertools.product(("ppo", "dqn"), (False, True), given.seeds):
        name = f"{algorithm}{', rare commands' if rare else ''}, seed {seed}"
        found[name] = measure(algorithm, rare, given.rows, config, seed)
    for name, metrics in found.items():
        print(f"{name}: {metrics['held_out/accuracy']:.4f}, worst recall {metrics['held_out/worst_recall']:.3f}")
    print(_results.save("cloning", {"rows": 8 * given.rows, "config": vars(config), "clones": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
