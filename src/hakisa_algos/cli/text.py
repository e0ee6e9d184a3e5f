"""Text for a terminal; plain where there is none."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def bold(text: str, stream: TextIO | None = None) -> str:
    """``text`` in bold, if ``stream`` (default stdout) shows it."""
    return _styled("1", text, stream)


def dim(text: str, stream: TextIO | None = None) -> str:
    """``text`` in the background."""
    return _styled("2", text, stream)


def green(text: str, stream: TextIO | None = None) -> str:
    """``text`` as good news."""
    return _styled("32", text, stream)


def red(text: str, stream: TextIO | None = None) -> str:
    """``text`` as bad news."""
    return _styled("31", text, stream)


def _styled(code: str, text: str, stream: TextIO | None) -> str:
    stream = stream or sys.stdout
    # https://no-color.org
    colourful = stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return f"\033[{code}m{text}\033[0m" if colourful else text
