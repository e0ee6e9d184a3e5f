"""Which back end is used."""

from __future__ import annotations

import sys

from hakisa_envs.errors import checked_choice
from hakisa_envs.screen.backends.protocols import Backend

BACKENDS = ("x11", "portable")


def make_backend(name: str | None) -> Backend:
    """The back end of this name; None: the one for this operating system.

    Raises:
        ValueError: If there is none of this name, or not here.
    """
    checked_choice("backend", name, (None, *BACKENDS))
    linux = sys.platform.startswith("linux")
    if name == "x11" and not linux:
        raise ValueError(f"backend='x11' needs Linux, and this is {sys.platform}: use backend='portable'.")
    if name == "portable" or not linux:
        from hakisa_envs.screen.backends.portable.backend import PortableBackend

        return PortableBackend()
    from hakisa_envs.screen.backends.x11 import X11Backend  # it rests on Linux

    return X11Backend()
