"""``Hakisa/Pong-v0``, one environment."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from hakisa_envs import contract
from hakisa_envs.atari.options import OPTION_NAMES, PongOptions, emulator_seed, outcome
from hakisa_envs.atari.paddle import PaddleHits
from hakisa_envs.errors import checked_choice, import_extra, refuse_unknown

SCREEN_HEIGHT, SCREEN_WIDTH = 210, 160


class PongEnv(gym.Env[NDArray[np.uint8], np.int64], EzPickle):
    """Atari Pong from pixels, preprocessed as DeepMind's DQN did (Mnih et al., 2015).

    The agent has the right paddle; who first scores 21 wins. It is written to be equal, frame for frame, to
    ale-py's C++ ``AtariVectorEnv("pong")``, of which `make_pong_vec` makes many columns: same seed and same
    actions, same observations and rewards, whatever ``noop_max`` and ``sticky`` are.

    **Action** Discrete(6): NOOP, FIRE, RIGHT (up), LEFT (down), RIGHTFIRE, LEFTFIRE, repeated for
    ``frame_skip`` frames.

    **Observation** uint8 ``[frame_stack, frame_size, frame_size]``, grey, oldest first. Each frame is the
    pixelwise maximum of the last two of its ``frame_skip`` emulator frames, shrunk by area. Frames from
    before the episode are zeros, as ``metadata["frame_stack"] = (0, frame_stack, "zero")`` declares.

    **Reward** +1 for a point, -1 for a point lost, summed over the skipped frames and never clipped; plus
    ``paddle_reward`` for each hit of the ball.

    **Episode** terminated at 21 points. ``gymnasium.make`` truncates it after 27,000 steps (30 minutes of
    play at ``frame_skip=4``), or ``max_episode_steps``. ``info``: ``lives`` (always 0), ``frame_number``
    and ``episode_frame_number`` (ints), and ``outcome``: ``"win"``, ``"loss"`` or ``"draw"``, by who leads. It stands
    in every row, since a time limit outside may end the episode at any; in the last one it is the outcome.

    Args:
        difficulty: Position of the console's two switches, 0 to 3. The first (1 and 3) halves the
            opponent's paddle, the second (2 and 3) the agent's, from 16 to 8 pixels as measured on the
            screen: 1 is the easiest game, 2 the hardest, and in 3 both are small.
        sticky: Probability, per frame, that the previous action is repeated instead (0.25 is the field's
            "sticky actions", Machado et al., 2018). Larger is noisier.
        frame_size: Height and width of a frame in pixels, 8 to 160. Smaller learns faster and sees less.
        frame_stack: Number of frames in an observation.
        frame_skip: Emulator frames (60 a second) per step. Larger decides less often.
        noop_max: Fewer than this many frames pass before the agent's first action, drawn anew for each
            episode, so that games differ. 0 and 1 for always the same start.
        paddle_reward: Added for each hit of the ball by the agent's paddle, see `PaddleHits`. It shapes
            rewards, and so changes what is optimal: leave it at 0 for results that can be compared.
        num_threads: Of the vector environment's emulators; changes nothing here.
        render_mode: ``"rgb_array"`` or None.

    Raises:
        MissingExtraError: If ale-py or OpenCV is not installed.
        UnknownOptionError: For a keyword that is none of these.
        ValueError: For a value out of range.
    """

    metadata: ClassVar[dict[str, Any]] = PongOptions().metadata  # type: ignore[misc]

    def __init__(
        self,
        *,
        difficulty: int = 0,
        sticky: float = 0.0,
        frame_size: int = 84,
        frame_stack: int = 4,
        frame_skip: int = 4,
        noop_max: int = 30,
        paddle_reward: float = 0.0,
        num_threads: int = 0,
        render_mode: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(unknown, (*OPTION_NAMES, "num_threads", "render_mode"), owner="Hakisa/Pong-v0")
        options: dict[str, Any] = {
            "difficulty": difficulty,
            "sticky": sticky,
            "frame_size": frame_size,
            "frame_stack": frame_stack,
            "frame_skip": frame_skip,
            "noop_max": noop_max,
            "paddle_reward": paddle_reward,
        }
        self.options = PongOptions(**options)
        self.metadata = self.options.metadata  # type: ignore[misc]
        self.render_mode = checked_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        EzPickle.__init__(self, **options, render_mode=render_mode)

        ale_py = import_extra("ale_py", extra="atari", needed_by="Hakisa/Pong-v0")
        self._cv2 = import_extra("cv2", extra="atari", needed_by="Hakisa/Pong-v0")
        self._rom = ale_py.roms.get_rom_path("pong")
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.ale = ale_py.ALEInterface()
        self.ale.setFloat("repeat_action_probability", self.options.sticky)
        self.ale.loadROM(self._rom)
        self._fire = ale_py.Action.FIRE
        self._noop = ale_py.Action.NOOP
        self._actions = self.ale.getMinimalActionSet()
        self.action_space = Discrete(len(self._actions))
        self.observation_space = self.options.observation_space
        self._stack = np.zeros((frame_stack, frame_size, frame_size), dtype=np.uint8)

        self._noop_generator: np.random.RandomState | None = None
        # [0] is the last emulator frame and then the pooled one, [1] the frame before it.
        self._raw = np.zeros((2, SCREEN_HEIGHT, SCREEN_WIDTH), dtype=np.uint8)
        self._hits = PaddleHits()
        self._score = 0
        self._show: Callable[[NDArray[np.uint8]], object] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Start a game: press FIRE for a frame, then let a random number of frames pass.

        Args:
            seed: Seeds the emulator (sticky actions) and the number of frames to wait. Without one both
                generators go on, or are seeded at random the first time. Seeding makes ale-py load the
                game again, which takes about 65 ms; a reset without a seed takes 4 ms.
            options: Ignored.

        Returns:
            The observation and the info.
        """
        super().reset(seed=seed)
        if seed is None and self._noop_generator is None:
            seed = int(self.np_random.integers(2**31))
        if seed is not None:
            self._load(emulator_seed(seed))
        self.ale.reset_game()
        self.ale.act(self._fire)
        for _ in range(self._draw_noops()):
            self.ale.act(self._noop)

        self._hits.restart()
        self._score = 0
        self._stack[:] = 0
        self.ale.getScreenGrayscale(self._raw[0])
        self._raw[1] = 0
        return self._observe(), self._info()

    def step(self, action: int | np.integer[Any]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Hold an action for ``frame_skip`` frames.

        Raises:
            ValueError: If the action is not 0 to 5.
            TypeError: If it is not a whole number.
        """
        index = operator.index(action)
        if not 0 <= index < len(self._actions):
            raise ValueError(f"action {index} is not allowed: it must be 0 to {len(self._actions) - 1}.")
        chosen = self._actions[index]
        reward, terminated = 0.0, False
        for remaining in range(self.options.frame_skip - 1, -1, -1):
            points = self.ale.act(chosen)
            if self._show is not None:
                self._show(self.ale.getScreenRGB())
            reward += points
            self._score += points
            if self.options.paddle_reward:
                reward += self.options.paddle_reward * self._hits.seen(self.ale.getRAM())
            terminated = self.ale.game_over()
            if terminated:
                break  # before the frame is taken, as ale-py's vector env does
            if remaining < 2:
                self.ale.getScreenGrayscale(self._raw[remaining])
        return self._observe(), float(reward), bool(terminated), False, self._info()

    def render(self) -> NDArray[np.uint8] | None:
        """The emulator's screen: uint8 RGB ``[210, 160, 3]``."""
        if self.render_mode is None:
            return None
        screen: NDArray[np.uint8] = self.ale.getScreenRGB()
        return screen

    def show_frames(self, show: Callable[[NDArray[np.uint8]], object]) -> None:
        """Give ``show`` the picture of every frame that a step emulates: uint8 RGB ``[210, 160, 3]``."""
        self._show = show

    def get_action_meanings(self) -> list[str]:
        """The console's names of the actions, in order."""
        return [action.name for action in self._actions]

    def _load(self, seed: int) -> None:
        self._noop_generator = np.random.RandomState(seed)
        self.ale.setInt("random_seed", seed)
        self.ale.loadROM(self._rom)
        self.ale.setDifficulty(self.options.difficulty)

    def _draw_noops(self) -> int:
        """Draw like ale-py's C++: ``uniform_int_distribution(0, noop_max - 1)``, less one for FIRE.

        libstdc++ draws by multiplication with rejection (Lemire, 2019) from the generator that NumPy calls
        MT19937; the same here, so that single and vector environment wait for equally long.
        """
        count = max(self.options.noop_max, 1)
        assert self._noop_generator is not None
        while True:
            product = int(self._noop_generator.randint(2**32, dtype=np.uint32)) * count
            if product % 2**32 >= 2**32 % count:
                return max((product >> 32) - 1, 0)

    def _observe(self) -> NDArray[np.uint8]:
        np.maximum(self._raw[0], self._raw[1], out=self._raw[0])
        size = self.options.frame_size
        self._stack[:-1] = self._stack[1:]
        self._stack[-1] = self._cv2.resize(self._raw[0], (size, size), interpolation=self._cv2.INTER_AREA)
        return self._stack.copy()

    def _info(self) -> dict[str, Any]:
        return {
            "lives": self.ale.lives(),
            "frame_number": self.ale.getFrameNumber(),
            "episode_frame_number": self.ale.getEpisodeFrameNumber(),
            contract.OUTCOME: outcome(self._score),
        }
