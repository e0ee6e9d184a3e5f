"""Taxi with and without action masks: how many env steps it takes to solve it.

    pip install sb3-contrib
    python benchmarks/masks.py --seeds 5

**Setting.** Gymnasium's Taxi-v4 (v3, which Gymnasium deprecates, is the same game unless it rains), whose
``info["action_mask"]`` forbids what would change nothing: driving into a wall, picking up nobody. Its state, one of
500, is shown one-hot, by a wrapper. With masks and without, all else is the same: hyperparameters, seeds, network.

**Solved** is a mean return of at least 7 over 100 fresh episodes by best actions (the best possible is about 7.9).
These are played when 20 others have reached 7, which come every 5,000 env steps: figures are rounded up to that. What
is trained without masks is evaluated without them, too.

MaskablePPO of sb3-contrib, and Stable-Baselines3's PPO, have the same hyperparameters as our PPO where they have such
an option (rewards are scaled by a wrapper), and their defaults elsewhere. They are left out where sb3-contrib is not
installed.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import _results
import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TransformObservation, TransformReward

from hakisa_algos import Agent
from hakisa_algos.agent import config_from
from hakisa_algos.learners.registry import find_algorithm

ENV, GOAL, EVERY = "Taxi-v4", 7.0, 5_000
PPO = {
    "total_steps": 300_000,
    "num_envs": 8,
    "n_steps": 256,
    "epochs": 10,
    "minibatch_size": 256,
    "learning_rate": 3e-3,
    "learning_rate_schedule": "constant",
    "reward_scale": 0.1,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "entropy_coefficient": 0.01,
}
DQN = {
    "total_steps": 300_000,
    "num_envs": 8,
    "train_every": 64,
    "gradient_steps": 12,
    "batch_size": 64,
    "n_step": 3,
    "learning_rate": 1e-3,
    "learning_rate_schedule": "constant",
    "reward_scale": 0.1,
    "epsilon_fraction": 0.05,
    "hidden_sizes": (128,),
}
CONFIGS = {"ppo": PPO, "dqn": DQN}


def taxi() -> gym.Env[Any, Any]:
    """Taxi with its state one-hot."""
    env = gym.make(ENV, disable_env_checker=True)
    states = np.eye(env.observation_space.n, dtype=np.float32)
    return TransformObservation(env, lambda state: states[state], gym.spaces.Box(0, 1, states[0].shape, np.float32))


class Search:
    """Evaluates a run as it comes along.

    Args:
        evaluate: ``(episodes, seed) -> mean return``.
        seed: of the run.
    """

    def __init__(self, evaluate: Callable[[int, int], float], seed: int) -> None:
        self._evaluate, self._seed = evaluate, seed
        self.curve: list[tuple[int, float]] = []
        self.solved: int | None = None

    def __call__(self, step: int) -> bool:
        """Looks, when it is time; False once it is solved."""
        if step // EVERY > len(self.curve):
            mean = self._evaluate(20, 1_000 * self._seed + len(self.curve))
            self.curve += [(step, round(mean, 2))] * (step // EVERY - len(self.curve))
            if mean >= GOAL and self._evaluate(100, 500_000 + 1_000 * self._seed + len(self.curve)) >= GOAL:
                self.solved = step
        return self.solved is None


def ours(algorithm: str, masked: bool, seed: int, steps: int) -> Search:
    """One of our algorithms."""
    config = config_from(
        find_algorithm(algorithm).config_class, CONFIGS[algorithm] | {"action_masks": masked, "total_steps": steps}
    )
    agent = Agent(taxi, config, algorithm=algorithm, seed=seed, threads=1)
    search = Search(lambda episodes, number: agent.evaluate(episodes, seed=number, num_envs=20).mean, seed)
    agent.learn(callbacks=[lambda trainer, metrics: search(trainer.step)])
    agent.close()
    return search


def theirs(masked: bool, seed: int, steps: int) -> Search:
    """MaskablePPO, or SB3's PPO."""
    import torch
    from sb3_contrib import MaskablePPO
    from stable_baselines3 import PPO as PlainPPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)

    def make(scale: float = 1.0) -> gym.Env[Any, Any]:
        env = TransformReward(taxi(), lambda reward: scale * float(reward))
        # Where MaskablePPO looks for the mask.
        env.unwrapped.action_masks = lambda: env.unwrapped.action_mask(env.unwrapped.s).astype(bool)
        return env

    class Reaches(BaseCallback):
        def _on_step(self) -> bool:
            return True if self.num_timesteps % (PPO["num_envs"] * PPO["n_steps"]) else search(self.num_timesteps)

    played = make()

    def mean_return(episodes: int, number: int) -> float:
        total = 0.0
        for episode in range(episodes):
            observation, _ = played.reset(seed=1_000_000_007 + 1_000 * number + episode)
            over = False
            while not over:
                allowed = {"action_masks": played.unwrapped.action_masks()} if masked else {}
                action, _ = model.predict(observation, deterministic=True, **allowed)
                observation, reward, terminated, truncated, _ = played.step(int(action))
                total, over = total + float(reward), terminated or truncated
        return total / episodes

    envs = make_vec_env(functools.partial(make, PPO["reward_scale"]), PPO["num_envs"], seed=seed)
    model: Any = (MaskablePPO if masked else PlainPPO)(
        "MlpPolicy", envs, seed=seed, device="cpu", n_steps=PPO["n_steps"], n_epochs=PPO["epochs"],
        batch_size=PPO["minibatch_size"], learning_rate=PPO["learning_rate"], gamma=PPO["gamma"],
        gae_lambda=PPO["gae_lambda"], ent_coef=PPO["entropy_coefficient"],
    )  # fmt: skip
    search = Search(mean_return, seed)
    model.learn(steps, callback=Reaches())
    return search


