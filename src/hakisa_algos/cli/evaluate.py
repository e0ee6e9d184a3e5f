"""``hakisa eval RUN``."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import key_values, parse
from hakisa_algos.cli.session import checkpoint_step
from hakisa_algos.cli.text import bold
from hakisa_algos.comparison.grid import OUTCOME_HEADS, Cell, Grid, as_text, outcome_cells
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.film import film
from hakisa_algos.training.evaluate import Evaluation
from hakisa_algos.training.run_folder import RunFolder
from hakisa_algos.training.signals import interrupting


@dataclass(frozen=True)
class EvaluateArguments:
    """See :func:`run`."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""
    episodes: int = 20
    """Episodes to play."""
    max_steps: int | None = None
    """Longest episode, which is then cut and counts as it is. None: the env's own limit, else 30,000."""
    stochastic: bool = True
    """Also play with actions drawn as in training."""
    seed: int = 0
    """Of the evaluation; its episodes are none that training saw."""
    best: bool = False
    """Take the best checkpoint (by --evaluate-every) instead of the latest."""
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


@interrupting()
def run(arguments: Sequence[str]) -> int:
    """Measures a run's policy and writes what it found into the run's folder."""
    chosen = parse(EvaluateArguments, arguments, "hakisa eval", "Play whole episodes with a trained agent.")
    for option, value in (("--episodes", chosen.episodes), ("--max-steps", chosen.max_steps)):
        if value is not None and value < 1:
            raise ConfigError(f"{option} {value} is not allowed: it must be at least 1")
    folder = RunFolder.open(chosen.run)
    checkpoint = folder.checkpoints / "best" if chosen.best else folder.checkpoints
    if chosen.best and not checkpoint.is_file():
        raise CheckpointError(
            f"{folder.path} has no best checkpoint, since nothing was evaluated in training (--evaluate-every); "
            "leave --best out for the latest"
        )
    options = None if chosen.env_options is None else key_values(chosen.env_options)
    agent = Agent.load(checkpoint, chosen.env, device=chosen.device, threads=chosen.threads, env_options=options)
    step, found = checkpoint_step(checkpoint), {}
    print(f"{bold(agent.identity()['env'])}, step {step:,}")
    with contextlib.closing(agent):
        for name in ("deterministic", "stochastic") if chosen.stochastic else ("deterministic",):
            found[name] = agent.evaluate(
                chosen.episodes, seed=chosen.seed, deterministic=name == "deterministic", max_steps=chosen.max_steps
            )
            _show(name, found[name])
        print(f"  written to    {_write(folder, step, chosen.seed, agent, found)}")
        if chosen.video:
            env, options = (agent.identity()[name] for name in ("env", "env_options"))
            film(agent.policy, env, options, chosen.video, seed=chosen.seed, device=agent.device)
            print(f"  video         {chosen.video}")
    return 0


def _show(name: str, found: Evaluation) -> None:
    # At once: whatever ends the process later, this has been said.
    print(f"  {name:<14}{bold(str(found))}", flush=True)
    rows: list[Sequence[Cell]] = []
    for word, names in (("against", found.opponents), ("from", found.starts)):
        for who, rates in found.rates_by(names).items():
            rows.append((f"{word} {who}", *outcome_cells(rates)))
    if rows:
        print(as_text(Grid("", ("games", *OUTCOME_HEADS), rows)), flush=True)


def _write(folder: RunFolder, step: int, seed: int, agent: Agent, found: dict[str, Evaluation]) -> Path:
    identity = agent.identity()
    document = {"step": step, "seed": seed, "env": identity["env"], "env_options": identity["env_options"]}
    for name, evaluation in found.items():
        rates = evaluation.rates and dataclasses.asdict(evaluation.rates)
        document[name] = {"mean": evaluation.mean, "std": evaluation.std, "rates": rates, **evaluation.plain()}
    path = folder.path / "evaluations" / f"step_{step:09d}-seed_{seed}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path
