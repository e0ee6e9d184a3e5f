"""Learning curves over seeds, with "reached the goal within N steps" judged on fresh seeds.

Ten times in a run the agent is evaluated on 20 episodes with fresh seeds; the first evaluation that reaches the
goal is repeated on 100 episodes with other seeds and must reach it again.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import multiprocessing
import time
from collections.abc import Mapping
from typing import Any

import _results
import gymnasium as gym
import numpy as np

import hakisa_envs  # noqa: F401 (registers the ids)
from hakisa_algos import Agent
from hakisa_algos.agent import config_from
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.training.aggregate import band
from hakisa_algos.training.plots import Chart, curves


@dataclasses.dataclass(frozen=True)
class Task:
    """One curve.

    Attributes:
        env: an id, or a function that makes the env.
        algorithm: a registered name.
        goal: mean return that counts as reached.
        config: changed hyperparameters, ``total_steps`` among them.
        deterministic: how the evaluations act.
    """

    env: str | functools.partial[gym.Env[Any, Any]]
    algorithm: str
    goal: float
    config: Mapping[str, Any]
    deterministic: bool = True


class WithoutTable(gym.ActionWrapper[Any, Any, Any]):
    """An env's conditional action space as the plain MultiDiscrete that other trainers see."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.action_space = gym.spaces.MultiDiscrete(env.action_space.nvec)

    def action(self, action: Any) -> Any:
        """Passes on unchanged: the env itself ignores what is irrelevant."""
        return action


def press(**options: Any) -> gym.Env[Any, Any]:
    """Press."""
    return gym.make("Hakisa/Press-v0", disable_env_checker=True, **options)


def press_plain(**options: Any) -> gym.Env[Any, Any]:
    """Press without its relevance table."""
    return WithoutTable(press(**options))


# As wide as it goes: 32 keys, and a grid of 32 x 32 cells.
WIDE = {"num_keys": 32, "grid_size": 32}


CARTPOLE = {
    "total_steps": 100_000,
    "num_envs": 8,
    "n_steps": 32,
    "epochs": 20,
    "minibatch_size": 256,
    "gamma": 0.98,
    "gae_lambda": 0.8,
    "learning_rate": 1e-3,
    "clip_schedule": "linear",
}
PRESS = {
    "total_steps": 300_000,
    "num_envs": 32,
    "n_steps": 128,
    "epochs": 8,
    "minibatch_size": 512,
    "gamma": 0.0,
    "learning_rate": 3e-3,
    "entropy_coefficient": 0.02,
}
LUNAR = {
    "total_steps": 1_000_000,
    "num_envs": 16,
    "n_steps": 1024,
    "epochs": 4,
    "minibatch_size": 128,
    "gamma": 0.999,
    "gae_lambda": 0.98,
    "entropy_coefficient": 0.01,
    "entropy_schedule": "linear",
    "learning_rate": 1e-3,
}
ACROBOT = {
    "total_steps": 1_000_000,
    "num_envs": 16,
    "n_steps": 256,
    "epochs": 4,
    "minibatch_size": 64,
    "gae_lambda": 0.94,
    "learning_rate": 1e-3,
    "normalize_observation": True,
}

# A mutation gives new values, far larger than those at birth, to a tenth of what the linear policy makes of about one
# of its inputs: to learn a key takes two weights of one input at once, as a right command with a wrong key pays less
# than another command does. Many individuals and one parent: most of what helps in one place harms in another that few
# games show.
GA_PRESS = {
    "total_steps": 20_000_000,
    "num_envs": 256,
    "population": 256,
    "parents": 1,
    "episodes": 4,
    "candidates": 8,
    "validation_episodes": 12,
    "mutation_scale": 40.0,
    "mutation_share": 0.1,
    "mutation_inputs": 0.03,
    "mutation_replaces": True,
}

# A round's reward does not depend on earlier actions.
DQN_PRESS = {
    "total_steps": 50_000,
    "num_envs": 32,
    "train_every": 64,
    "gradient_steps": 32,
    "batch_size": 256,
    "gamma": 0.0,
    "n_step": 1,
    "epsilon_fraction": 0.3,
}

LUNAR_DQN = {
    "total_steps": 200_000,
    "buffer_size": 200_000,
    "train_every": 64,
    "gradient_steps": 32,
    "batch_size": 128,
    "n_step": 3,
    "learning_rate": 6.3e-4,
    "epsilon_fraction": 0.12,
    "epsilon_end": 0.05,
}

POINTS = 10  # evaluations in a run

