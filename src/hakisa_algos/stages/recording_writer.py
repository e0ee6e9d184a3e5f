"""Writes a recording: rows as they become certain, events as they happen."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.dataset import RowAppender
from hakisa_algos.data.files import write_document
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.segments import describe
from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.observations import ObservationLayout
from hakisa_algos.stages.recording import EVENTS, FACTS, FORMAT, VERSION, EventLog
from hakisa_envs.recording.events import Event

# Often enough that a kill loses less than a second.
FLUSH_S = 0.5
# Rows that may wait to be written; whoever records waits for a disk that stands still for longer.
_ROWS = 512
_BLANK = {"reward": np.float32(0), "terminated": False, "truncated": False, "transition": True, "learned": True}


class RecordingWriter:
    """Writes one recording, of one game.

    Args:
        folder: of its own; made, readable by nobody else.
        observation_space: of the env.
        action_space: of the env.
        frame_stack: what the env declares in ``metadata["frame_stack"]``.

    Raises:
        ConfigError: the folder exists.
    """

    def __init__(
        self, folder: Path, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], frame_stack: Any
    ) -> None:
        if folder.exists():
            raise ConfigError(f"{folder} exists; a recording needs a folder of its own: choose another name")
        self.folder = folder
        self._spaces = {"observation": describe(observation_space), "action": describe(action_space)}
        self._frame_stack = frame_stack
        self._layout = ObservationLayout(observation_space)
        stack = FrameStack.of(frame_stack, observation_space, self._layout.space)
        self._buffer = RolloutBuffer(_ROWS, 1, self._layout, stack)
        self._buffer.action_space = action_space
        self._action = np.zeros(action_space.shape or (), np.int64)
        self._has_rows = False
        self._observed = False  # what the next row begins with is at the head already
        self._flushed = time.monotonic()
        folder.mkdir(parents=True, mode=0o700)
        self._log = EventLog(folder / EVENTS)
        self._appender = RowAppender(folder, self._buffer)

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Says what is recorded, before the first row: ``name``, ``env``, ``env_options``, ``rate``, and more."""
        said = {
            "spaces": self._spaces,
            "frame_stack": None if self._frame_stack is None else list(self._frame_stack),
            "input": "the action of row i is what was done in [t_ns[i], t_ns[i + 1])",
            "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
            "hakisa": version("hakisa"),
        }
        write_document(self.folder / FACTS, FORMAT, VERSION, {**facts, **said})

    def log(self, events: Iterable[Event]) -> None:
        """Appends events."""
        self._log.add(events)

    def add(
        self,
        observation: Any,
        action: Any,
        values: Mapping[str, Any],
        *,
        start: bool,
        following: Any = None,
        final: bool = False,
    ) -> None:
        """Adds a row.

        Args:
            observation: as the env gave it.
            action: what was done about it.
            values: further columns; those that are not given are ``reward`` 0, no end, a transition, learned from.
            start: an episode begins with it.
            following: the observation after it, in the same episode; None after the last.
            final: the episode is cut off after it.
        """
        self._appender.make_room()
        self._has_rows = True
        if not self._observed:
            self._observe(observation, start)
        row = {name: np.asarray(value)[None] for name, value in {**_BLANK, **values, "action": action}.items()}
        last = {} if not final else {0: self._encode(following)[0]}
        self._buffer.add(row | {"policy_version": np.zeros(1, np.int32)}, last)
        self._observed = following is not None
        if following is not None:
            self._observe(following, False)
        if time.monotonic() - self._flushed >= FLUSH_S:
            self.flush()

    def end(self, observation: Any, values: Mapping[str, Any]) -> None:
        """Ends an episode that has rows: one more holds its last observation, and is no transition."""
        unlearned = {"transition": False, "learned": False}
        self.add(observation, self._action, {**values, **unlearned}, start=False)
        self.flush()

    def flush(self) -> None:
        """Begins to write what is new; a write that is under way goes on."""
        self._appender.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Everything is on the disk afterwards; of a recording without a row nothing is left."""
        with contextlib.ExitStack() as stack:
            if not self._has_rows:
                stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.callback(self._log.close)
            stack.callback(self._appender.close)

    def _observe(self, observation: Any, start: bool) -> None:
        self._buffer.observe(self._encode(observation), np.array([start]))

    def _encode(self, observation: Any) -> Any:
        if isinstance(observation, dict):
            return self._layout.encode({key: np.asarray(entry)[None] for key, entry in observation.items()})
        return self._layout.encode(np.asarray(observation)[None])
