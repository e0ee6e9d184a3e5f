"""``hakisa record GAME``: a person plays, and what an agent would see is kept, with what the person did."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hakisa_algos.cli.live import open_game, parse, parser, where
from hakisa_algos.cli.options import key_values
from hakisa_algos.cli.text import bold, command, red
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.run_folder import free_path
from hakisa_envs.screen.env import ScreenGameEnv

ABOUT = (
    "You play, and everything that an agent would see of the game is recorded, with your keys and mouse; nothing else "
    "is, and only while the game has the focus. Ctrl+Shift+F9 pauses and goes on, Ctrl+Shift+F10 marks the episode as "
    "bad, and Ctrl+C here or Ctrl+Shift+F12 on the game's display ends, whether --arm is given or not. The folder is "
    "readable by you alone."
)


def run(arguments: Sequence[str]) -> int:
    """Records, from the command line."""
    options = parser("record", ABOUT, played=True)
    options.add_argument("--to", type=Path, help="a new folder; default: below ~/.local/share/hakisa/recordings")
    options.add_argument("--minutes", type=float, help="stop after so many")
    options.add_argument("--episodes", type=int, help="stop after so many")
    options.add_argument("--keep", action="append", default=[], metavar="L,T,W,H",
                         help="keep this part of the window in full resolution; may be given again")  # fmt: skip
    options.add_argument("--video", action="store_true", help="film the whole window as well, as video.mp4")
    options.add_argument("--rate", type=float, help="steps per second, instead of the game's own")
    options.add_argument("--env-options", nargs="+", default=[], metavar="KEY=VALUE", help="of an env: frame_size=42")
    options.add_argument("--keys", nargs="+", default=[], metavar="KEYS=ACTION",
                         help="of an env, where its actions have no names: none=0 left=1 left+space=2")  # fmt: skip
    options.add_argument("--seed", type=int, help="of an env's first episode")
    chosen = parse(options, arguments)
    if chosen.minutes is not None and not chosen.minutes > 0:
        raise ConfigError(f"--minutes {chosen.minutes:g} must be more than 0")
    if chosen.episodes is not None and chosen.episodes < 1:
        raise ConfigError(f"--episodes {chosen.episodes} must be at least 1")
    if _is_env(chosen.game):
        return _record_env(chosen)
    from hakisa_algos.stages.record import record

    env = open_game(chosen, rate=chosen.rate)
    _refuse_input_method(env)
    folder = chosen.to or free_path(recordings() / f"{env.profile.name}-{time.strftime('%Y-%m-%d')}")
    where_later = {"backend": chosen.backend, "display": env.backend.default_display}
    given = {"game": _game(chosen.game), **where_later, "rate": chosen.rate}
    told: list[str] = []

    def say(text: str) -> None:
        if not told:
            print(f"{red('●', sys.stdout)} {bold('recording')} {where(env)}\n  into {folder}", flush=True)
        told.append(text)
        print(f"  {text}", flush=True)

    try:
        summary = record(
            env,
            folder,
            env_options={name: value for name, value in given.items() if value is not None},
            keep=chosen.keep,
            video=chosen.video,
            seconds=None if chosen.minutes is None else 60 * chosen.minutes,
            episodes=chosen.episodes,
            say=say,
        )
    finally:
        env.close()
    if not summary.rows:
        return say_nothing_recorded(summary.why)
    print(f"\nRecorded {summary.rows:,} rows of {summary.episodes} episodes ({summary.why or 'enough episodes'}).")
    print(
        f"  {summary.missed} deadlines were missed; in {summary.gaps} rows it was paused or the game had not the focus"
    )
    if summary.repeated:
        print(f"  {summary.repeated} frames of the film are repeated, as there was no time for others")
    for kind, count in sorted(summary.unsaid.items()):
        if count:
            print(f"  {count} x {kind}: what one command cannot say")
    _say_next(folder)
    return 0


def say_nothing_recorded(why: str = "") -> int:
    """Why there is no folder; the exit status."""
    told = f" ({why})" if why else ""
    print(f"\nNothing was recorded, and no folder is left: it ended before the first row{told}.", file=sys.stderr)
    return 1


def _say_next(folder: Path) -> None:
    print(f"  look at it    {command('review', folder)}\n  learn from it {command('study', folder, '--for', 'ppo')}")


def _is_env(game: str) -> bool:
    """Whether an env is meant, and not a live game's profile."""
    if game.endswith(".toml"):
        return False
    import gymnasium as gym

    import hakisa_envs  # noqa: F401 (it registers)

    return game.partition(":")[0] in gym.registry or ":" in game


def _record_env(chosen: argparse.Namespace) -> int:
    """In a window of our own."""
    import gymnasium as gym

    from hakisa_algos.stages.record_env import KeyMap, record_env

    given = key_values(chosen.env_options)
    env = gym.make(chosen.game, render_mode="rgb_array", disable_env_checker=True, **given)
    try:
        said = key_values(chosen.keys, "--keys")
        keys = KeyMap.parse(said, env.action_space) if said else KeyMap.of(env)
        name = chosen.game.rpartition("/")[2]
        folder = chosen.to or free_path(recordings() / f"{name}-{time.strftime('%Y-%m-%d')}")
        print(f"{red('●', sys.stdout)} {bold('recording')} {chosen.game} into {folder}")
        print(f"  keys: {', '.join(sorted(keys.keys))}")
        print("  F9 pauses and goes on, F10 marks the episode as bad; close the window to end", flush=True)
        rows = record_env(
            env,
            folder,
            facts={"name": name, "env": chosen.game, "env_options": given},
            keys=keys,
            rate=chosen.rate or env.metadata.get("render_fps") or 30.0,
            seed=chosen.seed,
            seconds=None if chosen.minutes is None else 60 * chosen.minutes,
            episodes=chosen.episodes,
            say=lambda text: print(f"  {text}", flush=True),
        )
    finally:
        env.close()
    if not rows:
        return say_nothing_recorded()
    print(f"\nRecorded {rows:,} rows.")
    _say_next(folder)
    return 0


def recordings() -> Path:
    """Where recordings go unless somebody says otherwise: outside of any project."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "hakisa" / "recordings"


def _game(game: str) -> str:
    return str(Path(game).absolute()) if game.endswith(".toml") else game


def _refuse_input_method(env: ScreenGameEnv) -> None:
    name = env.backend.swallows_keys(env.display)
    if name:
        raise ConfigError(
            f"the input method {name!r} runs on your desktop and may swallow or change keys before the game sees them: "
            "record with --display nested, where there is none, or end it first"
        )
