"""What ``hakisa watch``, ``probe`` and ``record`` share: their options, the game, and who plays it. Needs no torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hakisa_algos.errors import ConfigError
from hakisa_envs.screen.backends.choice import BACKENDS, make_backend
from hakisa_envs.screen.backends.protocols import STARTED
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.game import GameProfile
from hakisa_envs.screen.profile import builtin_games, load_profile

Choose = Callable[[], NDArray[np.int64]]


def parser(verb: str, about: str, played: bool = False) -> argparse.ArgumentParser:
    """A parser with the options that all these verbs have; ``played``: by the person who calls it."""
    parser = argparse.ArgumentParser(f"hakisa {verb}", description=about, allow_abbrev=False)
    games = ", ".join(builtin_games())
    env = ", or the id of an env (Hakisa/Pong-v0)" if played else ""
    parser.add_argument("game", metavar="GAME", help=f"a game that ships ({games}) or the path of a TOML file{env}")
    default = "nested" if played else "xvfb"
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="how the game is seen and touched: x11 (the default on Linux), or portable, on your desktop only (the "
        "default elsewhere)",
    )
    parser.add_argument(
        "--display",
        help="xvfb (hidden), nested (in a window), current (your desktop) or an X display such as :1; "
        f"default: {default}, or current with the portable back end",
    )
    parser.set_defaults(own_display=default)
    parser.add_argument("--arm", action="store_true", help="really press, also on a display that was there before")
    parser.add_argument(
        "--untested-platform",
        action="store_true",
        help="with --arm: press on Windows and macOS too, where nobody has tried what a press hits",
    )
    if played:
        return parser
    parser.add_argument(
        "--policy",
        choices=("random", "none"),
        default="random",
        help="who plays: random actions (the default), or nobody",
    )
    return parser


def parse(options: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse, and see where the game is played if nobody says."""
    chosen = options.parse_args(list(arguments))
    backend = make_backend(chosen.backend)
    if chosen.display is None:  # a display of the game's own, where there is such a thing
        chosen.display = chosen.own_display if backend.default_display in STARTED else backend.default_display
    return chosen


def open_game(
    chosen: argparse.Namespace, change: Callable[[GameProfile], GameProfile] = lambda profile: profile, **options: Any
) -> ScreenGameEnv:
    """The env that the options ask for, its profile changed; nothing is started before its reset."""
    try:
        profile = change(load_profile(chosen.game))
        where = {"backend": chosen.backend, "display": chosen.display, "untested_platform": chosen.untested_platform}
        return ScreenGameEnv(profile, **where, armed=True if chosen.arm else None, **options)
    except ValueError as error:  # a ProfileError is one
        raise ConfigError(str(error)) from error


def player(policy: str, env: ScreenGameEnv) -> Choose:
    """What chooses the actions."""
    if policy == "random":
        env.action_space.seed(0)
        return env.action_space.sample
    commands = env.profile.actions.commands
    if "noop" not in commands:
        raise ConfigError(
            f'--policy none needs the command "noop", and the profile {env.profile.name!r} has only '
            f"{', '.join(commands)}; add it there, or leave --policy none out"
        )
    nothing = np.array([commands.index("noop"), 0, 0])
    return lambda: nothing


def where(env: ScreenGameEnv) -> str:
    """Where a game that runs is played, how fast, and whether anything is pressed."""
    session = env.session
    assert session is not None
    program = f", started from {session.program}" if session.program else ""
    dry = "; a dry run: nothing is pressed (--arm presses)" if session.dry else ""
    return f"{env.profile.name} on display {session.display.name} ({env.display}){program}, {env.rate:g} steps/s{dry}"
