"""The Fighter's own C as a shared library (``make native``), which a test holds equal to the ROM frame by frame."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from hakisa_envs import contract
from hakisa_envs.retro.street_fighter.memory import FULL_HEALTH, STAGE_MIDDLE
from hakisa_envs.retro.street_fighter.opponents import STRENGTHS, STYLES

SOURCES = Path(__file__).parents[1] / "src" / "hakisa_envs" / "retro" / "homebrew" / "fighter"
INTRO, FIGHTING, ROUND_OVER, RESULT = 1, 2, 3, 4  # phases, as in match.h
WINNER, PHASE = 0x1000 + 17, 0x1000 + 9
FACING = 0x88
RAM_SIZE = 0x172C
BITS = {
    "UP": 1, "DOWN": 2, "LEFT": 4, "RIGHT": 8, "B": 0x10, "C": 0x20, "A": 0x40, "Z": 0x100, "Y": 0x200, "X": 0x400,
}  # fmt: skip
START_FRAMES = 30  # at most, before the first decision of a round

# Of ram.h, what a picture shows of a fighter.
_SEEN = {
    "x": ("<i2", 0x06), "health": ("<i2", 0x42), "height": ("<i2", 0x82), "speed_x": ("<i2", 0x84),
    "speed_y": ("<i2", 0x86), "action": ("u1", 0x8E), "move": ("u1", 0x8F), "frame": ("u1", 0x90), "low": ("u1", 0x92),
    "ball_active": ("u1", 0x99), "ball_x": ("<i2", 0x9A), "ball_speed": ("<i2", 0x9C),
}  # fmt: skip
_FIGHTER = np.dtype(
    {
        "names": list(_SEEN),
        "formats": [kind for kind, _ in _SEEN.values()],
        "offsets": [at for _, at in _SEEN.values()],
        "itemsize": 0x280,
    }
)
_TIMER = 0x172A
_ACTIONS, _ATTACKING, _MOVES = 15, 5, 18  # as in fight.h and moves.h
_OF_A_FIGHTER = 10 + _ACTIONS + _MOVES


def build(folder: str | Path) -> Path:
    """The library, built in ``folder``."""
    subprocess.run(["make", "-s", "-C", SOURCES, f"BUILD={folder}", "native"], check=True)
    return Path(folder) / "fighter.so"


def number_of(opponent: tuple[str, str]) -> int:
    """As RAM tells an opponent's style and strength."""
    return 8 * STRENGTHS.index(opponent[1]) + STYLES.index(opponent[0])


def two_pads(pads: Sequence[int]) -> np.ndarray:
    """Frames of player 1 with nothing held by the other: uint16 ``[frames, 2]``."""
    return np.ascontiguousarray(np.stack([pads, np.zeros(len(pads))], axis=1).astype(np.uint16))


NOTHING = two_pads([0])


class Native:
    """The game as a library; one for each process."""

    def __init__(self, library: Path) -> None:
        self._lib = ctypes.CDLL(str(library))
        self._lib.game_ram.restype = ctypes.POINTER(ctypes.c_uint8)
        self.ram = np.ctypeslib.as_array(self._lib.game_ram(), (RAM_SIZE,))

    @property
    def phase(self) -> int:
        return int(self.ram[PHASE])

    def begin(self, opponent: int, swapped: bool, seed: int) -> None:
        self._lib.begin(opponent, int(swapped), ctypes.c_uint(seed))

    def play(self, pads: np.ndarray, limit: int) -> int:
        """Plays uint16 ``[frames, 2]`` again and again for at most ``limit`` frames of one phase."""
        return int(self._lib.play(pads.ctypes.data_as(ctypes.c_void_p), len(pads), limit))


