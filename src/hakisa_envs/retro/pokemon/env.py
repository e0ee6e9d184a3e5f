"""``Hakisa/PokemonEmerald-v0``, ``Hakisa/Monsters-v0`` on our own ROM, and ``Hakisa/PokemonRed-v0``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from hakisa_envs.retro.pokemon.actions import NOTHING, Actions, ActionSet
from hakisa_envs.retro.pokemon.emerald import BADGES, Reading
from hakisa_envs.retro.pokemon.game import EMERALD, PRESS_FRAMES, RED, Game
from hakisa_envs.retro.pokemon.milestones import PROGRESS, Milestones
from hakisa_envs.retro.pokemon.observations import VisitedMap, state_observation, state_space
from hakisa_envs.retro.pokemon.rewards import RewardEngine, RewardTable, table_of
from hakisa_envs.vector import make_process_vec

CARRIED_ON = ", carried on"  # added to where an episode began that goes on from another

OPTIONS = (
    "actions", "episode_length", "frame_size", "frame_skip", "frame_stack", "game", "goal", "movies",
    "observation", "render_mode", "reward", "start_frames", "state", "sticky", "until_control", "visited_map",
)  # fmt: skip


class PokemonEmeraldEnv(gym.Env[Any, Any], EzPickle):
    """A journey with monsters, by pictures or by the numbers in the console's memory.

    **Action** ``"buttons"`` (default): Discrete(15), none or one of four directions, with none, A or B. ``"heads"``:
    MultiDiscrete [5, 3], the same in two heads.

    **Observation** ``"pixels"`` (default): uint8 ``[1, 80, 120]``, grey. ``"state"``: float32 ``[51]``, see
    `state_observation`. ``"both"``: a Dict of the two. With ``visited_map`` it is a Dict in any case, with
    ``"visited"``: uint8 ``[1, 48, 48]``, where the player was in the episode.

    **Reward** by a `RewardTable`: ``"ours"`` (default) pays only what is new in the episode; ``"dvruette"`` is the
    public baseline's, which pays for changes, so that loops pay for ever; or one of your own, also as JSON holds it
    (`table_of`). Where memory cannot be read nothing is paid, and what came meanwhile is paid afterwards.

    **Episode** It is *truncated* after ``episode_length`` decisions, and *terminated* by the goal, if there is one.
    ``info``: ``start``, ``map`` (group and number), ``x``, ``y``, ``badges``, ``frames`` (that the step lasted),
    ``read`` (whether all of the memory was) and ``reward_<part>``; ``place``, ``progress`` and, now and then,
    ``milestone``, see docs/contract.md; with a goal ``outcome``: ``"win"`` where it is reached, else ``"loss"``.

    Making it opens nothing. The first `reset` opens the emulator; where this process has one already, it gets a process
    of its own.

    Args:
        game: As stable-retro would name it.
        actions: See above.
        frame_skip: Frames (60 a second) of a decision. Larger decides less often.
        until_control: Instead of ``frame_skip``: a decision is a press of 4 frames, and lasts until the player may act
            again, this many frames at most: a step is one tile, and doors and fights are waited for. A dialog counts as
            control, since it waits for a button.
        sticky: Probability that a decision is the one before it again.
        observation: See above.
        frame_size: Height and width of a frame of pixels, each 8 to 240.
        frame_stack: Frames in an observation of pixels.
        visited_map: See above.
        reward: See above.
        goal: Badges with which the episode is won, 1 to 8; None: none.
        episode_length: Decisions.
        state: The start state, by its name or by the path of a ``.state`` file; None for the game's default.
        start_frames: Up to so many frames pass before the agent's first decision, so that episodes differ.
        movies: A folder, in which each episode leaves a bk2 file that ``hakisa retro replay`` plays again; None: none.
        render_mode: ``"rgb_array"`` or None.

    Attributes:
        milestone_folder: Where the game is saved in a row that says ``milestone``, as ``MILESTONE.state``, unless that
            is there; None: nowhere.
        next_start: Where later episodes begin, as ``state`` says it; None: at ``state``.
        carry_on: Probability that a `reset` begins where the episode before it was truncated, which ``info["start"]``
            says then. Rewards begin anew there.

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
        game: str = EMERALD,
        actions: Actions = "buttons",
        frame_skip: int = 24,
        until_control: int | None = None,
        sticky: float = 0.0,
        observation: Literal["pixels", "state", "both"] = "pixels",
        frame_size: tuple[int, int] = (80, 120),
        frame_stack: int = 1,
        visited_map: bool = False,
        reward: str | RewardTable | Mapping[str, Any] = "ours",
        goal: int | None = None,
        episode_length: int = 65_536,
        state: str | None = None,
        start_frames: int = 30,
        movies: str | Path | None = None,
        render_mode: str | None = None,
        **unknown: Any,
    ) -> None:
        options = {name: value for name, value in locals().items() if name in OPTIONS}
        refuse_unknown(unknown, OPTIONS, owner=game)
        EzPickle.__init__(self, **options)
        self.game = game
        checked_int("frame_skip", frame_skip, 2, 240)
        if until_control is not None:
            checked_int("until_control", until_control, PRESS_FRAMES + 1, 3600)
        folder = None if movies is None else Path(movies).absolute()
        self._game = Game(game, frame_skip, until_control, folder)
        self._failures = Failures()
        self._action_set = ActionSet(actions)
        self.action_space = self._action_set.space
        self.sticky = checked_float("sticky", sticky, 0.0, 1.0)
        self.observation = checked_choice("observation", observation, ("pixels", "state", "both"))
        checked_int("frame_stack", frame_stack, 1, 64)
        if np.shape(frame_size) != (2,):
            raise ValueError(f"frame_size={frame_size!r} is not allowed: it must be a height and a width.")
        height, width = (checked_int("frame_size", side, 8, 240) for side in frame_size)
        self.goal = None if goal is None else checked_int("goal", goal, 1, len(BADGES))
        self.episode_length = checked_int("episode_length", episode_length, 1)
        self.start_frames = checked_int("start_frames", start_frames, 0, 600)
        self.render_mode = checked_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self._rewards = RewardEngine(table_of(reward))
        self._news, self._progress, self._milestones = RewardEngine(PROGRESS), 0.0, Milestones()
        meaning = {"actions": actions, "frame_skip": frame_skip, "until_control": until_control}
        self.metadata = {  # type: ignore[misc]
            **self.metadata,
            "render_fps": 60 / frame_skip,
            contract.MEANING: meaning,
        }
        self._pixels = None if observation == "state" else PixelStack(frame_stack, (height, width), needed_by=game)
        self._visited = VisitedMap() if visited_map else None
        self.observation_space = self._space()
        if observation == "pixels" and not visited_map:
            self.metadata[contract.FRAME_STACK] = (0, frame_stack, "reset")
        helps = {
            "the agent reads the game's memory": observation != "pixels",
            "the agent sees where it has been": visited_map,
            "a decision lasts until the player may act again": until_control is not None,
            f"episodes start at {state}": state is not None,
        }
        self.metadata[contract.ASSISTS] = tuple(words for words, is_so in helps.items() if is_so)
        self._state = state
        self._start = ""
        self.milestone_folder: str | None = None
        self.next_start: str | None = None
        self.carry_on = 0.0
        self._decisions = 0
        self._last_choice = NOTHING

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode. ``options`` may name its ``state``; it is not carried on then.

        Raises:
            RomError: If the game's ROM is missing or another one.
            StateError: If the state is missing, broken or of another game.
        """
        super().reset(seed=seed)
        given = (options or {}).get("state")
        self._decisions, self._last_choice = 0, NOTHING
        with self._lost_emulator():
            reading = self._begin(given)
            if self._pixels is not None:
                self._pixels.restart(self._game.picture())
        assert reading.place is not None
        if self._visited is not None:
            self._visited.restart(reading.place)
        self._rewards.begin(reading)
        self._news.begin(reading)
        self._progress = 0.0
        self._milestones.begin(reading)
        return self._observe(reading), self._info(reading, 0, True, {})

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Do an action.

        If the emulator's process died, the episode is truncated, ``info["failure"]`` says why, the row is no transition
        and does not count, and the next `reset` opens another one.

        Raises:
            ValueError: If it is none of the action space.
            WorkerError: If emulators die too often.
            gymnasium.error.ResetNeeded: If no episode runs.
        """
        before = self._game.reading
        if before is None:
            raise gym.error.ResetNeeded("The episode is over: call reset() before the next step().")
        choice = self._action_set.chosen(action)
        if self.sticky and self.np_random.random() < self.sticky:
            choice = self._last_choice
        self._last_choice = choice
        try:
            return self._play(*choice)
        except EmulatorDiedError as error:
            self._failures.count(str(error))
            lost = {"failure": str(error), contract.TRANSITION: False, contract.COUNTED: False}
            return self._observe(before), 0.0, False, True, lost

    def _begin(self, given: str | None) -> Reading:
        """Load a start state, or go on from where the last episode was cut."""
        if given is None and self.carry_on and self._game.can_carry_on and self.np_random.random() < self.carry_on:
            self._start = self._start.removesuffix(CARRIED_ON) + CARRIED_ON
            return self._game.carry_on()
        self._start = given or self.next_start or self._state or find_game(self.game).default_state
        return self._game.begin(self._start, int(self.np_random.integers(self.start_frames + 1)))

    def _play(self, direction: int, button: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        with self._lost_emulator():
            new, frames = self._game.act(direction, button)
            if self._pixels is not None:
                self._pixels.add(self._game.picture())
        reading = self._game.reading
        assert reading is not None
        assert reading.place is not None
        if self._visited is not None:
            self._visited.add(reading.place)
        parts = self._rewards.pay(new)
        self._progress += sum(self._news.pay(new).values())
        reached = self._milestones.next(reading)
        if reached is not None:
            self._keep(reached)
        self._decisions += 1
        terminated = self.goal is not None and reading.badges >= self.goal
        truncated = not terminated and self._decisions >= self.episode_length
        observation, info = self._observe(reading), self._info(reading, frames, new.is_whole, parts)
        if reached is not None:
            info[contract.MILESTONE] = reached
        if terminated or truncated:
            self._game.end(cut=truncated)
        return observation, self._rewards.table.total(parts), terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """The picture: uint8 RGB ``[160, 240, 3]``."""
        return None if self.render_mode is None or not self._game.is_open else self._game.picture()

    def show_frames(self, show: Callable[[NDArray[np.uint8]], object]) -> None:
        """Give ``show`` the picture of every frame that is emulated, from the first `reset` on: call it before that.

        Of an emulator that had to be started in a process of its own it gets none.
        """
        self._game.on_frame = show

    def close(self) -> None:
        """Close the emulator; twice is silent."""
        self._game.close()

    def get_action_meanings(self) -> list[str]:
        """Names of Discrete actions, in order."""
        return self._action_set.meanings()

    def get_state(self) -> dict[str, Any]:
        """Where the episode stands, with the emulator's memory and the generator of later episodes."""
        return {
            "game": self._game.get_state(),
            "pixels": None if self._pixels is None else self._pixels.observation(),
            "visited": None if self._visited is None else self._visited.get_state(),
            "rewards": self._rewards.get_state(),
            "news": self._news.get_state(),
            "news_seen": self._progress,
            "milestones": self._milestones.get_state(),
            "started_from": self._start,
            "decisions": self._decisions,
            "last_choice": list(self._last_choice),
            "generator": None if self._np_random is None else self._np_random.bit_generator.state,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put the env where it was; it need not have been reset before.

        Raises:
            StateError: If the state is of another game.
        """
        with self._lost_emulator():
            self._game.set_state(state["game"])
        if self._pixels is not None:
            self._pixels.set_state(state["pixels"])
        if self._visited is not None:
            self._visited.set_state(state["visited"])
        if state["rewards"]:
            self._rewards.set_state(state["rewards"])
            self._news.set_state(state["news"])
        self._progress = float(state["news_seen"])
        self._milestones.set_state(state["milestones"])
        self._start, self._decisions = state["started_from"], int(state["decisions"])
        direction, button = state["last_choice"]
        self._last_choice = int(direction), int(button)
        if state["generator"] is not None:
            self._np_random, _ = seeding.np_random(0)
            self._np_random.bit_generator.state = state["generator"]
            self._np_random_seed = -1

    def _keep(self, milestone: str) -> None:
        folder = None if self.milestone_folder is None else Path(self.milestone_folder)
        if folder is None or (path := folder / f"{milestone}.state").exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        with self._lost_emulator():
            self._game.open().save(beside := path.with_suffix(".new"))
        beside.replace(path)

    @contextmanager
    def _lost_emulator(self) -> Iterator[None]:
        """Whatever goes wrong in the emulator, the episode cannot go on."""
        try:
            yield
        except RetroError:
            self._game.close()
            raise

    def _space(self) -> Space[Any]:
        spaces: dict[str, Space[Any]] = {}
        if self._pixels is not None:
            spaces["pixels"] = self._pixels.space
        if self.observation != "pixels":
            spaces["state"] = state_space()
        if self._visited is not None:
            spaces["visited"] = self._visited.space
        return Dict(spaces) if len(spaces) > 1 else next(iter(spaces.values()))

    def _observe(self, reading: Reading) -> Any:
        seen: dict[str, Any] = {}
        if self._pixels is not None:
            seen["pixels"] = self._pixels.observation()
        if self.observation != "pixels":
            seen["state"] = state_observation(reading)
        if self._visited is not None:
            assert reading.place is not None
            seen["visited"] = self._visited.observation(reading.place)
        return seen if len(seen) > 1 else next(iter(seen.values()))

    def _info(self, reading: Reading, frames: int, is_read: bool, parts: Mapping[str, float]) -> dict[str, Any]:
        assert reading.place is not None
        group, number, x, y = reading.place
        outcome = {} if self.goal is None else {contract.OUTCOME: "win" if reading.badges >= self.goal else "loss"}
        return {
            **outcome,
            contract.START: _name(self._start),
            contract.PLACE: (group, number, x, y),
            contract.PROGRESS: self._progress,
            "map": (group, number),
            "x": x,
            "y": y,
            "badges": reading.badges,
            "frames": frames,
            "read": is_read,
            **{f"reward_{part}": value for part, value in parts.items()},
        }


def _name(start: str) -> str:
    """Of a start, which may be the path of a file, and of an episode that was carried on from there."""
    state = start.removesuffix(CARRIED_ON)
    name = Path(state).stem if state.endswith(".state") else state
    return name + start[len(state) :]


class PokemonRedEnv(PokemonEmeraldEnv):
    """The same on a Game Boy: ``Hakisa/PokemonRed-v0`` on the user's own ROM.

    Its events are the table's ``events`` and ``scripts``; kinds that were seen and caught, trainers and towns are not
    read, so parts about them pay nothing. A frame is ``[144, 160]`` pixels.

    Args:
        game: As stable-retro would name it.
        options: See `PokemonEmeraldEnv`.
    """

    def __init__(self, *, game: str = RED, **options: Any) -> None:
        super().__init__(game=game, **options)


# Journeys side by side, an emulator in each process: `gym.make_vec` with the options of both.
make_pokemon_vec = partial(make_process_vec, PokemonEmeraldEnv, step_timeout=30.0)
make_red_vec = partial(make_process_vec, PokemonRedEnv, step_timeout=30.0)
