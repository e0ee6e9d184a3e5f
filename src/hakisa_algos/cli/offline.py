"""What the commands that learn from recordings have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakisa_algos.cli.text import command
from hakisa_algos.training.signals import exit_status


@dataclass(frozen=True)
class OfflineArguments:
    """What each of them takes."""

    env: str | None = None
    """The env that it is to play in; default: the one that was played in."""
    env_options: tuple[str, ...] = ()
    """Keyword arguments of the env, as key=value."""
    seed: int = 0
    """Of everything random."""
    run: Path | None = None
    """Folder for everything that comes of it; default: a new one in runs/, named after what it is made of."""
    resume: Path | None = None
    """Instead of naming what to learn from: the run folder of one that was stopped, to go on with it."""
    device: str = "auto"
    """auto, cpu, cuda, ...; auto takes a GPU for pictures."""
    threads: int | None = None
    """Threads of torch. None: all cores for pictures, else one."""


def say_how_it_ended(trainer: Any, verb: str, folder: Path) -> int | None:
    """Says whether it was stopped or is done; the exit status if it was stopped."""
    if trainer.stopped_by:
        print(f"\nStopped by {trainer.stopped_by} at gradient step {trainer.step:,}, and saved.")
        print(f"  continue it   {command(verb, '--resume', folder)}", flush=True)
        return exit_status(trainer.stopped_by)
    print(f"\nDone after {trainer.step:,} gradient steps.")
    return None
