"""Training speed of DQN and PQN on Pong, against Stable-Baselines3 and the bound; speed and memory of the ring.

**Setting.** DQN as SB3's zoo has it for Atari: 8 envs, ``train_freq=4`` (SB3 counts steps of all envs together: 32
transitions), one gradient step on 32 of them, one-step targets of a target network that is copied every 1,000
transitions, Huber loss, gradients clipped to 10, learning rate 1e-4. Both libraries act greedily but for 1 %, so that
each step asks the network, and learn from the start. PQN has its defaults for pictures.

**Bound**, per update: the vector env stepped by itself with random actions, plus a forward per step on the
observations of all envs, plus the ring's sample of each batch (DQN only), plus bare gradient steps: forward (of the
target network, too, for DQN), backward and Adam with as cheap a loss as there is. Acting casts the weights to bfloat16
once per collection; the bound's forwards do so once in all. Each part is timed by itself, in a tight loop, in the
process and in the round of the run that it is compared with. ``loop`` is the same parts in one plain loop in the order
of training, with nothing else in it: what they cost when each finds the caches as the others left them. With two
threads hakisa's DQN plays in one while it learns in the other, so its env and act lie beside its sample and train.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import _results
from _ring import ring_figures
from _rounds import Worker, best_threads, env_stepper, spread, timed

PONG = "Hakisa/Pong-v0"
ENVS, TRAIN_FREQ, BATCH, RING, TARGET = 8, 4, 32, 20_000, 1_000
# The ring is smaller than the zoo's 100,000, which are 5.6 GB of SB3's; how ours grows is measured by itself.
DQN = {
    "buffer_size": RING,
    "learning_starts": 256,
    "train_every": ENVS * TRAIN_FREQ,
    "gradient_steps": 1,
    "batch_size": BATCH,
    "learning_rate": 1e-4,
    "learning_rate_schedule": "constant",
    "n_step": 1,
    "double": False,
    "dueling": False,
    "target_every": TARGET,
    "epsilon_start": 0.01,
    "epsilon_end": 0.01,
    "max_grad_norm": 10.0,
    "normalize_observation": False,
    "network": "nature",
    "num_envs": ENVS,
}


@dataclass(frozen=True)
class Contender:
    """One library in one form.

    Attributes:
        name: in the results.
        algorithm: ``"dqn"``, ``"pqn"`` or ``"sb3"``.
        steps: env steps between two updates: a piece of work.
        warm: pieces to leave out at the beginning of each run.
        vectorization: ``"own"`` for SB3's stack and ``"shared"`` for hakisa's vector env.
        config: changes to hakisa's hyperparameters.
    """

    name: str
    algorithm: str
    steps: int
    warm: int
    vectorization: str = "auto"
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Game:
    """Contenders that are compared, and the pieces of each in a round."""

    name: str
    contenders: tuple[Contender, ...]
    pieces: int


def games(quick: bool) -> list[Game]:
    dqn, rollout = ENVS * TRAIN_FREQ, 16 * 64
    return [
        Game(
            "dqn",
            (
                Contender("hakisa bf16", "dqn", dqn, 22, config=DQN | {"precision": "bf16"}),
                Contender("hakisa fp32", "dqn", dqn, 22, config=DQN | {"precision": "fp32"}),
                Contender("sb3", "sb3", dqn, 2, "own"),
                Contender("sb3 same vector env", "sb3", dqn, 2, "shared"),
            ),
            40 if quick else 120,
        ),
        Game(
            "pqn",
            (
                Contender("hakisa bf16", "pqn", rollout, 1, config={"precision": "bf16"}),
                Contender("hakisa fp32", "pqn", rollout, 1, config={"precision": "fp32"}),
            ),
            1 if quick else 3,
        ),
    ]


class Clock:
    """Adds up the seconds of calls."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def clocked(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.perf_counter() - began

        return clocked


