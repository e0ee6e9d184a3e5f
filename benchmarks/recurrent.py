"""Policies with memory: what they learn, and how fast, beside sb3-contrib's RecurrentPPO.

    python benchmarks/recurrent.py learning [--tasks cartpole recall] [--seeds 5] [--refresh both]
    python benchmarks/recurrent.py speed [--games cartpole pong] [--rounds 5]

Needs ``pip install sb3-contrib`` for ``speed``. Pong from one frame is learnt by pong.py, with
``--env-options '{"frame_stack": 1}' --config '{"memory": "lstm"}' --goal 18``.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import _results
import numpy as np
from _memory_tasks import CartPoleWithoutVelocities, Recall
from _rounds import Worker, spread

ENVS, ROWS, MINIBATCH = 8, 128, 256


@dataclass(frozen=True)
class Task:
    """What is learnt: env steps, the return that is good enough, and what a policy without memory stays below."""

    make: Any
    steps: int
    good: float
    chance: float
    config: dict[str, Any]


def tasks() -> dict[str, Task]:
    # Values of about 1, as actor and critic share the memory, where a large loss of the critic would drown the actor's.
    cartpole = {"n_steps": 64, "learning_rate": 2.5e-3, "gae_lambda": 0.95, "reward_scale": 0.05}
    cartpole |= {"hidden_sizes": (64,), "normalize_observation": True, "memory_chunk": 32}
    # The chunk is longer than what is to be remembered.
    recall = {"n_steps": 128, "learning_rate": 2e-3, "entropy_coefficient": 0.01, "hidden_sizes": (64,)}
    recall |= {"memory_chunk": 64}
    return {
        "cartpole": Task(CartPoleWithoutVelocities, 50_000, 450, 100, cartpole),
        "recall": Task(Recall, 400_000, 0.95, 0.35, recall),
    }


def learn(task: Task, memory: str | None, refresh: bool, seed: int) -> dict[str, Any]:
    """One run, and its evaluation."""
    from hakisa_algos import PPO
    from hakisa_algos.learners.ppo_config import PPOConfig

    rollouts = {"num_envs": ENVS, "minibatch_size": MINIBATCH, "epochs": 10}
    config = PPOConfig(
        total_steps=task.steps, memory=memory, memory_size=64, memory_refresh=refresh, **rollouts, **task.config
    )
    with_agent = PPO(task.make, config, seed=seed)
    began = time.perf_counter()
    with_agent.learn(collapse="off")
    seconds = time.perf_counter() - began
    result = with_agent.evaluate(100, seed=seed)
    with_agent.close()
    row = {"memory": memory, "refresh": refresh, "seed": seed, "mean_return": result.mean}
    print(row | {"seconds": round(seconds, 1)}, flush=True)
    return row | {"seconds": round(seconds, 1)}


def learning(arguments: argparse.Namespace) -> None:
    """All tasks, with memory of both kinds and without; stores ``recurrent_<task>.json`` of each."""
    switches = {"both": (True, False), "on": (True,), "off": (False,)}[arguments.refresh]
    for name in arguments.tasks:
        task = tasks()[name]
        kinds = [(memory, refresh) for memory in ("lstm", "gru") for refresh in switches] + [(None, True)]
        first = arguments.first_seed
        rows = [learn(task, *kind, seed) for kind in kinds for seed in range(first, first + arguments.seeds)]
        found = {}
        for memory, refresh in kinds:
            returns = [row["mean_return"] for row in rows if (row["memory"], row["refresh"]) == (memory, refresh)]
            label = "without" if memory is None else f"{memory}{'' if refresh else ', states not refreshed'}"
            found[label] = {
                "returns": returns,
                "good": sum(value >= task.good for value in returns),
                "at_most_chance": sum(value <= task.chance for value in returns),
            }
            print(name, label, found[label], flush=True)
        described = dataclasses.asdict(task) | {"make": task.make.__name__}
        if not arguments.no_save:
            further = "" if first == 1 else f"_seeds_from_{first}"
            print(_results.save(f"recurrent_{name}{further}", {"task": described, "rows": rows, "found": found}))


@dataclass(frozen=True)
class Contender:
    """One library in one form, on one game."""

    name: str
    game: str
    library: str
    options: dict[str, Any]


def contenders(game: str) -> list[Contender]:
    """The first is the one whose speed is compared."""
    memory = {"memory": "lstm", "memory_size": 64 if game == "cartpole" else 128, "memory_chunk": 32}
    shared = {"shared_lstm": True, "enable_critic_lstm": False}
    found = [
        Contender("hakisa lstm", game, "hakisa", memory),
        Contender("hakisa gru", game, "hakisa", memory | {"memory": "gru"}),
        Contender("hakisa lstm, states refreshed", game, "hakisa", memory | {"memory_refresh": True}),
        Contender("hakisa without memory", game, "hakisa", {}),
        Contender("sb3-contrib", game, "sb3", {}),
        Contender("sb3-contrib shared", game, "sb3", shared),
    ]
    return found


class Runner:
    """Trains in pieces, in a process of its own."""

    def __init__(self, contender: Contender) -> None:
        self._sb3 = contender.library == "sb3"
        pong = contender.game == "pong"
        self._model: Any
        if self._sb3:
            from sb3_contrib import RecurrentPPO
            from stable_baselines3.common.env_util import make_vec_env

            if pong:
                from _sb3 import SharedVecEnv

                from hakisa_algos.data.vectorize import make_envs

                envs: Any = SharedVecEnv(make_envs("Hakisa/Pong-v0", ENVS, {"frame_stack": 1}))
            else:
                envs = make_vec_env(CartPoleWithoutVelocities, ENVS, seed=0)
            # As ours: a network, the memory, and the heads.
            width = {"lstm_hidden_size": 128 if pong else 64, "net_arch": []} | contender.options
            self._model = RecurrentPPO(
                "CnnLstmPolicy" if pong else "MlpLstmPolicy", envs, n_steps=ROWS, batch_size=MINIBATCH,
                n_epochs=4 if pong else 10, learning_rate=2.5e-4 if pong else 7e-4, policy_kwargs=width, device="cpu",
            )  # fmt: skip
            return
        from hakisa_algos import PPO
        from hakisa_algos.learners.ppo_config import PPOConfig

        config = PPOConfig(
            total_steps=10**8, num_envs=ENVS, n_steps=ROWS, minibatch_size=MINIBATCH, epochs=4 if pong else 10,
            learning_rate=2.5e-4 if pong else 7e-4, hidden_sizes=() if not pong else (64, 64), **contender.options,
        )  # fmt: skip
        if pong:
            self._model = PPO("Hakisa/Pong-v0", config, env_options={"frame_stack": 1})
        else:
            self._model = PPO(CartPoleWithoutVelocities, config)

    def run(self, rollouts: int, threads: int) -> float:
        """Seconds."""
        import torch

        began = time.perf_counter()
        if self._sb3:
            torch.set_num_threads(threads)
            self._model.learn(rollouts * ENVS * ROWS, reset_num_timesteps=False)
        else:
            self._model.threads = threads
            left = [rollouts]

            def more(trainer: Any, metrics: Any) -> bool:
                left[0] -= 1
                return left[0] > 0

            self._model.learn(callbacks=[more], collapse="off")
        return time.perf_counter() - began


def speed(arguments: argparse.Namespace) -> None:
    """Alternating rounds of all; stores ``recurrent_speed.json``."""
    figures: dict[str, Any] = {"rounds": arguments.rounds}
    for game in arguments.games:
        # Each with the threads that were best for it in a probe: small networks with one.
        threads = 2 if game == "pong" else 1
        workers = [Worker(Runner, contender) for contender in contenders(game)]
        for worker in workers:
            worker("run", 1, threads)
        seconds: dict[str, list[float]] = {worker.contender.name: [] for worker in workers}
        for _ in range(arguments.rounds):
            for worker in workers:
                pieces = 1 if worker.contender.library == "sb3" or game == "pong" else 8
                seconds[worker.contender.name].append(worker("run", pieces, threads) / pieces)
        for worker in workers:
            worker.close()
        rival = min((c.name for c in contenders(game) if c.library == "sb3"), key=lambda name: np.median(seconds[name]))
        found: dict[str, Any] = {"threads": threads, "faster rival": rival}
        for name, values in seconds.items():
            ratios = [b / a for a, b in zip(values, seconds[rival], strict=True)]
            without = [a / b for a, b in zip(values, seconds["hakisa without memory"], strict=True)]
            found[name] = {
                "steps_per_second": spread([ENVS * ROWS / value for value in values]),
                "times the faster rival": spread(ratios, 2),
                "wall time over that without memory": spread(without, 2),
            }
            print(game, name, found[name], flush=True)
        figures[game] = found
    if not arguments.no_save:
        print(_results.save("recurrent_speed", figures))


def main() -> None:
    """Measures, and stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["learning", "speed"])
    parser.add_argument("--tasks", nargs="+", default=["cartpole", "recall"], choices=["cartpole", "recall"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--refresh", default="both", choices=["both", "on", "off"])
    parser.add_argument("--games", nargs="+", default=["cartpole", "pong"], choices=["cartpole", "pong"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-save", action="store_true")
    arguments = parser.parse_args()
    {"learning": learning, "speed": speed}[arguments.what](arguments)


if __name__ == "__main__":
    main()