CONTENDERS: dict[str, Callable[[bool, int, int], Search]] = {
    "ppo": functools.partial(ours, "ppo"),
    "dqn": functools.partial(ours, "dqn"),
    "sb3": theirs,
}


def play(name: str, masked: bool, seed: int, steps: int) -> dict[str, Any]:
    """One run."""
    began = time.perf_counter()
    search = CONTENDERS[name](masked, seed, steps)
    row = {"seed": seed, "solved": search.solved, "seconds": round(time.perf_counter() - began, 1)}
    print(name, "with masks" if masked else "without", row, "best", max(mean for _, mean in search.curve), flush=True)
    return row | {"curve": search.curve}


def main() -> None:
    """Plays all contenders, and stores what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contenders", nargs="*", help="ppo, dqn, sb3; default: all that are installed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=PPO["total_steps"], help="longest run")
    parser.add_argument("--workers", type=int, default=2, help="runs at the same time, one thread each")
    parser.add_argument("--name", default="masks", help="of the result file; empty: store nothing")
    arguments = parser.parse_args()
    known = [name for name in CONTENDERS if name != "sb3" or importlib.util.find_spec("sb3_contrib")]
    names = arguments.contenders or known
    if unknown := set(names) - set(known):
        parser.error(f"{sorted(unknown)} cannot be played; there are {known} (sb3 needs pip install sb3-contrib)")
    jobs = [
        (name, masked, seed, arguments.steps)
        for name in names
        for masked in (True, False)
        for seed in range(1, arguments.seeds + 1)
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.workers, maxtasksperchild=1) as pool:
        rows = pool.starmap(play, jobs, chunksize=1)
    figures: dict[str, Any] = {"env": ENV, "goal": GOAL, "every": EVERY, "config": CONFIGS}
    for name in names:
        found = {}
        for masked in (True, False):
            own = [row for (job, how, *_), row in zip(jobs, rows, strict=True) if (job, how) == (name, masked)]
            solved = [row["solved"] or np.inf for row in own]
            found["with masks" if masked else "without"] = {
                "solved": f"{np.isfinite(solved).sum()} of {len(own)} seeds",
                "median_steps": float(np.median(solved)) if np.isfinite(np.median(solved)) else None,
                "seeds": own,
            }
        figures[name] = found
        steps = {how: each["median_steps"] for how, each in found.items()}
        print(name, {how: each["solved"] for how, each in found.items()}, "median steps", steps)
    if arguments.name:
        print(_results.save(arguments.name, figures))


if __name__ == "__main__":
    main()
