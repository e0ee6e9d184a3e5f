"""The errors of the trainers, and the two helpers that word them.

Every message names the value that was found, the rule that it breaks, and what to do about it.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any


class ConfigError(ValueError):
    """An option, a space or an argument that cannot work."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written or read."""


class RunFolderError(RuntimeError):
    """A run folder, or a file in it, that is in the way, missing or damaged."""


class NonFiniteError(RuntimeError):
    """A loss, gradient, observation or reward that is NaN or infinite.

    Args:
        message: what became NaN, and what to look at.
        arrays: the data it happened with, by name; they go into the crash file.
    """

    def __init__(self, message: str, arrays: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.arrays = dict(arrays or {})


class ObservationError(NonFiniteError):
    """An env showed or paid NaN or infinity, of which nothing was stored or learned from."""


class PoolError(RuntimeError):
    """Work that no worker process could finish."""


class Stopped(Exception):
    """What was under way was told to stop, and has come to no end."""


class VideoError(RuntimeError):
    """ffmpeg could not be started, or gave up; the message ends with what it said."""


class MissingExtraError(ImportError):
    """An optional package is not installed; the message is the exact line that installs it."""


def require(module: str, extra: str) -> Any:
    """Import an optional module where it is used; ``extra`` of the distribution ``hakisa`` brings it.

    Raises:
        MissingExtraError: the package is not installed; ``str(error)`` is the install line and nothing else.
        ImportError: the package is there but broken (its own error, unchanged: installing would not help).
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(f'pip install "hakisa[{extra}]"', name=package) from error


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The end of an error message about an unknown name, which can follow a sentence directly.

    ``" Did you mean 'ppo'?"`` when a choice is close, else ``" Choices: 'a2c', 'ppo'."``, or ``""`` without choices.
    """
    known = sorted(set(choices))
    folded = {choice.casefold(): choice for choice in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {folded[close[0]]!r}?"
    return f" Choices: {', '.join(map(repr, known))}." if known else ""
