"""What benchmarks with a teacher have in common: from its recordings to a clone, and scores per life."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.record import record
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.review import Statistics
from hakisa_algos.stages.study import Studies, Study
from hakisa_envs.screen.env import ScreenGameEnv


class SecondClient:
    """An X client of its own on the display of a live game, through which a teacher plays as a person does.

    Attributes:
        display: That it is connected to; None before the first game.
    """

    def __init__(self, env: ScreenGameEnv) -> None:
        self._env = env
        self._session: Any = None
        self.display: Any = None

    def connect(self) -> bool:
        """Goes where the game is now, which may have had to be started anew; whether that is another place."""
        session = self._env.session
        if session is None or session is self._session:
            return False
        from Xlib.display import Display

        self._session, self.display = session, Display(session.display.name)
        return True


def record_live(
    env: ScreenGameEnv,
    folder: Path,
    options: Mapping[str, Any],
    player: Callable[[], bool],
    minutes: float | None,
    lives: int | None,
    points: float,
) -> dict[str, Any]:
    """One recording of a live game, for a time or for so many lives; the game is closed afterwards.

    Args:
        env: The game.
        folder: For the recording.
        options: With which the env can be made again.
        player: Plays; called at every step.
        minutes: After which it ends.
        lives: After which it ends.
        points: Of the game, per unit of reward.
    """
    seconds = None if minutes is None else 60 * minutes
    try:
        done = record(
            env,
            folder,
            env_options=dict(options),
            seconds=seconds,
            episodes=lives,
            say=lambda text: None,
            stop=player,
        )
    finally:
        env.close()
    return figures(folder, done.episodes == lives, points) | {
        "missed": done.missed,
        "unsaid": {name: n for name, n in done.unsaid.items() if n},
    }


def figures(folder: Path, whole: bool, points: float) -> dict[str, Any]:
    """What a recording holds; unless it is ``whole``, its last life was cut, and is not counted."""
    statistics = Statistics.of(Recording.open(folder))
    rewards = statistics.rewards if whole else statistics.rewards[:-1]
    return {
        "points": [points * reward for reward in rewards],
        "minutes": statistics.minutes,
        "rows": statistics.rows,
        "mb_a_minute": statistics.bytes_a_minute / 1e6,
    }


def record_all(teach: Callable[..., dict[str, Any]], asked: Mapping[Path, Sequence[Any]]) -> list[dict[str, Any]]:
    """Recordings at the same time, each in a process of its own.

    Args:
        teach: makes one, given its folder and further arguments.
        asked: those, by folder; what lies there goes.
    """
    for folder in asked:
        shutil.rmtree(folder, ignore_errors=True)
    with ProcessPoolExecutor(len(asked), multiprocessing.get_context("spawn")) as pool:
        found = [pool.submit(teach, folder, *arguments) for folder, arguments in asked.items()]
        return [one.result() for one in found]


def find_delay(recording: Path, steps: int, threads: int | None) -> int:
    """The reaction time of the teacher, in rows, as the recording tells it; each delay is tried for so many steps."""
    return Studies(Study((str(recording),)), threads=threads).find_delay(steps, print)


def study(recording: Path, run: Path, delay: int, steps: int, threads: int | None) -> dict[str, Any]:
    """The clone, in a run, after so many gradient steps at most."""
    shutil.rmtree(run, ignore_errors=True)
    config = CloningConfig(total_steps=steps, delay=delay)
    studies = Studies(Study((str(recording),), "ppo", config), threads=threads)
    stopped = studies.run(run).stopped_by
    if stopped:  # or half a study would be taken for a whole one
        raise KeyboardInterrupt(stopped)
    report = studies.learner.best_report
    assert report is not None
    return {"gradient_steps": studies.learner.facts().need.done, "held_out": report["metrics"]}


def score(points: Any) -> dict[str, float]:
    """Points per life."""
    return {"lives": len(points), "mean": float(np.mean(points)), "sem": float(np.std(points) / len(points) ** 0.5)}
