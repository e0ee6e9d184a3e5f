"""``hakisa watch GAME --shot FILE``: a picture of any moment, and what the readers make of it. Needs no desktop."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hakisa_algos.cli.live import player, where
from hakisa_algos.cli.text import bold
from hakisa_algos.errors import ConfigError, require
from hakisa_envs.screen.backends.protocols import STARTED
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.game import GameProfile, Step
from hakisa_envs.screen.input.keys import check_chord

PAUSE_S = 0.3  # after each key: games take a moment to show what it did
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a shot."""
    parser.add_argument("--shot", type=Path, metavar="FILE.png", help="save one picture of the window instead, and end")
    parser.add_argument("--after", type=float, metavar="SECONDS", help="with --shot: play for so long first")
    parser.add_argument(
        "--keys",
        nargs="+",
        metavar="KEY",
        help="with --shot: first press these, one after the other; Control_L+s is a chord, 2.0 a wait of so many "
        "seconds, 400,300 a click there",
    )


def check(chosen: argparse.Namespace) -> None:
    """Refuse options that do not go together.

    Raises:
        ConfigError: If they do not.
    """
    if chosen.shot is None:
        if chosen.after is not None or chosen.keys:
            raise ConfigError("--after and --keys say when to take a picture: they need --shot FILE.png")
        return
    if chosen.shot.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--shot {chosen.shot} is not allowed: it must end in {', '.join(SUFFIXES)}")
    if chosen.out is not None:
        raise ConfigError("--shot takes a picture and --out a film: leave one of them out")
    if chosen.keys and chosen.display not in STARTED and not chosen.arm:
        raise ConfigError(f"--keys presses nothing on {chosen.display}, which was there before: add --arm, if it may")
    if chosen.after is not None and not 0 < chosen.after <= 86_400:
        raise ConfigError(f"--after {chosen.after:g} is not allowed: it must be more than 0, and a day at most")


def with_keys(profile: GameProfile, words: Sequence[str]) -> GameProfile:
    """The profile whose reset script ends with these keys, waits and clicks.

    Raises:
        ConfigError: If one of the keys is none, or must not be pressed.
    """
    steps = tuple(_steps(words))
    for step in steps:
        try:
            check_chord(step.keys)
        except InputError as error:
            raise ConfigError(f"--keys {step.key}: {error}") from error
    return replace(profile, reset=(*profile.reset, *steps))


def take(env: ScreenGameEnv, chosen: argparse.Namespace) -> None:
    """Bring the game to the moment that was asked for, save the picture, and say what is read there."""
    cv2 = require("cv2", "screen")
    choose = player(chosen.policy, env) if chosen.after else None
    env.reset()
    print(bold(where(env)), flush=True)
    for _ in range(round((chosen.after or 0.0) * env.rate)):
        assert choose is not None
        _, _, terminated, truncated, _ = env.step(choose())
        if terminated or truncated:
            env.reset()
    picture = env.render()
    assert picture is not None
    chosen.shot.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(chosen.shot), picture[..., ::-1]):
        raise ConfigError(f"--shot {chosen.shot} could not be written")
    print(f"written to {chosen.shot}, {picture.shape[1]} x {picture.shape[0]}")
    for name, (value, words) in env.explain().items():
        shown = "no reading" if value is None else f"{value:g}"
        print(f"  {name}: {shown}{f'; {words}' if words else ''}")


def _steps(words: Sequence[str]) -> Iterator[Step]:
    for word in words:
        if re.fullmatch(r"\d+,\d+", word):
            x, y = map(int, word.split(","))
            yield Step(do="click", place=(x, y))
        elif len(word) > 1 and re.fullmatch(r"\d*\.?\d+", word):
            yield Step(do="wait", seconds=float(word))
            continue
        else:
            yield Step(do="press", key=word)
        yield Step(do="wait", seconds=PAUSE_S)
