"""Training speed of PPO, against Stable-Baselines3 and the bound: same env, network, hyperparameters and machine.

Of the Fighter it is the bound alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import _results
from _rounds import Worker, best_threads, env_stepper, spread, timed

from hakisa_algos.training.run_folder import system_info

ENVS, ROWS, EPOCHS, MINIBATCH = 8, 128, 4, 256
ROLLOUT = ENVS * ROWS
PICTURES = ("Hakisa/Pong-v0", "Hakisa/Fighter-v0")  # envs of them
# The zoo's for Atari; of the rest only what is the same in both libraries matters for speed.
PIXELS = {"clip": 0.1, "clip_schedule": "linear", "entropy_coefficient": 0.01, "network": "nature"}


@dataclass(frozen=True)
class Contender:
    """One library in one form.

    Attributes:
        name: in the results.
        env: id.
        library: ``"hakisa"`` or ``"sb3"``.
        vectorization: hakisa's, or ``"own"`` for SB3's stack and ``"shared"`` for hakisa's vector env.
        config: changes to hakisa's hyperparameters.
        options: of the env.
        num_envs: columns.
    """

    name: str
    env: str
    library: str
    vectorization: str = "auto"
    config: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    num_envs: int = ENVS


@dataclass(frozen=True)
class Game:
    """What is compared in one env: the first contender of each library is the one that the headline ratio is of."""

    name: str
    contenders: tuple[Contender, ...]
    rollouts: int
    """Per round."""


def games() -> list[Game]:
    pong, fighter, cartpole, press = *PICTURES, "CartPole-v1", "Hakisa/Press-v0"
    sides = {"states": ["mixed.normal.left", "mixed.normal.right"]}
    vector = "vector_entry_point"
    compiled = {"compile": True}
    return [
        Game(
            "pong",
            (
                Contender("hakisa bf16", pong, "hakisa", config=PIXELS | {"precision": "bf16"}),
                Contender("hakisa fp32", pong, "hakisa", config=PIXELS | {"precision": "fp32"}),
                Contender("hakisa bf16 compiled", pong, "hakisa", config=PIXELS | {"precision": "bf16"} | compiled),
                Contender("sb3", pong, "sb3", "own"),
                Contender("sb3 same vector env", pong, "sb3", "shared"),
            ),
            2,
        ),
        Game(
            "fighter",
            (Contender("hakisa bf16", fighter, "hakisa", config=PIXELS | {"precision": "bf16"}, options=sides),),
            2,
        ),
        Game(
            "cartpole",
            (
                Contender("hakisa", cartpole, "hakisa", vector),
                Contender("hakisa compiled", cartpole, "hakisa", vector, config=compiled),
                Contender("hakisa one env at a time", cartpole, "hakisa", "sync"),
                Contender("hakisa one env at a time compiled", cartpole, "hakisa", "sync", config=compiled),
                Contender("sb3", cartpole, "sb3", "own"),
                Contender("sb3 same vector env", cartpole, "sb3", "shared"),
            ),
            16,
        ),
        Game(
            "press",
            (
                Contender("hakisa", press, "hakisa"),
                Contender("hakisa compiled", press, "hakisa", config=compiled),
                Contender("sb3", press, "sb3", "own"),
                Contender("sb3 same vector env", press, "sb3", "shared"),
            ),
            16,
        ),
    ]


class Hakisa:
    """A run of hakisa that can be continued in pieces; imports are here so that each process has one library."""

    def __init__(self, contender: Contender) -> None:
        from hakisa_algos import PPO
        from hakisa_algos.learners.ppo_config import PPOConfig

        config = PPOConfig(
            total_steps=100_000_000,
            num_envs=contender.num_envs,
            n_steps=ROWS,
            epochs=EPOCHS,
            minibatch_size=MINIBATCH,
            **contender.config,
        )
        vectorization: Any = contender.vectorization
        self.contender = contender
        self.agent = PPO(contender.env, config, env_options=contender.options, vectorization=vectorization)

    def run(self, rollouts: int, threads: int) -> dict[str, float]:
        """Trains; returns seconds and the shares of env, act and update."""
        self.agent.threads = threads
        shares: dict[str, float] = {}
        left = [rollouts]

        def stop(trainer: Any, metrics: Any) -> bool:
            left[0] -= 1
            shares.update({k[5:]: v for k, v in metrics.items() if k.endswith("_share")})
            return left[0] > 0

        began = time.perf_counter()
        self.agent.learn(callbacks=[stop], collapse="off")
        return {"seconds": time.perf_counter() - began} | shares

    def bound(self, threads: int) -> dict[str, float]:
        """Seconds of a bare env step, a bare forward at the acting batch and a bare training step."""
        import torch
        from _bound import measure

        from hakisa_algos.data.vectorize import make_envs
        from hakisa_algos.policy.observations import to_tensors

        torch.set_num_threads(threads)
        n, policy = self.contender.num_envs, self.agent.policy
        pixels = self.contender.env in PICTURES
        envs = make_envs(self.contender.env, n, self.contender.options, self.contender.vectorization)  # type: ignore[arg-type]
        step_env = env_stepper(envs)
        seen = to_tensors(policy.observation.encode(step_env()), self.agent.device)
        repeats = 5 if pixels else 50
        seconds = {"env": timed(step_env, 20 * repeats)} | measure(self.agent.learner, seen, MINIBATCH, repeats)
        envs.close()
        return seconds


class StableBaselines:
    """The same for SB3."""

    def __init__(self, contender: Contender) -> None:
        from _sb3 import SharedVecEnv, own_stack
        from stable_baselines3 import PPO

        import hakisa_envs  # noqa: F401 (registers the ids)
        from hakisa_algos.data.vectorize import make_envs

        if contender.vectorization == "own":
            envs = own_stack(contender.env, contender.num_envs)
        else:
            vectorization: Any = "vector_entry_point"
            envs = SharedVecEnv(make_envs(contender.env, contender.num_envs, vectorization=vectorization))
        pixels = contender.env in PICTURES
        # Linear schedules, as the zoo's; `total` is so large that they hardly move.
        changes = {"clip_range": lambda left: 0.1 * left, "ent_coef": 0.01} if pixels else {}
        self.model = PPO(
            "CnnPolicy" if pixels else "MlpPolicy",
            envs,
            n_steps=ROWS,
            batch_size=MINIBATCH,
            n_epochs=EPOCHS,
            learning_rate=lambda left: 2.5e-4 * left,
            device="auto" if pixels else "cpu",  # as hakisa chooses
            **changes,
        )

    def run(self, rollouts: int, threads: int) -> dict[str, float]:
        import torch

        torch.set_num_threads(threads)
        began = time.perf_counter()
        self.model.learn(rollouts * ROLLOUT, reset_num_timesteps=False)
        return {"seconds": time.perf_counter() - began}


def make_runner(contender: Contender) -> Hakisa | StableBaselines:
    """What trains for ``contender``, in a process of its own."""
    return Hakisa(contender) if contender.library == "hakisa" else StableBaselines(contender)


def compare(game: Game, rounds: int, choices: list[int]) -> dict[str, Any]:
    """Alternating rounds of all contenders of a game."""
    workers = [Worker(make_runner, contender) for contender in game.contenders]
    threads = {worker: best_threads(worker, max(1, game.rollouts // 2), ROLLOUT, choices) for worker in workers}
    results: dict[Worker, list[dict[str, float]]] = {worker: [] for worker in workers}
    bounds: dict[Worker, list[dict[str, float]]] = {worker: [] for worker in workers}
    for _ in range(rounds):
        for worker in workers:
            results[worker].append(worker("run", game.rollouts, threads[worker]))
            if worker.contender.library == "hakisa" and "compiled" not in worker.contender.name:
                bounds[worker].append(worker("bound", threads[worker]))
    figures: dict[str, Any] = {}
    for worker in workers:
        seconds = [result["seconds"] / game.rollouts for result in results[worker]]
        entry: dict[str, Any] = {
            "steps_per_second": spread([ROLLOUT / s for s in seconds]),
            "threads": threads[worker],
            "peak_mb": round(worker("memory")),
        }
        if worker.contender.library == "hakisa":
            shares = {k: [r[f"{k}_share"] for r in results[worker]] for k in ("env", "act", "update")}
            entry["ms_per_rollout"] = {
                k: round(1000 * statistics.median(a * b for a, b in zip(v, seconds, strict=True)), 2)
                for k, v in shares.items()
            }
        if bounds[worker]:
            entry["bound"] = bound_figures(bounds[worker], seconds)
        for rival in (w for w in workers if w.contender.library == "sb3" and w is not worker):
            if worker.contender.library == "hakisa":
                theirs = [result["seconds"] / game.rollouts for result in results[rival]]
                ratios = [b / a for a, b in zip(seconds, theirs, strict=True)]
                entry[f"times {rival.contender.name}"] = spread(ratios, 3)
        figures[worker.contender.name] = entry
        print(f"{game.name:9} {worker.contender.name:36} {entry}", flush=True)
    for worker in workers:
        worker.close()
    return figures


def bound_figures(bounds: list[dict[str, float]], seconds: list[float]) -> dict[str, Any]:
    """The bound of a rollout and its update, and the share of it that is reached, round by round."""
    steps = EPOCHS * ROLLOUT // MINIBATCH
    least = [ROWS * (b["env"] + b["forward"]) + steps * b["train"] for b in bounds]
    return {
        "steps_per_second": spread([ROLLOUT / s for s in least]),
        "share": spread([a / b for a, b in zip(least, seconds, strict=True)], 3),
        "microseconds": {k: round(1e6 * statistics.median(b[k] for b in bounds), 1) for k in bounds[0]},
    }


def growth(quick: bool) -> dict[str, list[dict[str, float]]]:
    """Steps per second against the number of envs, the size of frames and the width of the network."""
    pong, cartpole = "Hakisa/Pong-v0", "CartPole-v1"
    envs = [1, 8] if quick else [1, 2, 4, 8, 16, 32, 64]
    sizes = [42, 84] if quick else [42, 64, 84, 120, 160]
    widths = [64, 256] if quick else [32, 64, 128, 256, 512, 1024]
    pixels = PIXELS | {"precision": "auto"}
    curves = {
        "num_envs, CartPole": [(n, Contender("", cartpole, "hakisa", "vector_entry_point", num_envs=n)) for n in envs],
        "num_envs, Pong": [(n, Contender("", pong, "hakisa", config=pixels, num_envs=n)) for n in envs],
        "frame_size, Pong": [
            (size, Contender("", pong, "hakisa", config=pixels, options={"frame_size": size})) for size in sizes
        ],
        "hidden width, CartPole": [
            (w, Contender("", cartpole, "hakisa", "vector_entry_point", {"hidden_sizes": (w, w)})) for w in widths
        ],
    }
    result: dict[str, list[dict[str, float]]] = {}
    for name, points in curves.items():
        result[name] = []
        for x, contender in points:
            worker = Worker(make_runner, contender)
            threads = os.cpu_count() or 1 if "Pong" in name else 1
            steps = contender.num_envs * ROWS
            # About two seconds each, after a warm-up.
            rollouts = max(1, 2048 // steps) if "Pong" in name else max(2, 16384 // steps)
            worker("run", 1, threads)
            speed = rollouts * steps / worker("run", rollouts, threads)["seconds"]
            result[name].append({"x": x, "steps_per_second": round(speed), "threads": threads})
            worker.close()
        print(f"{name:24} {[(p['x'], p['steps_per_second']) for p in result[name]]}", flush=True)
    return result


def draw(growth: dict[str, list[dict[str, float]]], path: Any) -> None:
    """The growth curves as a PNG."""
    from hakisa_algos.training.plots import Chart, curves

    charts = []
    for name, points in growth.items():
        line = [p["x"] for p in points], [p["steps_per_second"] for p in points]
        charts.append(Chart({"hakisa": line}, xlabel=name, ylabel="env steps per second", doubling=True))
    curves(path, *charts)


def main() -> None:
    """Writes ``results/speed.json`` and ``.png``: ``speed_gpu`` with a GPU, ``speed_quick`` with ``--quick``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rounds and few points: a check, not a figure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--games", nargs="+", choices=[game.name for game in games()])
    parser.add_argument("--no-growth", action="store_true")
    parser.add_argument("--name", help="of the result file; default: speed, speed_gpu with a GPU, or speed_quick")
    arguments = parser.parse_args()

    rounds = 2 if arguments.quick else arguments.rounds
    choices = sorted({1, min(2, os.cpu_count() or 1)})
    began = time.perf_counter()
    figures: dict[str, Any] = {"rounds": rounds, "load_before": os.getloadavg()[0]}
    for game in games():
        if not arguments.games or game.name in arguments.games:
            figures[game.name] = compare(game, rounds, choices)
    gpu = system_info()["gpu"]
    name = arguments.name or ("speed_quick" if arguments.quick else "speed" if gpu is None else "speed_gpu")
    if not arguments.no_growth:
        figures["growth"] = growth(arguments.quick)
        _results.RESULTS.mkdir(exist_ok=True)
        draw(figures["growth"], _results.RESULTS / f"{name}.png")
    figures["minutes"] = round((time.perf_counter() - began) / 60, 1)
    if gpu is None:
        figures["on_a_gpu"] = "not run: there is none"
    print(_results.save(name, figures))


if __name__ == "__main__":
    main()
