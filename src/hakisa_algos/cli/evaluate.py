"""``hakisa eval RUN``."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import key_values, parse
from hakisa_algos.cli.session import checkpoint_step
from hakisa_algos.cli.text import bold, command, dim
from hakisa_algos.comparison.grid import OUTCOME_HEADS, Cell, Grid, as_text, outcome_cells
from hakisa_algos.data.contract import ASSISTS, declared
from hakisa_algos.data.files import write_json
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.film import film
from hakisa_algos.training.checkpoint import find_checkpoint, is_empty
from hakisa_algos.training.chronicle import CHRONICLE
from hakisa_algos.training.evaluate import Evaluation
from hakisa_algos.training.run_folder import RunFolder
from hakisa_algos.training.video import check_video_path


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


def run(arguments: Sequence[str]) -> int:
    """Measures a run's policy and writes what it found into the run's folder."""
    chosen = parse(EvaluateArguments, arguments, "hakisa eval", "Play whole episodes with a trained agent.")
    for option, value in (("--episodes", chosen.episodes), ("--max-steps", chosen.max_steps)):
        if value is not None and value < 1:
            raise ConfigError(f"{option} {value} is not allowed: it must be at least 1")
    if chosen.video:
        check_video_path(chosen.video)
    folder = RunFolder.open(chosen.run)
    if is_empty(folder.checkpoints):
        raise CheckpointError(
            f"{folder.path} has no checkpoint yet: wait for its first one, or if it has ended, let it begin anew by "
            f"{command('resume', folder.path)}"
        )
    checkpoint = folder.checkpoints / "best" if chosen.best else folder.checkpoints
    if chosen.best and not checkpoint.is_file():
        raise CheckpointError(
            f"{folder.path} has no best checkpoint, since nothing was evaluated in training (--evaluate-every); "
            "leave --best out for the latest"
        )
    options = None if chosen.env_options is None else key_values(chosen.env_options)
    path = find_checkpoint(checkpoint)
    agent = Agent.load(path, chosen.env, device=chosen.device, threads=chosen.threads, env_options=options)
    step, found = checkpoint_step(path), {}
    print(f"{bold(agent.identity()['env'])}, step {step:,}")
    with contextlib.closing(agent):
        for name in ("deterministic", "stochastic") if chosen.stochastic else ("deterministic",):
            found[name] = agent.evaluate(
                chosen.episodes,
                seed=chosen.seed,
                deterministic=name == "deterministic",
                max_steps=chosen.max_steps,
                progress=functools.partial(_tell, name),
            )
            _show(name, found[name])
        print(f"  written to    {_write(folder, path, chosen, agent, found)}")
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


def _tell(name: str, text: str) -> None:
    print(dim(f"  {name:<14}{text}"), flush=True)


def _write(
    folder: RunFolder, checkpoint: Path, chosen: EvaluateArguments, agent: Agent, found: dict[str, Evaluation]
) -> Path:
    """Into the file of the evaluation with the same options, or a new one."""
    identity, step = agent.identity(), checkpoint_step(checkpoint)
    asked = {
        "step": step,
        "checkpoint": checkpoint.name,
        "seed": chosen.seed,
        "options": {name: getattr(chosen, name) for name in ("episodes", "max_steps", "stochastic")},
        "env": identity["env"],
        "env_options": identity["env_options"],
    }
    document: dict[str, Any] = dict(asked) | {"assists": _assists(folder, agent)}
    for name, evaluation in found.items():
        rates = evaluation.rates and dataclasses.asdict(evaluation.rates)
        document[name] = {"mean": evaluation.mean, "std": evaluation.std, "rates": rates, **evaluation.plain()}
    first = path = folder.path / "evaluations" / f"step_{step:09d}-seed_{chosen.seed}.json"
    first.parent.mkdir(exist_ok=True)
    for number in itertools.count(2):
        if not path.exists() or _asked(path, asked) == json.loads(json.dumps(asked)):
            break
        path = first.with_stem(f"{first.stem}-{number}")
    write_json(path, document)
    return path


def _assists(folder: RunFolder, agent: Agent) -> dict[str, list[str]]:
    """What made the game easier, in words: in this evaluation, and in training alone."""
    trained = folder.path / CHRONICLE
    told = json.loads(trained.read_text(encoding="utf-8")) if trained.is_file() else {}
    own = list(declared(agent.envs, ASSISTS, ()))
    before = [*told.get("assists", ()), *told.get("assists_in_training", ())]
    return {"evaluation": own, "training": [words for words in before if words not in own]}


def _asked(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    """What an evaluation that was written had been asked."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {key: document[key] for key in keys}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # of an older version, or somebody's own
