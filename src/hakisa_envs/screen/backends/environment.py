"""What a game on an X display is launched with."""

from __future__ import annotations

import os
from pathlib import Path

ELSEWHERE = (  # variables by which games open their window on the user's Wayland desktop, or nowhere
    "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "SDL_VIDEO_DRIVER", "GDK_BACKEND", "QT_QPA_PLATFORM", "CLUTTER_BACKEND"
)  # fmt: skip


def x11_environment(home: Path, display: str) -> dict[str, str]:
    """The user's own, but for what leads elsewhere, with a home of the game's own."""
    # X looks in HOME.
    inherited = {"XAUTHORITY": str(Path.home() / ".Xauthority"), **os.environ}
    inherited = {name: value for name, value in inherited.items() if name not in ELSEWHERE}
    return {**inherited, "HOME": str(home), "DISPLAY": display}
