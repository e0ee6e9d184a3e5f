"""How the game's window is, whatever finds it, and what is said where it cannot be told or is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hakisa_envs.screen.errors import WindowError
from hakisa_envs.screen.region import Region


@dataclass(frozen=True)
class WindowState:
    """A window as it is now.

    Attributes:
        window: Its X id.
        picture: That of the window in which the game is drawn: mostly the same, but for SDL 1.2 in fullscreen.
        region: Where that is, in pixels of the whole screen: the client area.
        obscured: Something covers part of it, or it is minimised.
        shown: False if it is minimised, hidden or not there yet, so that what can be grabbed is not the window.
        screen: Width and height of the whole screen, all monitors together.
        covers: The parts of its client area that lie under windows of other programs, in its own coordinates.
    """

    window: int
    picture: int
    region: Region
    obscured: bool
    shown: bool
    screen: tuple[int, int]
    covers: tuple[Region, ...] = ()


def fit(size: tuple[int, int], wanted: tuple[int, int] | None) -> tuple[bool, int]:
    """How well a window of the game's may be the one to play in: by the size that it is to have, then the largest."""
    return size == wanted, size[0] * size[1]


def several(where: str, pattern: str, titles: Sequence[str]) -> WindowError:
    """That more than one window has the title, and nothing says which is the game's."""
    return WindowError(
        f"{len(titles)} windows on {where} have a title with {pattern!r}: {list(titles)}. Close the others, or give a "
        "window.title that fits one of them."
    )


def gone(pattern: str) -> WindowError:
    """That the window was there, and is not any more."""
    return WindowError(
        f"The game's window is gone (title {pattern!r}): was it closed, or did the game crash? The next reset() starts "
        "it again."
    )
