"""Text for a terminal; plain where there is none."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from typing import TextIO


def colourful(stream: TextIO) -> bool:
    """Whether it is a terminal that shows colours (https://no-color.org)."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _styled(code: str, text: str, stream: TextIO | None = None) -> str:
    return f"\033[{code}m{text}\033[0m" if colourful(stream or sys.stdout) else text


# Each takes a text, and the stream that is to show it (default: standard output).
bold = functools.partial(_styled, "1")
dim = functools.partial(_styled, "2")
green = functools.partial(_styled, "32")  # good news
red = functools.partial(_styled, "31")  # bad news


def command(verb: str, *words: object) -> str:
    """``hakisa VERB WORDS``, to be printed and pasted into a shell."""
    return bold(shlex.join(["hakisa", verb, *map(str, words)]))
