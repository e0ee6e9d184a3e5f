"""``hakisa``: finds the verb, runs it, and words what went wrong.

Nothing heavy is imported before the verb is known.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import select
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
from hakisa_algos.training.signals import exit_status, interrupting

# Verb: module in this folder, what it does.
VERBS = {
    "train": ("train", "train an algorithm on an env"),
    "eval": ("evaluate", "measure a trained agent, film it"),
    "compare": ("compare", "compare algorithms over seeds, write a report"),
    "report": ("report", "a run as one page, or the stages of an agent side by side"),
    "resume": ("resume", "continue a run where it stopped"),
    "record": ("record", "record how you play a game"),
    "review": ("review", "look at a recording, leave parts of it out"),
    "study": ("study", "make an agent that plays as was recorded"),
    "consolidate": ("consolidate", "learn offline from recordings, a person's and the agent's own"),
    "explore": ("explore", "let an agent play, and record it"),
    "play": ("play", "watch an agent play, and let it go on learning"),
    "doctor": ("doctor", "show what is installed, and what is missing"),
    "demo": ("demo", "watch PPO learn a game in about five minutes"),
    "watch": ("watch", "show what an agent would see of a live game"),
    "probe": ("probe", "measure the latencies of a live game"),
    "retro": ("retro", "console games: list them, import ROMs, record start states"),
    "digits": ("digits", "gather pictures of a live game's digits"),
}
WITHOUT_TORCH = ("doctor", "watch", "probe", "retro", "digits")
EXAMPLES = (
    "hakisa train ppo --env CartPole-v1",
    "hakisa train ppo --env Hakisa/Pong-v0 --config.learning-rate 3e-4",
    "hakisa eval runs/ppo-CartPole-v1-0",
    "hakisa resume runs/ppo-CartPole-v1-0",
    "hakisa record lbreakout2",
    "hakisa watch flash --seconds 5",
    "hakisa compare --preset quick",
)
USER_ERROR = 2
STATUSES = (
    "Exit status: 0 done, 1 failed, 2 something to put right; stopped by Ctrl+C 130, SIGTERM 143, SIGHUP 129,\n"
    "or by | head, when that has read enough, 141.\n"
    "train, resume, play --learn and demo save first; a second Ctrl+C or SIGTERM ends them at once, without saving."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status, see :data:`STATUSES`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        with interrupting():
            status = _run(arguments)
            sys.stdout.flush()
            return status
    except KeyboardInterrupt as error:
        with contextlib.suppress(OSError):  # a terminal that was closed
            print("\ninterrupted", file=sys.stderr)
        return exit_status(str(error)) or 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return exit_status("SIGPIPE")
        status, text = _worded(error, arguments)
        if not status:
            raise
        print(red(f"hakisa: {text}", sys.stderr), file=sys.stderr)
        return status


def _nobody_reads() -> bool:
    """Whether who read what this prints has ended, as ``| head`` does; what is still to be said then goes nowhere."""
    if not hasattr(select, "poll"):  # Windows
        return False
    output = sys.stdout.fileno()
    asked = select.poll()
    asked.register(output, 0)
    gone = any(event & select.POLLERR for _, event in asked.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return gone


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
    verbs = "\n".join(f"  {bold(f'hakisa {verb:<12}')}{what}" for verb, (_, what) in VERBS.items())
    examples = "\n".join(f"  {dim(line)}" for line in EXAMPLES)
    more = f"hakisa VERB --help tells more.\n\n{STATUSES}"
    return f"{bold('hakisa')}: train agents on games\n\n{verbs}\n\n{examples}\n\n{more}"


def _worded(error: Exception, arguments: Sequence[str]) -> tuple[int, str]:
    """The exit status, and what to say about an error that a person can do something about; 0 for any other."""
    if isinstance(error, MissingExtraError):
        return USER_ERROR, f"this needs {error.name}, which is not installed. Install it with: {error}"
    if isinstance(error, ConfigError | CheckpointError | RunFolderError | VideoError):
        return USER_ERROR, str(error)
    if isinstance(error, NonFiniteError):
        return 1, str(error)
    from hakisa_envs.errors import MissingExtraError as MissingEnvExtraError
    from hakisa_envs.retro.errors import RetroError
    from hakisa_envs.screen.errors import ProfileError, ScreenError
    from hakisa_envs.vector import WorkerError

    if isinstance(error, WorkerError | PoolError):
        kept = " If the run has saved a checkpoint, hakisa resume goes on from it."
        return 1, f"{error}{kept if arguments[0] in ('train', 'resume') else ''}"
    own = isinstance(error, MissingEnvExtraError | RetroError | ScreenError | ProfileError)
    return USER_ERROR if own else 0, str(error)
