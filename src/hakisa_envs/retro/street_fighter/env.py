"""``Hakisa/StreetFighter2-v0`` on the user's own ROM, and ``Hakisa/Fighter-v0`` on ours: one env."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Dict, Space
from gymnasium.utils import EzPickle, seeding
from numpy.typing import NDArray

from hakisa_envs import contract
from hakisa_envs.column import Failures
from hakisa_envs.errors import checked_choice, checked_float, checked_int, refuse_unknown
from hakisa_envs.retro.errors import EmulatorDiedError, RetroError
from hakisa_envs.retro.find import find_game
from hakisa_envs.retro.pixels import PixelStack
from hakisa_envs.retro.street_fighter.actions import Actions, ActionSet, Press
from hakisa_envs.retro.street_fighter.fight import PAD, Episode, Fight, Turn
from hakisa_envs.retro.street_fighter.memory import Frame
from hakisa_envs.retro.street_fighter.observations import ram_observation, ram_space
from hakisa_envs.retro.street_fighter.opponents import STREET_FIGHTER, opponent_name
from hakisa_envs.retro.street_fighter.rewards import REWARDS, Reward
from hakisa_envs.retro.street_fighter.starts import Sampling, Starts
from hakisa_envs.vector import make_process_vec

OPTIONS = (
    "actions", "episode", "frame_size", "frame_skip", "frame_stack", "game", "movies", "observation", "press",
    "render_mode", "reward", "sampling", "start_frames", "states", "sticky",
)  # fmt: skip


class StreetFighter2Env(gym.Env[Any, Any], EzPickle):
    """One-on-one fights against the computer, by pictures or by the numbers in the console's memory.

    **Action** ``"combos"`` (default): Discrete(63), a direction with an attack (X Y Z are punches, A B C kicks; light,
    medium, heavy) or without. ``"macros"``: Discrete(72), those and nine motion specials, towards the opponent, whose
    frames do not depend on ``frame_skip``. ``"heads"``: MultiDiscrete [9, 7]. ``"buttons"``: MultiBinary(10).

    **Observation** ``"pixels"`` (default): uint8 ``[4, 84, 84]``, grey, oldest first, of the picture within the game's
    crop; before the episode there are copies of the first frame. ``"ram"``: float32 ``[26]``, see `ram_observation`:
    the same for both sides. ``"both"``: a Dict of the two.

    **Reward** by frames of one round only: nothing is paid before FIGHT, between rounds or on the continue screen.
    ``"damage"`` (default): shares of a health bar dealt less those taken, and 1 for the round. ``"linyi"``,
    ``"hakisa"``, ``"score"``: see `rewards`; or a function ``(before, after, outcome) -> {part: value}``.

    **Episode** ``"round"`` (default), ``"match"`` (until two rounds are won, or the fourth is over) or ``"game"``
    (until a match is not won). It is *terminated* as soon as that is decided, be it by knock-out, time, or both
    fighters out. Between rounds nothing can be done, and nothing is seen. ``info``: ``outcome`` (how the episode
    ended, or stands), ``opponent``, ``start``, ``health``, ``enemy_health``, ``rounds_won``, ``rounds_lost``,
    ``frames`` (that the step lasted) and ``reward_<part>``.

    Making it opens nothing. The first `reset` opens the emulator; where this process has one already, it gets a process
    of its own.

    Args:
        game: As stable-retro names it.
        actions: See above.
        press: ``"tap"`` lets go of attack buttons on an action's last frame, so that an action that is repeated attacks
            again, since the game heeds presses only; ``"hold"`` does not.
        frame_skip: Frames (60 a second) of an action. Larger decides less often.
        sticky: Probability, in each frame, that the pad stays as it was in the frame before. Larger is noisier.
        observation: See above.
        frame_size: Height and width of a frame of pixels, 8 to 200.
        frame_stack: Frames in an observation of pixels.
        reward: See above.
        episode: See above.
        states: The start state, or several, by name or as paths of ``.state`` files; None for the game's default. The
            Fighter's are named STYLE.STRENGTH.SIDE.
        sampling: Of several states: ``"uniform"``, or ``"lost"``, rather those where episodes are lost.
        start_frames: Up to so many frames pass before the agent's first action, so that episodes differ.
        movies: A folder, in which each episode leaves a bk2 file that ``hakisa retro replay`` plays again; None: none.
        render_mode: ``"rgb_array"`` or None.

    Raises:
        UnknownOptionError: For a keyword that is none of these.
        ValueError: For a value out of range.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        contract.CONTRACT: contract.VERSION,
        "render_modes": ["rgb_array"],
        "render_fps": 15,
    }

    def __init__(
        self,
        *,
        game: str = STREET_FIGHTER,
        actions: Actions = "combos",
        press: Press = "tap",
        frame_skip: int = 4,
        sticky: float = 0.0,
        observation: Literal["pixels", "ram", "both"] = "pixels",
        frame_size: int = 84,
        frame_stack: int = 4,
        reward: str | Reward = "damage",
        episode: Episode = "round",
        states: str | Sequence[str] | None = None,
        sampling: Sampling = "uniform",
        start_frames: int = 30,
        movies: str | Path | None = None,
        render_mode: str | None = None,
        **unknown: Any,
    ) -> None:
        options = {name: value for name, value in locals().items() if name in OPTIONS}
        refuse_unknown(unknown, OPTIONS, owner=game)
        EzPickle.__init__(self, **options)
        self.game = game
        folder = None if movies is None else Path(movies).absolute()
        self._fight = Fight(game, checked_choice("episode", episode, ("round", "match", "game")), folder)
        self.observation = checked_choice("observation", observation, ("pixels", "ram", "both"))
        self.sticky = checked_float("sticky", sticky, 0.0, 1.0)
        self.start_frames = checked_int("start_frames", start_frames, 0, 600)
        self.render_mode = checked_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        if not callable(reward):
            checked_choice("reward", reward, REWARDS)
        self._reward: Reward = reward if callable(reward) else REWARDS[reward]
        self._action_set = ActionSet(actions, checked_int("frame_skip", frame_skip, 1, 60), press, PAD)
        self.action_space = self._action_set.space
        meaning = {"actions": actions, "press": press, "frame_skip": frame_skip}
        self.metadata = {  # type: ignore[misc]
            **self.metadata,
            "render_fps": 60 / frame_skip,
            contract.MEANING: meaning,
        }
        checked_int("frame_size", frame_size, 8, 200)
        checked_int("frame_stack", frame_stack, 1, 64)
        self._pixels: PixelStack | None = None
        if observation != "ram":
            self._pixels = PixelStack(frame_stack, (frame_size, frame_size), needed_by=game)
        if observation == "pixels":
            self.metadata[contract.FRAME_STACK] = (0, frame_stack, "reset")
        self.observation_space = self._space()
        self._states = [states] if isinstance(states, str) else states
        self._starts = None if self._states is None else Starts(self._states, sampling)
        self._sampling = checked_choice("sampling", sampling, ("uniform", "lost"))
        self._start = ""
        self._failures = Failures()
        self._pad = np.zeros(len(PAD), np.uint8)  # of the last frame

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode. ``options`` may name its ``state``.

        Raises:
            RomError: If the game's ROM is missing or another one.
            StateError: If the state is missing, broken or of another game.
        """
        super().reset(seed=seed)
        if self._starts is None:
            self._starts = Starts([find_game(self.game).default_state], self._sampling)
        self._start = (options or {}).get("state") or self._starts.draw(self.np_random)
        self._pad[:] = 0
        with self._lost_emulator():
            self._fight.begin(self._start, int(self.np_random.integers(self.start_frames + 1)))
            if self._pixels is not None:
                self._pixels.restart(self._fight.picture())
        frame = self._fight.frame
        assert frame is not None
        return self._observe(frame), self._info(Turn(frame, frame, 0, None), {})

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Do an action.

        If the emulator's process died, the episode is truncated, ``info["failure"]`` says why, the row is no transition
        and does not count, and the next `reset` opens another one.

        Raises:
            ValueError: If it is none of the action space.
            WorkerError: If emulators die too often.
            gymnasium.error.ResetNeeded: If no episode runs.
        """
        frame = self._fight.frame
        if frame is None:
            raise gym.error.ResetNeeded("The episode is over: call reset() before the next step().")
        pads = self._stuck(self._action_set.pads(action, frame.facing))
        try:
            return self._play(pads)
        except EmulatorDiedError as error:
            self._failures.count(str(error))
            lost = {"failure": str(error), contract.TRANSITION: False, contract.COUNTED: False}
            return self._observe(frame), 0.0, False, True, lost

    def _play(self, pads: NDArray[np.uint8]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        terminated = False
        with self._lost_emulator():
            turn = self._fight.play(pads)
            parts = self._reward(turn.before, turn.after, turn.round_outcome)
            info = self._info(turn, parts)
            if turn.round_outcome is not None:
                terminated = not self._fight.go_on()
                self._pad[:] = 0
            if self._pixels is not None:
                self._pixels.add(self._fight.picture())
        assert self._fight.frame is not None
        observation = self._observe(self._fight.frame)
        if terminated:
            self._fight.frame = None
            assert self._starts is not None
            self._starts.tell(self._start, info[contract.OUTCOME])
        return observation, float(sum(parts.values())), terminated, False, info

    def render(self) -> NDArray[np.uint8] | None:
        """The picture within the game's crop: uint8 RGB ``[height, width, 3]``."""
        return None if self.render_mode is None or not self._fight.is_open else self._fight.picture()

    def show_frames(self, show: Callable[[NDArray[np.uint8]], object]) -> None:
        """Give ``show`` the picture of every frame that is emulated, from the first `reset` on: call it before that.

        Of an emulator that had to be started in a process of its own it gets none.
        """
        self._fight.on_frame = show

    def close(self) -> None:
        """Close the emulator; twice is silent."""
        self._fight.close()

    def get_action_meanings(self) -> list[str]:
        """Names of Discrete actions, or of the buttons of MultiBinary ones, in order."""
        return self._action_set.meanings()

    def get_state(self) -> dict[str, Any]:
        """Where the episode stands, with the emulator's memory and the generator of later episodes."""
        return {
            "fight": self._fight.get_state(),
            "pixels": None if self._pixels is None else self._pixels.observation(),
            "starts": None if self._starts is None else self._starts.get_state(),
            "started_from": self._start,
            "pad": self._pad.copy(),
            "generator": None if self._np_random is None else self._np_random.bit_generator.state,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put the env where it was; it need not have been reset before.

        Raises:
            StateError: If the state is of another game.
        """
        with self._lost_emulator():
            self._fight.set_state(state["fight"])
        if self._pixels is not None:
            self._pixels.set_state(state["pixels"])
        if state["starts"] is not None:
            if self._starts is None:
                self._starts = Starts([find_game(self.game).default_state], self._sampling)
            self._starts.set_state(state["starts"])
        self._start = state["started_from"]
        self._pad[:] = state["pad"]
        if state["generator"] is not None:
            self._np_random, _ = seeding.np_random(0)
            self._np_random.bit_generator.state = state["generator"]
            self._np_random_seed = -1

    @contextmanager
    def _lost_emulator(self) -> Iterator[None]:
        """Whatever goes wrong in the emulator, the episode cannot go on."""
        try:
            yield
        except RetroError:
            self._fight.close()
            raise

    def _space(self) -> Space[Any]:
        if self._pixels is None:
            return ram_space()
        if self.observation == "pixels":
            return self._pixels.space
        return Dict({"pixels": self._pixels.space, "ram": ram_space()})

    def _observe(self, frame: Frame) -> Any:
        if self._pixels is None:
            return ram_observation(frame)
        pixels = self._pixels.observation()
        return pixels if self.observation == "pixels" else {"pixels": pixels, "ram": ram_observation(frame)}

    def _stuck(self, pads: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """With the frames in which the pad stays as it was."""
        if self.sticky:
            for pad, sticks in zip(pads, self.np_random.random(len(pads)) < self.sticky, strict=True):
                if sticks:
                    pad[:] = self._pad
                self._pad = pad.copy()
        return pads

    def _info(self, turn: Turn, parts: Mapping[str, float]) -> dict[str, Any]:
        standing = self._fight.standing
        return {
            contract.OUTCOME: self._fight.outcome(turn),
            contract.OPPONENT: opponent_name(self.game, turn.after.enemy_character),
            contract.START: self._start,
            "health": turn.after.health,
            "enemy_health": turn.after.enemy_health,
            "rounds_won": standing.won,
            "rounds_lost": standing.lost,
            "frames": turn.frames,
            **{f"reward_{part}": value for part, value in parts.items()},
        }


# Fights side by side, an emulator in each process: `gym.make_vec` with the options of both.
make_street_fighter_vec = partial(make_process_vec, StreetFighter2Env, step_timeout=30.0)
