"""Keys that a run left down on a display: who holds them, and letting go of them."""

from __future__ import annotations

import os

from hakisa_algos.cli.text import bold, red
from hakisa_algos.errors import ConfigError

_TIMEOUT_S = 3.0


def held(display: str) -> str:
    """What programs hold down on a display, and which run it is, or that it was one which was killed."""
    from hakisa_envs.screen.display import check_display
    from hakisa_envs.screen.input.stuck import held_by_programs, input_servers
    from hakisa_envs.screen.xthread import XThread

    check_display(display, _TIMEOUT_S)
    thread = XThread(display)
    try:
        names = ", ".join(contact.name for contact in thread.call(lambda: held_by_programs(display), _TIMEOUT_S))
    finally:
        thread.close()
    if not names:
        return "no program holds any down"
    if running := input_servers(display):
        return f"{names} held down while a run plays there (process {', '.join(map(str, running))})"
    line = bold(f"hakisa doctor --release {display}")
    return red(f"{names} held down by a program, and no run plays there: was one killed? Let go of them: ") + line


def release(display: str) -> str:
    """Let go of what programs hold down on a display, unless a run is at work there; say what was done.

    Raises:
        ConfigError: If there are no X displays on this system, none is named, or a run is at work there.
        ScreenError: If the display cannot be opened.
    """
    from hakisa_envs.screen.backends.choice import make_backend

    if make_backend(None).name != "x11":
        raise ConfigError(
            "--release asks an X server which keys a program holds; here press each key that hangs once, or start "
            "another run, which lets go of those that it has itself"
        )
    from hakisa_envs.screen.display import check_display
    from hakisa_envs.screen.input.stuck import held_by_programs, input_servers, let_go
    from hakisa_envs.screen.xthread import XThread

    display = display or os.environ.get("DISPLAY", "")
    if not display:
        raise ConfigError("--release needs a display, since DISPLAY is not set: hakisa doctor --release :1")
    check_display(display, _TIMEOUT_S)
    if running := input_servers(display):
        raise ConfigError(f"a run plays on {display} (process {', '.join(map(str, running))}): end that first")
    thread = XThread(display)
    try:
        held = thread.call(lambda: held_by_programs(display), _TIMEOUT_S)
        thread.call(lambda: let_go(display, held), _TIMEOUT_S)
    finally:
        thread.close()
    return f"{display}: let go of {', '.join(contact.name for contact in held) or 'nothing: no program holds any down'}"
