"""``hakisa digits GAME.toml READING``: gathers the pictures of a reading's digits from play. Needs no torch."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hakisa_algos.cli.live import open_game, parse, parser, player, where
from hakisa_algos.cli.text import bold
from hakisa_algos.errors import ConfigError, did_you_mean
from hakisa_envs.screen.colours import Mask
from hakisa_envs.screen.digits import Digits, load_digits, save_digits
from hakisa_envs.screen.env import ScreenGameEnv

QUESTION = "What does it read? The whole number; Enter skips it, q ends: "


def run(arguments: Sequence[str]) -> int:
    """Plays, asks what each new picture reads, and writes its digits to the file that the profile names."""
    options = parser("digits", "Cut the pictures of digits out of a game that is played, asking what they read.")
    options.add_argument("reading", metavar="READING", help="the name of a reading of the kind digits")
    options.add_argument("--seconds", type=float, default=60.0, help="how long to play at most (default 60)")
    chosen = parse(options, arguments)
    if not 0 < chosen.seconds <= 86_400:
        raise ConfigError(f"--seconds {chosen.seconds:g} is not allowed: it must be more than 0, and a day at most")
    _begin_file(Path(chosen.game), chosen.reading)
    env = open_game(chosen, render_mode="rgb_array")
    try:
        gatherer = Gatherer(_reader(env, chosen.reading))
        choose = player(chosen.policy, env)
        env.reset()
        print(bold(where(env)), flush=True)
        for _ in range(max(1, round(chosen.seconds * env.rate))):
            if gatherer.is_new(pixels := _pixels(env)):
                env.pause()  # the game waits for the answer
                if not gatherer.ask(pixels):
                    break
                env.resume()
            if not gatherer.reader.missing:
                break
            _, _, terminated, truncated, _ = env.step(choose())
            if terminated or truncated:
                env.reset()
        print(gatherer.summary(_pixels(env)))
    finally:
        env.close()
    return 0


class Gatherer:
    """Asks about pictures that hold unknown digits, and keeps these.

    Attributes:
        reader: The reader, with the digits that are known by now.
    """

    def __init__(self, reader: Digits) -> None:
        self.reader = reader
        self._seen: set[bytes] = set()

    def is_new(self, pixels: NDArray[np.uint8]) -> bool:
        """Whether there is something that fits no digit, and that was not asked about before."""
        unknown = self.reader.unknown(pixels)
        new = bool(unknown) and not {cell.tobytes() for _, cell, _ in unknown} <= self._seen
        self._seen |= {cell.tobytes() for _, cell, _ in unknown}
        return new

    def ask(self, pixels: NDArray[np.uint8]) -> bool:
        """Show the number, ask for it, and keep its new digits; False if there is no more answer."""
        cells = self.reader.cells(pixels)
        in_order = cells[::-1] if self.reader.align == "right" else cells
        print(*_drawn(in_order), self.reader.explain(pixels), sep="\n", flush=True)
        while True:
            try:
                answer = input(QUESTION).strip()
            except EOFError:
                return False
            if answer in ("", "q"):
                return answer == ""
            if answer.isascii() and answer.isdecimal() and len(answer) == len(cells):
                break
            print(f"{answer!r} is not {len(cells)} digits, of which there is a picture each; Enter skips it")
        known = load_digits(self.reader.digits)
        for letter, cell in zip(answer, in_order, strict=True):
            fitting = known.setdefault(int(letter), self._dots(cell))
            differ = int((self._dots(cell) != fitting).sum())
            if differ >= self.reader.different:
                print(
                    f"{letter} was kept before, and this one differs in {differ} dots (different = "
                    f"{self.reader.different}): narrow low and high so that only the digits' own pixels count"
                )
        save_digits(self.reader.digits, known)
        try:
            self.reader = replace(self.reader)  # reads the file again
        except ValueError as error:  # two that are alike
            raise ConfigError(f"{error}: one of the answers was wrong. Correct the file.") from error
        return True

    def summary(self, pixels: NDArray[np.uint8]) -> str:
        """What is known and what is missing."""
        missing = ", ".join(map(str, self.reader.missing))
        if not missing:
            return f"{self.reader.digits} holds all ten digits"
        seen = "" if self._seen else f" Nothing new was seen: {self.reader.explain(pixels)}."
        return f"{self.reader.digits} lacks {missing}: play on until they appear.{seen}"

    def _dots(self, cell: Mask) -> Mask:
        """A cell, one dot of the file for every `scale` pixels."""
        scale = self.reader.scale
        rows, columns = (((np.arange(round(side / scale)) + 0.5) * scale).astype(int) for side in cell.shape)
        dots: Mask = cell[rows][:, columns]
        return dots


def _drawn(cells: Sequence[Mask]) -> list[str]:
    gap = np.zeros((cells[0].shape[0], 1), np.bool_)
    rows = np.concatenate([part for cell in cells for part in (cell, gap)], axis=1)
    return ["", *("  " + "".join(" #"[int(dot)] for dot in row) for row in rows), ""]


def _begin_file(game: Path, name: str) -> None:
    """Make an empty file of digits where the profile names one that is not there yet."""
    if game.suffix != ".toml":
        raise ConfigError(f"{game} is no file: digits are written beside a profile of your own, GAME.toml")
    try:
        readings = tomllib.loads(game.read_text(encoding="utf-8-sig")).get("reading", {})
        file = game.parent / readings[name]["digits"]
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return  # the env will say it better
    if not file.exists():
        file.write_text("", encoding="utf-8")
        print(f"{file} is begun")


def _reader(env: ScreenGameEnv, name: str) -> Digits:
    readers = {reading.name: reading.reader for reading in env.profile.readings}
    reader = readers.get(name)
    if not isinstance(reader, Digits):
        fitting = [known for known, reader in readers.items() if isinstance(reader, Digits)]
        near = did_you_mean(name, fitting)
        raise ConfigError(
            f"{name!r} is no reading of the kind digits in {env.profile.name!r}, which has "
            f"{', '.join(fitting) or 'none'}.{near}"
        )
    return reader


def _pixels(env: ScreenGameEnv) -> NDArray[np.uint8]:
    """The window as readers get it: BGRA."""
    picture = env.render()
    assert picture is not None
    return np.dstack([picture[..., ::-1], np.zeros(picture.shape[:2], np.uint8)])
