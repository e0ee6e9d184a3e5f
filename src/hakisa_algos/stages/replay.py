"""``Hakisa/Replay-v0``: plays a recording back; it needs no game."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from hakisa_algos.policy.observations import ObservationLayout, map_observation
from hakisa_algos.stages.recording import Recording
from hakisa_envs import contract
from hakisa_envs.errors import refuse_unknown


class ReplayEnv(gym.Env[Any, Any], EzPickle):
    """Shows the rows of a recording, episode after episode, and pays what was paid. What it is given to do is ignored.

    ``info["action"]`` of a step is what was done; ``info["t_ns"]`` when its frame was seen, on the clock of the
    recording's events. Rows of which it is not known what the player did have ``info["learned"]`` False.

    Observations are as agents see them and rows hold them: pictures channels first.

    An episode that was cut short by a kill is truncated. After the last episode comes the first again.

    Args:
        recording: Its folder.
        render_mode: None; a recording has the pictures that an agent sees, and a video if one was asked for.

    Raises:
        CheckpointError: It is no recording, or damaged.
        UnknownOptionError: For a keyword that is none of these.
    """

    metadata: dict[str, Any] = {contract.CONTRACT: contract.VERSION, "render_modes": []}  # noqa: RUF012
    options: ClassVar[tuple[str, ...]] = ("recording", "render_mode")

    def __init__(self, recording: str | Path, *, render_mode: str | None = None, **unknown: Any) -> None:
        refuse_unknown(unknown, self.options, owner="Hakisa/Replay-v0")
        EzPickle.__init__(self, recording, render_mode=render_mode)
        self.render_mode = render_mode
        self.recording = Recording.open(recording)
        self.observation_space = ObservationLayout(self.recording.observation_space).space
        self.action_space = self.recording.action_space
        stack = self.recording.rows.layout["stack"]
        declared = None if stack is None else (0, stack[1], stack[2])
        self.metadata = {**type(self).metadata, contract.FRAME_STACK: declared}
        self._next = self._row = 0
        self._end = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Show the first row of the next episode, or of ``options["episode"]``."""
        super().reset(seed=seed)
        episodes = self.recording.episodes
        number = (options or {}).get("episode", self._next)
        if not 0 <= number < len(episodes):
            raise ValueError(f"options['episode']={number!r} must be from 0 to {len(episodes) - 1}")
        self._next = (number + 1) % len(episodes)
        self._row, self._end = episodes[number].start, episodes[number].stop
        if self._end - self._row > 1 and (
            self._take("terminated", self._end - 2) or self._take("truncated", self._end - 2)
        ):
            self._end -= 1  # the last row only shows the last observation; of a recording that was killed it is missing
        return self._observation(self._row), {"t_ns": int(self._take("t_ns", self._row))}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """What followed, whatever ``action`` is."""
        row = self._row
        if row >= self._end:
            raise gym.error.ResetNeeded("The episode is over: call reset() before the next step().")
        reward, terminated, truncated = (self._take(name, row) for name in ("reward", "terminated", "truncated"))
        info = {
            "action": np.array(self._take("action", row)),
            "t_ns": int(self._take("t_ns", row)),
            contract.TRANSITION: bool(self._take("transition", row)),
            contract.LEARNED: bool(self._take("learned", row)),
        }
        self._row += 1
        cut = self._row >= self._end and not terminated
        return self._observation(self._row), float(reward), bool(terminated), bool(truncated or cut), info

    def _take(self, name: str, row: int) -> Any:
        return self.recording.rows.take(name, np.array([row]))[0]

    def _observation(self, row: int) -> NDArray[Any] | dict[str, NDArray[Any]]:
        read = self.recording.rows.observation(np.array([row]))
        shown: NDArray[Any] | dict[str, NDArray[Any]] = map_observation(lambda x: x[0].numpy(), read)
        return shown
