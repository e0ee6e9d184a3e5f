"""A player clears mine fields, is recorded, and is cloned: how often does the clone click where the player does?

    python benchmarks/teach_xdemineur.py                               # 15 minutes on each of 8 displays, 120 games
    python benchmarks/teach_xdemineur.py --minutes 1 --displays 2 --games 3

The player is a script with a rule that names one cell for each picture: the first in reading order that is safe by the
numbers. That is a cell beside a number all of whose mines are known, because others have no more covered cells than
mines; else what one number leaves over of the cells of another, where it leaves no mine. Where none is safe it guesses:
the first that is not known for a mine. When mines alone are covered, they get flags. One click in ten is anywhere. It
clicks through an X client of its own, 200 ms after its last click, and is heard by the recorder.

The agent sees 96 x 96 pixels in colour: 8 to a cell, which is what the strides of the network add up to.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import _results
import _stages
import numpy as np
from _stages import kept

import hakisa_envs.screen.games as games
from hakisa_algos import Agent
from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.record import record
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.study import Studies, Study
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.image import to_rgb

SIDE, CELL, MINES = 12, 21, 20
LEFT, TOP = 15, 80
SAFE = SIDE * SIDE - MINES
RATE = 10.0
CHANCE = 400  # games of random actions, which are short: three times their mean is the bar
LONGEST = 300  # steps of a game in which nothing that is done changes it
# Colours as 0xRRGGBB.
NUMBERS = {0x0000FF: 1, 0x228B22: 2, 0xFF0000: 3, 0x000080: 4}
SHADOW, GROUND, FLAGS = 0x7F7F7F, 0xB3B3B3, 0xFF0000
OPEN, FLAG = 0, 1
UNREAD = 9  # a number that no cell has: those that are not in NUMBERS, which are rare

Cell = tuple[int, int]


def look(field: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which cells of an RGB picture of the field are covered, which of them have flags, and the open ones' numbers."""
    colours = field.astype(np.int32) @ (1 << 16, 1 << 8, 1)

    def count(colour: int) -> np.ndarray:
        """Pixels of a colour in each cell."""
        return (colours == colour).reshape(SIDE, CELL, SIDE, CELL).sum((1, 3))

    covered = count(SHADOW) > 50
    flags = covered & (count(FLAGS) > 15)
    number = np.full((SIDE, SIDE), UNREAD)
    number[count(GROUND) > 395] = 0
    for colour, value in NUMBERS.items():
        number[count(colour) > 60] = value
    return covered, flags, number


