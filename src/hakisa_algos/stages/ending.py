"""How a person ends what an agent does before somebody's eyes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def ended_by_a_person(say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Ctrl+C, and a live game's kill chord, are how this ends; other signals and errors go on.

    Args:
        say: is told which of them it was.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if str(error) not in ("", "SIGINT"):
            raise
        say("ended by Ctrl+C")
    except Exception as error:
        if not getattr(error, "stop_training", False):
            raise
        say(f"ended: {error}")
