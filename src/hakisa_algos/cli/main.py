"""``hakisa``: finds the verb, runs it, and words what went wrong.

Nothing heavy is imported before the verb is known.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

from hakisa_algos.cli.text import bold, dim, red
from hakisa_algos.errors import (
    CheckpointError,
    ConfigError,
    MissingExtraError,
    NonFiniteError,
    PoolError,
    RunFolderError,
    VideoError,
    did_you_mean,
    require,
)

# Verb: module in this folder, what it does.
VERBS = {
    "train": ("train", "train an algorithm on an env"),
    "eval": ("evaluate", "measure a trained agent, film it"),
    "compare": ("compare", "compare algorithms over seeds, write a report"),
    "resume": ("resume", "continue a run where it stopped"),
    "doctor": ("doctor", "show what is installed and how fast this machine is"),
    "demo": ("demo", "watch PPO learn Pong in about five minutes"),
    "watch": ("watch", "show what an agent would see of a live game"),
    "probe": ("probe", "measure the latencies of a live game"),
}
WITHOUT_TORCH = ("doctor", "watch", "probe")
EXAMPLES = (
    "hakisa train ppo --env CartPole-v1",
    "hakisa train ppo --env Hakisa/Pong-v0 --config.learning-rate 3e-4",
    "hakisa eval runs/ppo-CartPole-v1-0",
    "hakisa resume runs/ppo-CartPole-v1-0",
    "hakisa watch flash --seconds 5",
    "hakisa compare --preset quick",
)
USER_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: as typed, without the program's name; default: the process's.

    Returns:
        The exit status: 0, or 2 for something that the user can put right, or what the verb says.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (ConfigError, CheckpointError, RunFolderError, VideoError) as error:
        return _refuse(str(error))
    except (NonFiniteError, PoolError) as error:
        _refuse(str(error))
        return 1
    except ImportError as error:
        wording = _missing_extra(error)
        if wording is None:
            raise
        return _refuse(wording)
    except (RuntimeError, ValueError) as error:
        if _of_a_live_game(error):
            return _refuse(str(error))
        if not _of_a_process(error):
            raise
        kept = " If the run has saved a checkpoint, hakisa resume goes on from it."
        _refuse(f"{error}{kept if arguments[0] in ('train', 'resume') else ''}")
        return 1


def _run(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help", "help"):
        print(_help())
        return 0
    if verb == "--version":
        from importlib.metadata import version

        print(f"hakisa {version('hakisa')}")
        return 0
    if verb not in VERBS:
        raise ConfigError(f"hakisa has no verb {verb!r}.{did_you_mean(verb, VERBS)} See hakisa --help")
    module, _ = VERBS[verb]
    if verb not in WITHOUT_TORCH:
        require("torch", "algos")
        require("tyro", "algos")
    status: int = importlib.import_module(f"hakisa_algos.cli.{module}").run(arguments[1:])
    return status


def _help() -> str:
    verbs = "\n".join(f"  {bold(f'hakisa {verb:<8}')}{what}" for verb, (_, what) in VERBS.items())
    examples = "\n".join(f"  {dim(line)}" for line in EXAMPLES)
    return f"{bold('hakisa')}: train agents on games\n\n{verbs}\n\n{examples}\n\nhakisa VERB --help tells more."


def _missing_extra(error: ImportError) -> str | None:
    """What to say about a package that is not installed; None for an import that failed otherwise."""
    if isinstance(error, MissingExtraError):
        return f"this needs {error.name}, which is not installed. Install it with: {error}"
    from hakisa_envs.errors import MissingExtraError as MissingEnvExtraError

    return str(error) if isinstance(error, MissingEnvExtraError) else None


def _of_a_live_game(error: Exception) -> bool:
    """Whether ``error`` says what was wrong with a game, its profile or its display, and what to do."""
    from hakisa_envs.screen.errors import ProfileError, ScreenError

    return isinstance(error, ScreenError | ProfileError)


def _of_a_process(error: Exception) -> bool:
    """Whether ``error`` says that the processes of the envs died or hung too often."""
    from hakisa_envs.vector import WorkerError

    return isinstance(error, WorkerError)


def _refuse(message: str) -> int:
    print(red(f"hakisa: {message}", sys.stderr), file=sys.stderr)
    return USER_ERROR
