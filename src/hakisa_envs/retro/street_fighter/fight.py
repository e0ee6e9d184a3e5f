"""A fight in the emulator: from the start of an episode to its end, without what lies between the rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hakisa_envs.retro.emulator import Emulator, OnFrame
from hakisa_envs.retro.errors import StateError
from hakisa_envs.retro.find import find_game
from hakisa_envs.retro.movie import begin_movie
from hakisa_envs.retro.remote import RemoteEmulator, open_emulator
from hakisa_envs.retro.street_fighter.memory import VARIABLES, Frame
from hakisa_envs.retro.street_fighter.opponents import opponent_name
from hakisa_envs.retro.street_fighter.rules import (
    DRAW,
    LOSS,
    WIN,
    Meaning,
    Standing,
    implausible,
    is_over,
    meaning,
    round_outcome,
)

Episode = Literal["round", "match", "game"]
PAD = ("B", "A", "MODE", "START", "UP", "DOWN", "LEFT", "RIGHT", "C", "Y", "X", "Z")
LONGEST_TRANSITION = 3600  # frames without a fight, after which the game is taken to be over


def _is_over(numbers: tuple[int, ...]) -> bool:
    return is_over(Frame(*numbers))


def _is_settled(numbers: tuple[int, ...]) -> bool:
    return meaning(Frame(*numbers)) in (Meaning.FIGHTING, Meaning.CONTINUE)


@dataclass(frozen=True)
class Turn:
    """What came of some pads.

    Attributes:
        before: The frame before them, of the same round.
        after: The last frame that they were played in.
        frames: How many those were: a round that ends cuts them short.
        round_outcome: Of the round, if it ended.
    """

    before: Frame
    after: Frame
    frames: int
    round_outcome: str | None


class Fight:
    """Plays the agent's pads. It opens its emulator at the first `begin`.

    Args:
        game: As stable-retro names it.
        episode: When it is over: see `StreetFighter2Env`.
        movies: The folder for a movie of each episode; None makes none.

    Attributes:
        frame: The frame that the next decision is made from; None where no episode runs.
        standing: Of the match.
        on_frame: Gets the picture of each frame that is played, if it is set before the first `begin`.
    """

    def __init__(self, game: str, episode: Episode, movies: Path | None = None) -> None:
        self.game = game
        self._movies = movies
        self.episode = episode
        self.frame: Frame | None = None
        self.standing = Standing()
        self.on_frame: OnFrame | None = None
        self._emulator: Emulator | RemoteEmulator | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is an emulator."""
        return self._emulator is not None

    def begin(self, state: str, wait: int) -> int:
        """Start from a state, and let ``wait`` frames of the fight pass.

        Returns:
            Frames until there was a fight.

        Raises:
            RomError: If the game's ROM is missing or another one.
            StateError: If the state is missing, broken or of another game.
        """
        self.frame = None
        emulator = self._alive()
        emulator.load(state)
        if self._movies is not None:
            begin_movie(emulator, self._movies, state)
        seen = self._to_fight()
        why, frame = implausible(seen[0]), seen[-1]
        if why is None and meaning(frame) is not Meaning.FIGHTING:
            why = f"no fight begins within {LONGEST_TRANSITION} frames"
        if why is None and wait:
            frame = Frame(*emulator.play(np.zeros((wait, len(PAD)), np.uint8), VARIABLES, _is_over)[-1])
            why = f"a round is over {wait} frames after it" if is_over(frame) else None
        if why is not None:
            raise StateError(
                f"{state!r} is no start state of {self.game}: {why}. Record the beginning of a round with\n"
                f"    hakisa retro state {self.game} --name NAME --keyboard"
            )
        self.frame, self.standing = frame, Standing.at_start_of_round(frame)
        return len(seen)

    def play(self, pads: NDArray[np.uint8]) -> Turn:
        """Play a pad a frame, uint8 ``[frames, 12]``, to the end of the round at most."""
        assert self.frame is not None
        before = self.frame
        seen = [Frame(*numbers) for numbers in self.open().play(pads, VARIABLES, _is_over)]
        self.frame, outcome = seen[-1], None
        if is_over(self.frame):
            outcome = round_outcome(seen[-2] if len(seen) > 1 else before, self.frame)
            self.standing = self.standing.after(outcome)
        return Turn(before, self.frame, len(seen), outcome)

    def go_on(self) -> bool:
        """After a round: skip to the next fight of the episode. False if there is none, and the episode is over."""
        decided = self.standing.is_decided
        if self.episode == "round" or (decided and (self.episode == "match" or self.standing.outcome != WIN)):
            self.open().end_movie()
            return False
        frame = self._to_fight()[-1]
        if meaning(frame) is not Meaning.FIGHTING:
            self.open().end_movie()
            return False
        rounds = 0 if decided else self.standing.won + self.standing.lost + self.standing.drawn
        self.frame, self.standing = frame, Standing.at_start_of_round(frame, rounds)
        return True

    def outcome(self, turn: Turn) -> str:
        """How the episode ended with this turn, or how it stands."""
        if self.episode == "round":
            lead = turn.after.health - turn.after.enemy_health
            return turn.round_outcome or (WIN if lead > 0 else LOSS if lead < 0 else DRAW)
        return self.standing.outcome

    @property
    def opponent(self) -> str:
        """Whom the episode is fought against."""
        assert self.frame is not None
        return opponent_name(self.game, self.frame.enemy_character)

    def picture(self) -> NDArray[np.uint8]:
        """What the last frame showed: uint8 RGB ``[height, width, 3]``."""
        return self.open().picture()

    def open(self) -> Emulator | RemoteEmulator:
        """The emulator, opened if it is not yet."""
        if self._emulator is None:
            self._emulator = open_emulator(find_game(self.game), self.on_frame)
        return self._emulator

    def close(self) -> None:
        """Close the emulator; twice is silent."""
        if self._emulator is not None:
            self._emulator.close()
        self._emulator = self.frame = None

    def get_state(self) -> dict[str, Any]:
        """All that later turns depend on."""
        return {
            "game": self.game,
            "emulator": None if self._emulator is None else np.frombuffer(self._emulator.get_state(), np.uint8),
            "frame": None if self.frame is None else list(self.frame),
            "standing": asdict(self.standing),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `get_state`.

        Raises:
            StateError: If it is of another game.
        """
        if state["game"] != self.game:
            raise StateError(f"This is a state of {state['game']}, and this env plays {self.game}.")
        if state["emulator"] is not None:
            emulator = self._alive()
            emulator.set_state(np.asarray(state["emulator"], np.uint8).tobytes())
            if self._movies is not None:
                begin_movie(emulator, self._movies, "resumed")
        self.frame = None if state["frame"] is None else Frame(*map(int, state["frame"]))
        self.standing = Standing(**state["standing"])

    def _alive(self) -> Emulator | RemoteEmulator:
        """The emulator, or another one if its process has ended since it was last asked."""
        if self._emulator is not None and not self._emulator.is_alive:
            self.close()
        return self.open()

    def _to_fight(self) -> list[Frame]:
        """Frames, nothing held, to the first of the next fight or of the continue screen, or as many as are waited."""
        nothing = np.zeros((LONGEST_TRANSITION, len(PAD)), np.uint8)
        return [Frame(*numbers) for numbers in self.open().play(nothing, VARIABLES, _is_settled)]
