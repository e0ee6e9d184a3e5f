"""``hakisa retro list | import | state | replay``: console games, ROMs, start states, movies. Needs no torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from hakisa_algos.cli import retro_state
from hakisa_algos.cli.text import bold, green, red
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.video import VideoWriter
from hakisa_envs.errors import MissingExtraError
from hakisa_envs.retro.errors import RetroError
from hakisa_envs.retro.find import find_game
from hakisa_envs.retro.game_files import check_rom
from hakisa_envs.retro.library import ENVS, import_rom
from hakisa_envs.retro.movie import FRAMES_A_SECOND, replay


def run(arguments: Sequence[str]) -> int:
    """Runs one of the verbs."""
    parser = argparse.ArgumentParser("hakisa retro", description="Console games: ROMs, start states, movies.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list | import | state | replay")
    verbs.add_parser("list", help="which games there are, with their ROMs and start states")
    importing = verbs.add_parser("import", help="copy ROMs of yours to where envs find them")
    importing.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a ROM, or a zip with some")
    retro_state.options(verbs.add_parser("state", help="record a start state"))
    replaying = verbs.add_parser("replay", help="play a movie again, exactly, and make a film of it")
    replaying.add_argument("movie", type=Path, metavar="FILE.bk2", help="from an env with the option movies")
    replaying.add_argument("--out", type=Path, required=True, metavar="FILE.mp4", help="the film")
    chosen = parser.parse_args(list(arguments))
    match chosen.verb:
        case "list":
            for game in ENVS:
                print(bold(game))
                for name, text in game_lines(game):
                    print(f"  {name:<9}{text}")
        case "import":
            _import(chosen.files)
        case "state":
            retro_state.record(chosen)
        case "replay":
            with VideoWriter(chosen.out, FRAMES_A_SECOND) as video:
                for picture in replay(chosen.movie):
                    video.add(picture)
            print(f"written to {chosen.out}")
    return 0


def game_lines(game: str, brief: bool = False) -> Iterator[tuple[str, str]]:
    """Lines (name, text) on a game: its env, ROM, sha1 and states; what is missing comes with what mends it.

    With ``brief`` the states that come with the game are only counted.
    """
    yield "env", ENVS[game]
    try:
        files = find_game(game)
        check_rom(files)
    except (RetroError, MissingExtraError) as error:
        yield "ROM", red(f"missing. {error}")
        return
    yield "ROM", f"{green('found')} {files.rom}"
    yield "sha1", files.rom_sha1
    own = sorted(path.stem for path in files.own_states.glob("*.state"))
    names = [name for name in files.state_names() if name not in own]
    yield "states", f"{len(names)} come with it" if brief else ", ".join(names)
    if own:
        yield "yours", ", ".join(own)


def _import(files: Sequence[Path]) -> None:
    wrong = []
    for file in files:
        try:
            for rom in import_rom(file):
                print(f"{green('imported')} {rom.game} (sha1 {rom.sha1}) to {rom.path}; play it as {ENVS[rom.game]}")
        except RetroError as error:  # the other files are none the worse for it
            wrong.append(str(error))
    if wrong:
        raise ConfigError("\n".join(wrong))