def beside(cell: Cell) -> list[Cell]:
    """Up to eight."""
    row, column = cell
    near = [(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    return [(y, x) for y, x in near if 0 <= y < SIDE and 0 <= x < SIDE]


def cells(marked: np.ndarray) -> set[Cell]:
    """In which an array is true."""
    return {(int(row), int(column)) for row, column in np.argwhere(marked)}


def safe_and_mines(covered: set[Cell], numbers: Mapping[Cell, int]) -> tuple[set[Cell], set[Cell]]:
    """What the numbers say of covered cells: which are no mines, and which are."""
    around = {cell: covered.intersection(beside(cell)) for cell in numbers}
    mines = set().union(*(near for cell, near in around.items() if len(near) == numbers[cell]))
    # Of each number, the cells that may be mines, and how many are.
    rest = {cell: (near - mines, numbers[cell] - len(near & mines)) for cell, near in around.items()}
    safe = set().union(*(unknown for unknown, left in rest.values() if left == 0))
    if safe:
        return safe, mines
    for inner, some in rest.values():
        for outer, all_of_them in rest.values():
            if inner and inner < outer:
                other, left = outer - inner, all_of_them - some
                safe |= other if left == 0 else set()
                mines |= other if left == len(other) else set()
    return safe, mines


def rule(field: np.ndarray) -> tuple[int, int, int, bool]:
    """What the player does about a picture: command, column, row, and whether the numbers say so."""
    where, flagged, number = look(field)
    covered, flags = cells(where), cells(flagged)
    if len(covered) <= MINES:
        row, column = min(covered - flags or covered or {(0, 0)})
        return FLAG, column, row, bool(covered - flags)
    shown = cells(~where & (number > 0) & (number < UNREAD))
    safe, mines = safe_and_mines(covered, {cell: int(number[cell]) for cell in shown})
    row, column = min(safe or covered - mines or covered)
    return OPEN, column, row, bool(safe)


class Player:
    """Clicks through a client of its own; called at every step of the recorder.

    Attributes:
        sure: When it clicked where the numbers say so, on the clock of the rows.
    """

    def __init__(self, env: ScreenGameEnv, delay: int, random_share: float, seed: int) -> None:
        self.env, self.delay, self.share, self.rng = env, delay, random_share, random.Random(seed)
        self.session: Any = None
        self.display: Any = None
        self.waited = 0
        self.sure: list[int] = []

    def __call__(self) -> bool:
        """Looks, and clicks after its reaction time."""
        view, session = self.env.view, self.env.session
        if view is None or session is None:
            return False
        if session is not self.session:
            from Xlib.display import Display

            self.session, self.display = session, Display(session.display.name)
        self.waited += 1
        if self.waited > self.delay:
            self.waited = 0
            command, column, row, sure = rule(to_rgb(view.frame.pixels)[TOP : TOP + 252, LEFT : LEFT + 252])
            if self.rng.random() < self.share:
                command, column, row, sure = OPEN, self.rng.randrange(SIDE), self.rng.randrange(SIDE), False
            where = view.window.region
            when = self.click(command, where.left + LEFT + CELL * column + 10, where.top + TOP + CELL * row + 10)
            self.sure += [when] * sure
        return False

    def click(self, command: int, x: int, y: int) -> int:
        """Left or right; when the server has heard of it."""
        from Xlib import X
        from Xlib.ext import xtest

        xtest.fake_input(self.display, X.MotionNotify, x=x, y=y)
        for kind in (X.ButtonPress, X.ButtonRelease):
            xtest.fake_input(self.display, kind, 3 if command == FLAG else 1)
        self.display.sync()
        return time.monotonic_ns()


def make_profile(folder: Path) -> str:
    """The profile that ships, with the pictures that the clone is to see."""
    shipped = Path(next(iter(games.__path__)))
    shutil.copytree(shipped / "xdemineur", folder / "xdemineur", dirs_exist_ok=True)
    text = (shipped / "xdemineur.toml").read_text(encoding="utf-8")
    said = text.replace("size = [84, 84]", "size = [96, 96]\ngrey = false")
    assert said != text
    path = folder / "mines.toml"
    path.write_text(said, encoding="utf-8")
    return str(path)


def play(profile: str, folder: Path, minutes: float, delay: int, share: float, seed: int) -> dict[str, Any]:
    """One recording."""
    env = ScreenGameEnv(profile, rate=RATE, timeout=10.0)
    try:
        options = {"game": profile, "rate": RATE, "timeout": 10.0}
        player = Player(env, delay, share, seed)
        done = record(env, folder, env_options=options, seconds=60 * minutes, say=lambda text: None, stop=player)
    finally:
        env.close()
    np.save(folder.with_suffix(".npy"), np.array(player.sure))
    return {"missed": done.missed, "rows": done.rows, "unsaid": {k: n for k, n in done.unsaid.items() if n}}


def score(fields: list[float]) -> dict[str, float]:
    """Safe fields opened per game."""
    return {
        "games": len(fields),
        "fields": float(np.mean(fields)),
        "sem": float(np.std(fields) / max(len(fields), 1) ** 0.5),
    }


def of_player(recordings: list[Recording]) -> dict[str, float]:
    """What the player itself opened in games that it ended."""
    fields = []
    for recording in recordings:
        reward, ended = recording.column("reward"), recording.column("terminated")
        for one in recording.episodes:
            if ended[one].any():
                fields.append(SAFE * (reward[one].sum() - np.sign(reward[one][ended[one]][0])))
    return score(fields)


def of_policy(run: Path, count: int, deterministic: bool) -> dict[str, float]:
    """What the clone opens, by its best actions or by drawn ones; by best ones it may repeat what is in vain."""
    agent = Agent.load(run, "Hakisa/ScreenGame-v0")
    found = agent.evaluate(count, num_envs=min(count, 8), max_steps=LONGEST, deterministic=deterministic)
    agent.close()
    ends = [{"loss": 1.0, "win": -1.0}.get(outcome or "", 0.0) for outcome in found.outcomes]
    fields = [SAFE * float(total + end) for total, end in zip(found.returns, ends, strict=True)]
    return score(fields) | {"won": found.outcomes.count("win"), "cut": int(found.cut.sum())}


def different(recordings: list[Recording]) -> dict[str, int]:
    """How many games began, and how many of their first pictures differ: the game opens an area by itself."""
    seen = [one.rows.observation(np.array([e.start])).numpy() for one in recordings for e in one.episodes]
    return {"games": len(seen), "different": len({picture.tobytes() for picture in seen})}


def of_chance(profile: str, count: int, seed: int) -> list[float]:
    """What random actions open, in each of some games."""
    env = ScreenGameEnv(profile, rate=RATE, timeout=10.0)
    env.action_space.seed(seed)
    fields = []
    try:
        for _ in range(count):
            env.reset()
            total, over, steps = 0.0, False, 0
            while not over and steps < LONGEST:
                _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
                over, steps = terminated or truncated, steps + 1
                total += 0.0 if terminated else float(reward)
            fields.append(SAFE * total)
    finally:
        env.close()
    return fields


def agreement(agent: Agent, studies: Studies) -> dict[str, float]:
    """Of held-out clicks that the rule names, how many the clone clicks on too, and with that button."""
    lessons, rows = studies.learner.lessons, studies.rows
    assert lessons is not None
    position = lessons.position[lessons.held_out]
    done, marked = lessons.action[lessons.held_out], []
    for recording in studies.recordings:
        t = recording.column("t_ns")
        at = np.searchsorted(t, np.load(recording.path.with_suffix(".npy")), "right") - 1
        # The row after the last of a recording is in none of its columns.
        marked.append(np.isin(np.arange(len(t) + 1), at))
    sure = np.concatenate(marked)[position]
    said, _ = agent.predict(rows.observation(position[sure]).numpy())
    same = said == done[sure]
    return {
        "clicks": len(done),
        "named": int(sure.sum()),
        "cell_top1": float(same[:, 1:].all(1).mean()),
        "cell_and_button_top1": float(same.all(1).mean()),
    }


def main() -> int:
    """Records, studies, plays, stores."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=15.0, help="of each display")
    parser.add_argument("--displays", type=int, default=8)
    parser.add_argument("--delay", type=int, default=1, help="steps of a tenth of a second before each click")
    parser.add_argument("--random", type=float, default=0.1, help="share of random clicks")
    parser.add_argument("--games", type=int, default=120)
    parser.add_argument("--steps", type=int, default=4000, help="gradient steps at most")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--home", help="a folder in which parts that are done stay, to go on from after a stop")
    given = parser.parse_args()
    with _stages.home(given.home) as home:
        print(_results.save("teach_xdemineur", measure(home, given)))
    return 0


def measure(home: Path, given: argparse.Namespace) -> dict[str, Any]:
    """All parts, one after the other."""
    folders = [home / f"recording{i}" for i in range(given.displays)]
    profile = make_profile(home)
    figures: dict[str, Any] = {
        "observation": [96, 96, "RGB"],
        "recordings": kept(home / "recorded.json", lambda: record_all(profile, folders, given)),
    }
    recordings = [Recording.open(folder) for folder in folders]
    figures["minutes"] = [round(float(np.ptp(one.column("t_ns"))) / 60e9, 1) for one in recordings]
    figures["player"] = of_player(recordings)
    figures["fields"] = different(recordings)
    print(figures, flush=True)
    figures |= kept(home / "studied.json", lambda: study(folders, home / "run", given))
    print(figures["held_out"], flush=True)
    if given.games:
        for name, best in (("clone", True), ("clone_drawn", False)):
            figures[name] = kept(home / f"{name}.json", lambda best=best: of_policy(home / "run", given.games, best))
            print(name, figures[name], flush=True)
        figures["random"] = kept(home / "random.json", lambda: chance(profile, given.displays, CHANCE))
        print(figures["random"], flush=True)
    return figures


def chance(profile: str, displays: int, count: int) -> dict[str, float]:
    """Of about so many games of random actions, shared out over the displays."""
    with ProcessPoolExecutor(displays, multiprocessing.get_context("spawn")) as pool:
        asked = [pool.submit(of_chance, profile, count // displays, seed) for seed in range(displays)]
        return score([one for done in asked for one in done.result()])


def record_all(profile: str, folders: list[Path], given: argparse.Namespace) -> list[dict[str, Any]]:
    """A recording of each display, all at once."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    with ProcessPoolExecutor(len(folders), multiprocessing.get_context("spawn")) as pool:
        asked = [
            pool.submit(play, profile, folder, given.minutes, given.delay, given.random, seed)
            for seed, folder in enumerate(folders)
        ]
        return [one.result() for one in asked]


def study(folders: list[Path], run: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The clone, in a run, and how often it clicks where the player does."""
    shutil.rmtree(run, ignore_errors=True)
    config = CloningConfig(
        total_steps=given.steps, learning_rate=2e-3, max_grad_norm=1.0, balance=0.0, weight_decay=0.01
    )
    studies = Studies(Study(tuple(map(str, folders)), "ppo", config, {"network": "spatial"}), threads=given.threads)
    studies.run(run)
    agent = Agent.load(run, "Hakisa/ScreenGame-v0")
    found = agreement(agent, studies)
    agent.close()
    return {"gradient_steps": studies.learner.facts().need.done, "held_out": found}


if __name__ == "__main__":
    sys.exit(main())
