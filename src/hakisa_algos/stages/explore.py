"""Records how an agent plays, as a person's play is recorded; nothing is learnt."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from hakisa_algos.agent import Agent
from hakisa_algos.data.contract import declared
from hakisa_algos.stages.action_names import named_by
from hakisa_algos.stages.ending import ended_by_a_person
from hakisa_algos.stages.play import allowed, check_spaces
from hakisa_algos.stages.recording import privately
from hakisa_algos.stages.recording_writer import RecordingWriter
from hakisa_envs.contract import FRAME_STACK, LEARNED, MEANING, TRANSITION
from hakisa_envs.recording.events import BEGIN, END, Event


def explore(
    agent: Agent,
    env: gym.Env[Any, Any],
    folder: Path,
    *,
    deterministic: bool = False,
    seed: int | None = None,
    seconds: float | None = None,
    episodes: int | None = None,
    say: Callable[[str], None] = print,
) -> tuple[int, list[float]]:
    """Plays until enough is recorded, Ctrl+C, or a live game's kill chord; what was played until then is kept.

    Args:
        agent: who plays.
        env: one env like the agent's own; closed by whoever made it.
        folder: for the recording; new.
        deterministic: the agent's best actions; False draws them as in training.
        seed: of the first episode.
        seconds: after which it ends.
        episodes: after which it ends.
        say: tells how it stands.

    Returns:
        How many rows were recorded, and the returns of the episodes that ended.

    Raises:
        ConfigError: the folder exists, or the env does not fit.
    """
    check_spaces(agent, env)
    stack = env.metadata.get(FRAME_STACK)
    until = None if seconds is None else time.monotonic() + seconds
    returns: list[float] = []
    rows = 0
    with privately(), closing(RecordingWriter(folder, env.observation_space, env.action_space, stack)) as writer:
        writer.describe(_facts(agent, env))
        with ended_by_a_person(say):
            while len(returns) != episodes and not _late(until):
                say(f"episode {len(returns) + 1}: {rows:,} rows so far")
                seen, info = env.reset(seed=seed)
                seed, state, total, over = None, None, 0.0, False
                with closing(_Episode(writer)) as episode:
                    while not over:
                        shown_ns = time.monotonic_ns()
                        mask = allowed(agent, env, info)
                        action, state = agent.predict(seen, state, deterministic=deterministic, action_mask=mask)
                        after, reward, terminated, truncated, info = env.step(action)
                        transition = bool(info.get(TRANSITION, True))
                        values = {
                            "reward": np.float32(reward),
                            "terminated": bool(terminated),
                            "truncated": bool(truncated) and not terminated,
                            "transition": transition,
                            "learned": transition and bool(info.get(LEARNED, True)),
                            "t_ns": shown_ns,
                        }
                        episode.add(seen, action, values, after)
                        seen, over = after, bool(terminated or truncated or _late(until))
                        rows, total = rows + transition, total + float(reward) * transition
                        if terminated or truncated:
                            returns.append(total)
    return rows, returns


class _Episode:
    """An episode on its way into a recording. Its newest row waits, as it may turn out to be the last.

    Args:
        writer: of the recording.
    """

    def __init__(self, writer: RecordingWriter) -> None:
        self._writer = writer
        self._row: tuple[Any, Any, dict[str, Any], Any] | None = None
        self._start = True
        writer.log([Event(time.monotonic_ns(), BEGIN)])

    def add(self, seen: Any, action: Any, values: dict[str, Any], after: Any) -> None:
        """A step: what was seen, what was done about it, further columns, and what was seen then."""
        self._write()
        self._row = seen, action, values, after

    def close(self) -> None:
        """It ends here: where the game did not end it, it was cut off."""
        self._writer.log([Event(time.monotonic_ns(), END)])
        if self._row is None:
            return
        _, _, values, after = self._row
        values["truncated"] = not values["terminated"]
        self._write()
        self._writer.end(after, {"t_ns": time.monotonic_ns()})

    def _write(self) -> None:
        row, self._row = self._row, None
        if row is not None:
            seen, action, values, after = row
            start, self._start = self._start, False
            self._writer.add(seen, action, values, start=start, following=after, final=values["truncated"])


def _late(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until


def _facts(agent: Agent, env: gym.Env[Any, Any]) -> dict[str, Any]:
    identity, inner = agent.identity(), env.unwrapped
    profile: Any = getattr(inner, "profile", None)
    name = identity["env"].rpartition("/")[2] if profile is None else profile.name
    return {
        "name": name,
        "env": identity["env"],
        "env_options": identity["env_options"],
        "rate": float(getattr(inner, "rate", None) or env.metadata.get("render_fps") or 30.0),
        "idle": None,
        MEANING: declared(env, MEANING),
        **named_by(env),
        "agent": {
            "algorithm": identity["algorithm"],
            "steps": agent.steps,
            "run": str(agent.run_folder.path) if agent.run_folder else None,
        },
    }
