"""A teacher plays LBreakout2, is recorded, and is cloned: how much of its play does the clone have?

    python benchmarks/teach_lbreakout2.py                       # 15 minutes of play, 400 lives of the teacher
    python benchmarks/teach_lbreakout2.py --minutes 1 --teacher-lives 12 --lives 4

The teacher is a script that puts the paddle under the ball, late, with one action in ten at random. It presses through
an X client of its own, and what it presses is heard by the real recorder, as a person's keys are. It plays on several
displays, and is recorded on each, so that its own score is known well; the clone learns from the first recording alone.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from collections import deque
from pathlib import Path
from typing import Any

import _results
import _stages
import gymnasium as gym
import numpy as np
from _stages import kept
from _teaching import SecondClient, find_delay, record_all, record_live, score, study

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos import Agent
from hakisa_algos.policy.random_policy import RandomPolicy
from hakisa_algos.stages.recording import Recording, rules_of
from hakisa_algos.training.evaluate import evaluate
from hakisa_envs.recording.events import END, GAP, PRESS, RELEASE
from hakisa_envs.recording.inverse import infer
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.image import to_rgb

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.screen.ball_tracker import BallTracker

GAME = "lbreakout2"
KEYS = (None, "Left", "Right")
LONGEST = 120 * 30  # steps of a life that is cut


class Teacher:
    """Presses through a client of its own; called at every step of the recorder."""

    def __init__(self, env: ScreenGameEnv, delay: int, random_share: float, seed: int) -> None:
        self.env, self.share = env, random_share
        self.tracker, self.rng = BallTracker(), random.Random(seed)
        self.meant: deque[str | None] = deque([None] * delay)
        self.down: str | None = None
        self.client = SecondClient(env)

    def __call__(self) -> bool:
        """Looks, and does what it meant to do some steps ago."""
        view = self.env.view
        if view is None or self.env.session is None:
            return False
        if self.client.connect():
            self.down = None
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
        display = self.client.display
        for key, kind in ((self.down, X.KeyRelease), (wanted, X.KeyPress)):
            if key is not None:
                xtest.fake_input(display, kind, display.keysym_to_keycode(XK.string_to_keysym(key)))
        display.sync()
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
    """Share of the intervals in which a key was down that the actions give again, within one step.

    The actions are derived from the events once more, as they were while it was recorded.
    """
    t, rules = recording.column("t_ns"), rules_of(recording)
    assert rules is not None
    action, _ = infer(recording.events, t.tolist(), rules)
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


def teach(
    folder: Path, delay: int, random_share: float, seed: int, minutes: float | None, lives: int | None
) -> dict[str, Any]:
    """One recording, for a time or for so many lives."""
    env = ScreenGameEnv(GAME, timeout=5.0)
    return record_live(env, folder, {"game": GAME}, Teacher(env, delay, random_share, seed), minutes, lives, 100.0)


def record_displays(folders: list[Path], given: argparse.Namespace) -> list[dict[str, Any]]:
    """The first display is recorded for a time, the others for as many lives as the teacher is to be measured on."""
    lives = -(-given.teacher_lives // max(len(folders) - 1, 1))
    how = {
        folder: (given.delay, given.random, seed, *((None, lives) if seed else (given.minutes, None)))
        for seed, folder in enumerate(folders)
    }
    return record_all(teach, how)


def of_clone(run: Path, given: argparse.Namespace) -> dict[str, float]:
    """What the clone makes, of its best actions."""
    agent = Agent.load(run, "Hakisa/ScreenGame-v0")
    found = agent.evaluate(given.lives, num_envs=given.displays, max_steps=LONGEST, progress=print)
    agent.close()
    return score(100 * found.returns) | {"cut": int(found.cut.sum())}


def of_chance(given: argparse.Namespace) -> dict[str, float]:
    """What random actions make."""
    envs = gym.make_vec("Hakisa/ScreenGame-v0", given.displays, game=GAME, timeout=5.0)
    try:
        policy = RandomPolicy(envs.single_observation_space, envs.single_action_space)
        policy.seed(0)
        found = evaluate(policy, envs, episodes=given.lives, deterministic=False, max_steps=LONGEST)
    finally:
        envs.close()
    return score(100 * found.returns)


def measure(home: Path, given: argparse.Namespace) -> dict[str, Any]:
    """All parts, one after the other."""
    folders = [home / f"recording{i}" for i in range(given.displays)]
    recorded = kept(home / "recorded.json", lambda: record_displays(folders, given))
    points = [life for one in recorded for life in one.pop("points")]
    figures: dict[str, Any] = {
        "teacher": {"delay": given.delay, "random": given.random} | score(points),
        "recordings": recorded,
        "intervals_replayed": replayed(Recording.open(folders[0])),
    }
    print(figures, flush=True)
    delay = figures["delay_found"] = kept(
        home / "delay.json", lambda: find_delay(folders[0], given.delay_steps, given.threads)
    )
    figures |= kept(home / "studied.json", lambda: study(folders[0], home / "run", delay, given.steps, given.threads))
    print(figures["held_out"], flush=True)
    if given.lives:
        figures["clone"] = kept(home / "clone.json", lambda: of_clone(home / "run", given))
        print(figures["clone"], flush=True)
        figures["random"] = kept(home / "random.json", lambda: of_chance(given))
        print(figures["random"], flush=True)
    return figures


def main() -> int:
    """Records, studies, plays, stores."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=15.0, help="of the play that is cloned")
    parser.add_argument("--displays", type=int, default=4)
    parser.add_argument("--delay", type=int, default=2, help="steps of the teacher's reaction, a thirtieth of a second")
    parser.add_argument("--random", type=float, default=0.1, help="share of random actions")
    parser.add_argument("--teacher-lives", type=int, default=400, help="on the other displays")
    parser.add_argument("--lives", type=int, default=100, help="of the clone and of chance")
    parser.add_argument("--steps", type=int, default=2000, help="gradient steps at most")
    parser.add_argument("--delay-steps", type=int, default=400, help="gradient steps for each delay that is tried")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--home", help="a folder in which parts that are done stay, to go on from after a stop")
    given = parser.parse_args()
    with _stages.home(given.home) as home:
        print(_results.save("teach_lbreakout2", measure(home, given)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