TASKS = {
    "cartpole": Task("CartPole-v1", "ppo", 500, CARTPOLE),
    "cartpole_bf16": Task("CartPole-v1", "ppo", 500, CARTPOLE | {"precision": "bf16"}),
    "press": Task("Hakisa/Press-v0", "ppo", 0.98 * 32, PRESS),
    "press_plain": Task(functools.partial(press_plain), "ppo", 0.98 * 32, PRESS),
    "press_wide": Task(functools.partial(press, **WIDE), "ppo", 0.98 * 32, PRESS),
    "press_wide_plain": Task(functools.partial(press_plain, **WIDE), "ppo", 0.98 * 32, PRESS),
    "lunarlander": Task("LunarLander-v3", "ppo", 242, LUNAR),
    "ga_cartpole": Task("CartPole-v1", "ga", 500, {"total_steps": 100_000}),
    "ga_press": Task("Hakisa/Press-v0", "ga", 0.98 * 32, GA_PRESS),
    "dqn_press": Task("Hakisa/Press-v0", "dqn", 0.98 * 32, DQN_PRESS),
    "dqn_cartpole": Task("CartPole-v1", "dqn", 500, {"total_steps": 50_000}),
    "pqn_cartpole": Task("CartPole-v1", "pqn", 495, {"total_steps": 300_000}),
    "dqn_lunarlander": Task("LunarLander-v3", "dqn", 180, LUNAR_DQN),
    "acrobot": Task("Acrobot-v1", "ppo", -75, ACROBOT),
}


def play(name: str, seed: int) -> dict[str, Any]:
    """One seed of one task: its curve, and the step at which the goal was reached and confirmed."""
    task = TASKS[name]
    config = config_from(find_algorithm(task.algorithm).config_class, task.config)
    agent = Agent(task.env, config, algorithm=task.algorithm, seed=seed)
    points: list[tuple[int, float]] = []
    reached: dict[str, float] = {}
    every = config.total_steps // POINTS
    began = time.perf_counter()

    def look(passed: int) -> None:
        step = agent.steps
        due = min(passed // every, POINTS) - len(points)  # a generation may be so long that it passes several
        if due <= 0:
            return
        evaluate = functools.partial(agent.evaluate, deterministic=task.deterministic, num_envs=20)
        mean = evaluate(20, seed=1000 * seed + len(points)).mean
        points.extend([(step, mean)] * due)
        if not reached and mean >= task.goal:
            again = evaluate(100, seed=500_000 + seed).mean
            if again >= task.goal:
                reached.update(steps=step, evaluation=mean, confirmed=again)

    agent.learn(callbacks=[lambda trainer, metrics: look(trainer.step)])
    look(config.total_steps)  # the points that are due where a last generation did not fit, and told no callback
    seconds = time.perf_counter() - began
    final = {k: agent.evaluate(100, seed=900_000 + seed, deterministic=d).mean for k, d in EVALUATIONS.items()}
    agent.close()
    row = {"seed": seed, "reached": reached or None, "final": final, "seconds": round(seconds, 1), "curve": points}
    print(name, {key: value for key, value in row.items() if key != "curve"}, flush=True)
    return row


EVALUATIONS = {"deterministic": True, "stochastic": False}


def main() -> None:
    """Plays the tasks named on the command line, and stores a JSON file and a picture of each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", choices=list(TASKS), help="drawn together")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="seeds played at the same time, one thread each")
    parser.add_argument("--name", help="of the result file; default: the tasks")
    arguments = parser.parse_args()
    if len({(TASKS[name].config["total_steps"], TASKS[name].goal) for name in arguments.tasks}) > 1:
        parser.error("tasks of one picture need one goal and one number of steps; give the others a run of their own")

    figures: dict[str, Any] = {}
    jobs = [(task, seed) for task in arguments.tasks for seed in range(1, arguments.seeds + 1)]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        rows = pool.starmap(play, jobs, chunksize=1)
    steps = np.mean([[step for step, _ in row["curve"]] for row in rows], axis=0)
    lines = {}
    for name in arguments.tasks:
        task = TASKS[name]
        played = [row for (job, _), row in zip(jobs, rows, strict=True) if job == name]
        middle = band(np.array([[score for _, score in row["curve"]] for row in played]))
        lines[f"{name} ({len(played)} seeds)"] = steps, middle.value, middle.low, middle.high
        figures[name] = {
            "env": task.env if isinstance(task.env, str) else f"{task.env.func.__name__} {task.env.keywords}",
            "algorithm": task.algorithm,
            "config": dict(task.config),
            "goal": task.goal,
            "reached": f"{sum(row['reached'] is not None for row in played)} of {len(played)} seeds",
            "iqm": middle.value.tolist(),
            "band_95": [middle.low.tolist(), middle.high.tolist()],
            "mean_final": {k: float(np.mean([row["final"][k] for row in played])) for k in EVALUATIONS},
            "seeds": played,
        }
    name = arguments.name or "learning_" + "_".join(arguments.tasks)
    path = _results.save(name, figures)
    goal = TASKS[arguments.tasks[0]].goal
    chart = Chart(
        lines,
        " / ".join(arguments.tasks),
        ylabel="evaluation return (IQM, 95 % band)",
        levels={f"goal {goal:g}": goal},
    )
    curves(path.with_suffix(".png"), chart)
    print(path, {key: figure["reached"] for key, figure in figures.items()})


if __name__ == "__main__":
    main()
