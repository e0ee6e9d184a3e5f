"""``hakisa eval RUN``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import key_values, parse
from hakisa_algos.cli.session import checkpoint_step
from hakisa_algos.cli.text import bold
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.film import film
from hakisa_algos.training.evaluate import Evaluation
from hakisa_algos.training.run_folder import RunFolder


@dataclass(frozen=True)
class EvaluateArguments:
    """See :func:`run`."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""
    episodes: int = 20
    """Episodes to play, rounded up so that every env plays the same number."""
    stochastic: bool = True
    """Also play with actions drawn as in training."""
    seed: int = 0
    """Of the evaluation; its episodes are none that training saw."""
    best: bool = False
    """Take the best checkpoint (by --eval-every) instead of the latest."""
    video: Path | None = None
    """Film one episode into this file, such as out.mp4."""
    env: str | None = None
    """Play in this env instead; needed again for package:Id and live games, which a file alone must not start."""
    env_options: tuple[str, ...] | None = None
    """Other options of the env than in training, as key=value: difficulty=2"""
    device: str = "auto"
    """auto, cpu, cuda, ...; auto takes a GPU for pictures."""
    threads: int | None = None
    """Threads of torch. None: all cores for pictures, else one."""


def run(arguments: Sequence[str]) -> int:
    """Measures a run's policy and writes what it found into the run's folder."""
    chosen = parse(EvaluateArguments, arguments, "hakisa eval", "Play whole episodes with a trained agent.")
    if chosen.episodes < 1:
        raise ConfigError(f"--episodes {chosen.episodes} is not allowed: it must be at least 1")
    folder = RunFolder.open(chosen.run)
    checkpoint = folder.checkpoints / "best" if chosen.best else folder.checkpoints
    if chosen.best and not checkpoint.is_file():
        raise CheckpointError(
            f"{folder.path} has no best checkpoint, since nothing was evaluated in training (--eval-every); "
            "leave --best out for the latest"
        )
    options = None if chosen.env_options is None else key_values(chosen.env_options)
    agent = Agent.load(checkpoint, chosen.env, device=chosen.device, threads=chosen.threads, env_options=options)
    try:
        found = {"deterministic": agent.evaluate(chosen.episodes, seed=chosen.seed)}
        if chosen.stochastic:
            found["stochastic"] = agent.evaluate(chosen.episodes, seed=chosen.seed, deterministic=False)
        step = checkpoint_step(checkpoint)
        print(f"{bold(agent.identity()['env'])}, step {step:,}")
        for name, evaluation in found.items():
            print(f"  {name:<14}{bold(str(evaluation))}")
        print(f"  written to    {_write(folder, step, chosen.seed, agent, found)}")
        if chosen.video:
            print(f"  video         {film(agent, chosen.video, seed=chosen.seed).path}")
    finally:
        agent.close()
    return 0


def _write(folder: RunFolder, step: int, seed: int, agent: Agent, found: dict[str, Evaluation]) -> Path:
    identity = agent.identity()
    results: dict[str, Any] = {
        name: {
            "mean": evaluation.mean,
            "std": evaluation.std,
            "returns": evaluation.returns.tolist(),
            "lengths": evaluation.lengths.tolist(),
        }
        for name, evaluation in found.items()
    }
    document = {
        "step": step,
        "seed": seed,
        "env": identity["env"],
        "env_options": identity["env_options"],
        **results,
    }
    path = folder.path / "evaluations" / f"step_{step:09d}-seed_{seed}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path