class Hakisa:
    """A run that can be continued in pieces; imports are here so that each process has one library."""

    def __init__(self, contender: Contender) -> None:
        import numpy as np
        from gymnasium import spaces

        from hakisa_algos import DQN, PQN
        from hakisa_algos.learners.registry import find_algorithm

        agent_class = DQN if contender.algorithm == "dqn" else PQN
        pictures = spaces.Box(0, 255, (4, 84, 84), np.uint8)
        config = find_algorithm(contender.algorithm).default_config(pictures)
        config = dataclasses.replace(config, total_steps=100_000_000, **contender.config)
        self.contender = contender
        self.agent = agent_class(PONG, config)
        self._sampling, self._learning = Clock(), Clock()
        learner = self.agent.learner
        learner.update = self._learning.around(learner.update)
        if contender.algorithm == "dqn":
            self._sampler = learner._sampler
            self._draw = self._sampler.sample
            self._sampler.sample = self._sampling.around(self._draw)

    def run(self, pieces: int, threads: int) -> dict[str, float]:
        """Trains; returns seconds: all of them, and those of each part."""
        self.agent.threads = threads
        moments: list[dict[str, float]] = []

        def watch(trainer: Any, metrics: Any) -> bool:
            if not moments:  # fresh memory costs page faults, which a long run has behind it
                for column in trainer.buffer._observations.values():
                    column.data.add_(0)
            self._trainer, self._gradient_steps = trainer, metrics.get("train/gradient_steps", 0)
            spent = {name: ns / 1e9 for name, ns in trainer.collector.nanoseconds.items()}
            learned, sampled = self._learning.seconds, self._sampling.seconds
            moments.append(
                {"seconds": time.perf_counter(), "sample": sampled, "train": learned - sampled} | spent,
            )
            return len(moments) <= self.contender.warm + pieces

        self.agent.learn(callbacks=[watch], collapse="off")
        first, last = moments[self.contender.warm], moments[-1]
        parts = {name: last[name] - first[name] for name in last}
        return parts

    def bound(self, threads: int) -> dict[str, float]:
        """Seconds of each part of one piece, timed alone; their sum; and of one piece of a loop of nothing else."""
        import numpy as np
        import torch
        from _bound import bare_forward, gradient_step, measure

        from hakisa_algos.data.vectorize import make_envs
        from hakisa_algos.policy.observations import to_tensors
        from hakisa_algos.policy.precision import weights_cast_once

        torch.set_num_threads(threads)
        learner, config, rng = self.agent.learner, self.agent.config, np.random.default_rng(0)
        policy, buffer = learner.policy, self._trainer.buffer
        rows, steps = self.contender.steps // config.num_envs, int(self._gradient_steps)
        replay = self.contender.algorithm == "dqn"
        batch = config.batch_size if replay else config.minibatch_size
        envs = make_envs(PONG, config.num_envs)
        step_env = env_stepper(envs)

        def seen() -> torch.Tensor:
            return to_tensors(policy.observation.encode(step_env()), self.agent.device)

        observation = seen()
        bare = measure(learner, observation, batch, 20)
        train = gradient_step(learner)
        drawn = observation.repeat(-(-batch // config.num_envs), 1, 1, 1)[:batch]

        def loop() -> None:
            with weights_cast_once(self.agent.device):  # to bfloat16 once per collection, not per step
                for _ in range(rows):
                    bare_forward(policy, seen())()
            for _ in range(steps):
                train(self._draw(buffer, batch, rng).observation if replay else drawn)

        with weights_cast_once(self.agent.device):
            act = rows * timed(bare_forward(policy, observation), 100)
        parts = {
            "env": rows * timed(step_env, 200),
            "act": act,
            "sample": steps * timed(lambda: self._draw(buffer, batch, rng), 100) if replay else 0.0,
            "train": steps * bare["train"],
        }
        parts |= {"sum": sum(parts.values()), "loop": timed(loop, 20 if replay else 1)}
        envs.close()
        return parts


class StableBaselines:
    """The same for SB3's DQN."""

    def __init__(self, contender: Contender) -> None:
        from _sb3 import SharedVecEnv, own_stack
        from stable_baselines3 import DQN as SB3DQN

        import hakisa_envs  # noqa: F401 (registers the ids)
        from hakisa_algos.data.vectorize import make_envs

        own = contender.vectorization == "own"
        self.model = SB3DQN(
            "CnnPolicy",
            own_stack(PONG, ENVS) if own else SharedVecEnv(make_envs(PONG, ENVS)),
            buffer_size=RING,
            learning_starts=DQN["learning_starts"],
            batch_size=BATCH,
            train_freq=TRAIN_FREQ,
            gradient_steps=1,
            target_update_interval=TARGET,
            exploration_initial_eps=0.01,
            exploration_final_eps=0.01,
            learning_rate=1e-4,
            max_grad_norm=10.0,
            device="cpu",
        )
        ring = self.model.replay_buffer
        for frames in (ring.observations, ring.next_observations):
            frames.fill(0)  # as above
        self.contender = contender
        self.model.learn(DQN["learning_starts"], reset_num_timesteps=False)

    def run(self, pieces: int, threads: int) -> dict[str, float]:
        import torch

        torch.set_num_threads(threads)
        self.model.learn(self.contender.warm * self.contender.steps, reset_num_timesteps=False)
        updates, began = self.model._n_updates, time.perf_counter()
        self.model.learn(pieces * self.contender.steps, reset_num_timesteps=False)
        seconds = time.perf_counter() - began
        assert self.model._n_updates - updates == pieces, "SB3 counts updates otherwise than this benchmark"
        return {"seconds": seconds}


def make_runner(contender: Contender) -> Hakisa | StableBaselines:
    """What trains for ``contender``, in a process of its own."""
    return StableBaselines(contender) if contender.algorithm == "sb3" else Hakisa(contender)


def compare(game: Game, rounds: int, choices: list[int]) -> dict[str, Any]:
    """Alternating rounds of all contenders of a game."""
    workers = [Worker(make_runner, contender) for contender in game.contenders]
    steps = game.contenders[0].steps
    threads = {worker: best_threads(worker, max(1, game.pieces // 2), steps, choices) for worker in workers}
    results: dict[Worker, list[dict[str, float]]] = {worker: [] for worker in workers}
    bounds: dict[Worker, list[dict[str, float]]] = {worker: [] for worker in workers}
    for _ in range(rounds):
        for worker in workers:
            ran = worker("run", game.pieces, threads[worker])
            results[worker].append({name: seconds / game.pieces for name, seconds in ran.items()})
            if worker.contender.algorithm != "sb3":
                bounds[worker].append(worker("bound", threads[worker]))
    figures: dict[str, Any] = {}
    for worker in workers:
        seconds = [result["seconds"] for result in results[worker]]
        entry: dict[str, Any] = {
            "steps_per_second": spread([steps / s for s in seconds]),
            "threads": threads[worker],
            "peak_mb": round(worker("memory")),
        }
        if bounds[worker]:
            entry |= bound_figures(bounds[worker], results[worker], steps)
            for rival in (w for w in workers if w.contender.algorithm == "sb3"):
                theirs = [result["seconds"] for result in results[rival]]
                ratios = [b / a for a, b in zip(seconds, theirs, strict=True)]
                entry[f"times {rival.contender.name}"] = spread(ratios, 3)
        figures[worker.contender.name] = entry
        print(f"{game.name:5} {worker.contender.name:20} {entry}", flush=True)
    for worker in workers:
        worker.close()
    return figures


def bound_figures(bounds: list[dict[str, float]], ran: list[dict[str, float]], steps: int) -> dict[str, Any]:
    """Where the time of an update and the steps before it goes, beside the least, and the share that is reached."""
    found: dict[str, Any] = {"ms_per_update": milliseconds(ran)}
    for name, what in (("bound", "sum"), ("loop", "loop")):
        found[name] = {
            "steps_per_second": spread([steps / b[what] for b in bounds]),
            "share": spread([b[what] / r["seconds"] for b, r in zip(bounds, ran, strict=True)], 3),
        }
    found["bound"]["ms_per_update"] = milliseconds(bounds)
    return found


def milliseconds(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each part."""
    return {name: round(1000 * statistics.median(r[name] for r in rounds), 3) for name in rounds[0]}


def main() -> None:
    """Writes ``results/dqn_speed.json`` (``dqn_speed_quick`` with ``--quick``)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two short rounds, a small ring: a check, not a figure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", help="of torch, to choose from (default: 1 and 2)")
    parser.add_argument("--parts", nargs="+", choices=["dqn", "pqn", "ring"], default=["dqn", "pqn", "ring"])
    arguments = parser.parse_args()

    rounds = 2 if arguments.quick else arguments.rounds
    choices = sorted(set(arguments.threads or {1, min(2, os.cpu_count() or 1)}))
    began = time.perf_counter()
    figures: dict[str, Any] = {"rounds": rounds, "load_before": os.getloadavg()[0]}
    for game in games(arguments.quick):
        if game.name in arguments.parts:
            figures[game.name] = compare(game, rounds, choices)
    if "ring" in arguments.parts:
        sizes = (10_000, 50_000) if arguments.quick else (50_000, 1_000_000)
        figures["ring"] = ring_figures(sizes, rounds, batch=BATCH)
    figures["minutes"] = round((time.perf_counter() - began) / 60, 1)
    print(_results.save("dqn_speed_quick" if arguments.quick else "dqn_speed", figures))


if __name__ == "__main__":
    main()
