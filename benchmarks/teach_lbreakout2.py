"""A teacher plays LBreakout2, is recorded, and is cloned: how much of its play does the clone have?

    python benchmarks/teach_lbreakout2.py                       # 15 minutes of play, 40 lives of each
    python benchmarks/teach_lbreakout2.py --minutes 1 --lives 3

The teacher is a script that puts the paddle under the ball, 200 ms late, with one action in ten at random. It presses
through an X client of its own, and what it presses is heard by the real recorder, as a person's keys are.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _results
import numpy as np

from hakisa_algos import Agent
from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.record import record
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.review import Statistics
from hakisa_algos.stages.study import Studies, Study
from hakisa_envs.recording.events import END, GAP, PRESS, RELEASE
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.image import to_rgb

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.screen.ball_tracker import BallTracker

GAME = "lbreakout2"
KEYS = (None, "Left", "Right")


class Teacher:
    """Presses through a client of its own; called at every step of the recorder."""

    def __init__(self, env: ScreenGameEnv, delay: int, random_share: float) -> None:
        self.env, self.share = env, random_share
        self.tracker, self.rng = BallTracker(), random.Random(0)
        self.meant: deque[str | None] = deque([None] * delay)
        self.down: str | None = None
        self.session: Any = None
        self.display: Any = None

    def __call__(self) -> bool:
        """Looks, and does what it meant to do some steps ago."""
        view, session = self.env.view, self.env.session
        if view is None or session is None:
            return False
        if session is not self.session:  # at first, and where the game had to be started anew
            from Xlib.display import Display

            self.session, self.display, self.down = session, Display(session.display.name), None
        command, key, _ = self.tracker.act(to_rgb(view.frame.pixels))
        self.meant.append(KEYS[1 + key] if command else None)
        wanted = self.meant.popleft()
        self.hold(self.rng.choice(KEYS) if self.rng.random() < self.share else wanted)
        return False

    def hold(self, wanted: str | None) -> None:
        """One key or none."""
        from Xlib import XK, X
        from Xlib.ext import xtest

        if wanted == self.down:
            return
        for key, kind in ((self.down, X.KeyRelease), (wanted, X.KeyPress)):
            if key is not None:
                code = self.display.keysym_to_keycode(XK.string_to_keysym(key))
                xtest.fake_input(self.display, kind, code)
        self.display.sync()
        self.down = wanted


def intervals(recording: Recording) -> list[tuple[str, int, int]]:
    """When keys were down, in nanoseconds; what ends an episode lets go of them."""
    down: dict[str, int] = {}
    found = []
    for event in (event for event in recording.events if not event.script):
        ended = [event.name] if event.kind == RELEASE else list(down) if event.kind in (END, GAP) else []
        found += [(key, down.pop(key), event.t_ns) for key in ended if key in down]
        if event.kind == PRESS:
            down.setdefault(event.name, event.t_ns)
    return found


def replayed(recording: Recording) -> float:
    """Share of the intervals in which a key was down that the actions give again, within one step."""
    t, action = recording.column("t_ns"), recording.column("action")
    keys, commands = recording.facts["rules"]["keys"], recording.facts["commands"]
    held = [keys[a] if commands[c] == "hold_only" else None for c, a, _ in action.tolist()]
    edges = [0, *(np.flatnonzero([a != b for a, b in itertools.pairwise(held)]) + 1).tolist(), len(held)]
    spans = [(held[a], a, b) for a, b in itertools.pairwise(edges) if held[a]]
    near = []
    for key, begin, end in intervals(recording):
        first, last = (int(np.searchsorted(t, when, "right")) - 1 for when in (begin, end))
        if first >= 0 and last < len(t) - 1:
            near.append(any(k == key and abs(a - first) <= 1 and abs(b - 1 - last) <= 1 for k, a, b in spans))
    return float(np.mean(near)) if near else float("nan")


def lives(play: Callable[[ScreenGameEnv], Any], count: int) -> dict[str, float]:
    """Points per life of whoever chooses the actions."""
    env = ScreenGameEnv(GAME, timeout=5.0)
    points = []
    try:
        for _ in range(count):
            env.reset()
            choose, total, over = play(env), 0.0, False
            while not over:
                _, reward, terminated, truncated, _ = env.step(choose())
                total, over = total + 100 * reward, terminated or truncated
            points.append(total)
    finally:
        env.close()
    return {"lives": count, "mean": float(np.mean(points)), "sem": float(np.std(points) / max(count, 1) ** 0.5)}


def main() -> int:
    """Records, studies, plays, stores."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--delay", type=int, default=6, help="steps of the teacher's reaction")
    parser.add_argument("--random", type=float, default=0.1, help="share of random actions")
    parser.add_argument("--lives", type=int, default=40)
    parser.add_argument("--steps", type=int, default=10_000, help="gradient steps at most")
    parser.add_argument("--delay-steps", type=int, default=400, help="gradient steps for each delay that is tried")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp())
    env = ScreenGameEnv(GAME, timeout=5.0)
    try:
        options = {"env_options": {"game": GAME}, "seconds": 60 * given.minutes, "say": lambda text: None}
        summary = record(env, home / "recording", stop=Teacher(env, given.delay, given.random), **options)
    finally:
        env.close()
    recording = Recording.open(home / "recording")
    statistics = Statistics.of(recording)
    points = [100 * reward for reward in statistics.rewards[:-1]] or [100 * statistics.rewards[0]]
    study = Study((str(home / "recording"),), "ppo", CloningConfig(total_steps=given.steps))
    delay = Studies(study).find_delay(given.delay_steps, print)
    studies = Studies(Study(study.recordings, "ppo", CloningConfig(total_steps=given.steps, delay=delay)))
    studies.run(home / "run")
    report = studies.learner.best_report
    assert report is not None
    figures = {
        "minutes": statistics.minutes,
        "teacher": {"lives": len(points), "mean": float(np.mean(points)), "delay": given.delay, "random": given.random},
        "missed": summary.missed,
        "unsaid": dict(summary.unsaid),
        "mb_a_minute": statistics.bytes_a_minute / 1e6,
        "intervals_replayed": replayed(recording),
        "delay_found": delay,
        "held_out": report["metrics"],
    }
    print(figures)
    if given.lives:
        agent = Agent.load(home / "run", "Hakisa/ScreenGame-v0")
        evaluation = agent.evaluate(given.lives)
        agent.close()
        clone = {"lives": given.lives, "mean": 100 * evaluation.mean, "sem": 100 * evaluation.std / given.lives**0.5}
        figures |= {"clone": clone, "random": lives(lambda env: env.action_space.sample, given.lives)}
        print(figures["clone"], figures["random"])
    print(_results.save("teach_lbreakout2", figures))
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
