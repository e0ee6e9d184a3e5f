"""``hakisa retro state GAME``: play to a moment, by a script or at the keyboard, and keep it as a start state."""

from __future__ import annotations

import argparse
import sys

from hakisa_algos.cli.retro_keyboard import play_by_hand
from hakisa_algos.cli.text import bold, command
from hakisa_algos.errors import ConfigError
from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.find import find_game
from hakisa_envs.retro.key_script import pads_of
from hakisa_envs.retro.library import ENVS
from hakisa_envs.retro.pokemon.game import EDITIONS, Game
from hakisa_envs.retro.street_fighter.fight import Fight


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("game", metavar="GAME", help=f"one of {', '.join(ENVS)}")
    parser.add_argument("--name", required=True, help="what the state is to be called")
    parser.add_argument("--from", dest="begin", metavar="STATE", help="begin there and not at the console's start")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--keys",
        nargs="+",
        metavar="KEY",
        help="press these, one after the other: START; DOWN+RIGHT:20 holds for 20 frames, 120 waits (60 are 1 s)",
    )
    how.add_argument("--keyboard", action="store_true", help="play in this terminal, and write the state by W")


def record(chosen: argparse.Namespace) -> None:
    """Write the state to the user's folder, if a game begins from it.

    Raises:
        ConfigError: If the name is taken or none, a key is none of the pad's, or there is no terminal to play in.
        RetroError: If there is no such game, or nothing begins from the state.
    """
    files = find_game(chosen.game)
    if chosen.name in files.state_names():
        raise ConfigError(f"--name {chosen.name}: {chosen.game} has a state of that name; choose another one")
    if "/" in chosen.name or chosen.name.startswith(".") or chosen.name.endswith(".state"):
        raise ConfigError(f"--name {chosen.name} is not allowed: it is a name such as ken.round1, and no path")
    if chosen.keyboard and not sys.stdin.isatty():
        raise ConfigError("--keyboard needs a terminal to play in; without one give --keys")
    path = files.own_states / f"{chosen.name}.state"
    with Emulator(files) as emulator:
        if chosen.begin is not None:
            emulator.load(chosen.begin)
        if chosen.keyboard:
            if not play_by_hand(emulator):
                print("nothing is written")
                return
        else:
            try:
                pads = pads_of(chosen.keys, emulator.mask)
            except ValueError as error:
                raise ConfigError(f"--keys: {error}") from error
            emulator.play(pads, (), lambda numbers: False)
        path.parent.mkdir(parents=True, exist_ok=True)
        emulator.save(path)
    try:
        begins, option = _beginning(chosen.game, chosen.name)
    except BaseException:
        path.unlink()
        raise
    print(f"{bold(chosen.name)}: {begins}. Written to {path}")
    print(command("train", "ppo", "--env", ENVS[chosen.game], "--env-options", f"{option}={chosen.name}"))


def _beginning(name: str, state: str) -> tuple[str, str]:
    """What begins from a state, and the option by which its env is told to begin there."""
    if name in EDITIONS:
        game = Game(name, 24, None)
        try:
            place = game.begin(state, 0).place
            assert place is not None
            return f"the player stands on map {place.group}.{place.number} at {place.x}, {place.y}", "state"
        finally:
            game.close()
    fight = Fight(name, "round")
    try:
        frames = fight.begin(state, 0)
        return f"a fight against {fight.opponent} begins after {frames} frames", "states"
    finally:
        fight.close()