def seen(rams: np.ndarray) -> np.ndarray:
    """What pictures show of games whose memories are uint8 ``[games, RAM_SIZE]``: float32 ``[games, numbers]``.

    For player 1 and then the other: health, place (positive: where player 1 looks), height, speeds, the frame of what
    it does, whether it is low, its fireball's presence, place and speed, and one-hot what it does and its attack. Then
    the distance, the side and the time.
    """
    fighters = rams[:, : 2 * 0x280].view(_FIGHTER)
    x = fighters["x"].astype(np.float32)
    side = np.where(x[:, 1] >= x[:, 0], 1, -1).astype(np.float32)[:, None]
    columns = []
    for who in range(2):
        f = {name: fighters[name][:, who, None].astype(np.float32) for name in _SEEN}
        attack = np.where(f["action"] == _ATTACKING, f["move"], -1)
        ball = f["ball_active"]
        columns += [
            f["health"] / FULL_HEALTH, (f["x"] - STAGE_MIDDLE) * side / 100, f["height"] / 1024,
            f["speed_x"] * side / 48, f["speed_y"] / 128, np.minimum(f["frame"] / 24, 2), f["low"],
            ball, ball * (f["ball_x"] - STAGE_MIDDLE) * side / 100, ball * f["ball_speed"] * side / 4,
            f["action"] == np.arange(_ACTIONS), attack == np.arange(_MOVES),
        ]  # fmt: skip
    seconds = rams[:, _TIMER + 1, None]
    columns += [abs(x[:, 1:] - x[:, :1]) / 100, side, ((seconds >> 4) * 10 + (seconds & 15)) / 99]
    return np.concatenate(columns, axis=1, dtype=np.float32, casting="unsafe")


class FighterEnvs(VectorEnv[Any, Any, Any]):
    """Rounds of the Fighter against one opponent, from both sides by chance, paid as the env's ``reward="damage"``.

    Args:
        game: The library, which plays all games in turn.
        num_envs: How many games.
        opponent: Style and strength.
        actions: Pads of player 1 for each action, uint16 ``[frames, 2]``, by where it looks: 1 or -1.
    """

    metadata: ClassVar[dict[str, Any]] = {
        contract.CONTRACT: contract.VERSION,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self, game: Native, num_envs: int, opponent: tuple[str, str], actions: Sequence[dict[int, np.ndarray]]
    ) -> None:
        self.num_envs = num_envs
        self._game, self._opponent, self._actions = game, opponent, actions
        self._rams = np.zeros((num_envs, RAM_SIZE), np.uint8)
        self._over = np.zeros(num_envs, bool)
        self._generators = [np.random.default_rng(column) for column in range(num_envs)]
        self.single_observation_space = Box(-10, 10, (2 * _OF_A_FIGHTER + 3,), np.float32)
        self.single_action_space = Discrete(len(actions))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins all rounds."""
        del options
        seeds = seed if isinstance(seed, list | tuple | np.ndarray) else [seed] * self.num_envs
        for column, value in enumerate(seeds):
            if value is not None:
                self._generators[column] = np.random.default_rng([int(value), column])
            self._begin(column)
        return seen(self._rams), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """A decision in each game; where a round is over, the next one begins."""
        before = self._healths()
        began, self._over = self._over, np.zeros(self.num_envs, bool)
        winners = np.zeros(self.num_envs, int)
        for column, action in enumerate(np.asarray(actions).tolist()):
            if began[column]:
                self._begin(column)
                continue
            self._game.ram[:] = self._rams[column]
            facing = int(self._game.ram[FACING : FACING + 2].view("<i2")[0])
            pads = self._actions[action][facing]
            self._game.play(pads, len(pads))
            self._over[column] = self._game.phase != FIGHTING
            winners[column] = self._game.ram[WINNER]
            self._rams[column] = self._game.ram
        lost = before - self._healths()
        reward = (lost[:, 1] - lost[:, 0]) / FULL_HEALTH
        reward += self._over * ((winners == 1) * 1.0 - (winners == 2) * 1.0)
        reward[began] = 0.0
        infos: dict[str, Any] = {}
        if self._over.any():
            infos["outcome"] = np.array([("draw", "win", "loss")[winner] for winner in winners], object)
            infos["_outcome"] = self._over.copy()
        return seen(self._rams), reward, self._over.copy(), np.zeros(self.num_envs, bool), infos

    def _healths(self) -> np.ndarray:
        return np.maximum(self._rams[:, : 2 * 0x280].view(_FIGHTER)["health"], 0).astype(float)

    def _begin(self, column: int) -> None:
        draw = self._generators[column].integers
        self._game.begin(number_of(self._opponent), bool(draw(2)), int(draw(1, 2**32)))
        self._game.play(NOTHING, 1000)
        frames = int(draw(START_FRAMES + 1))
        if frames:
            self._game.play(NOTHING, frames)
        self._rams[column] = self._game.ram
