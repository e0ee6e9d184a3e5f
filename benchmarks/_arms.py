"""One arm of stages.py: an agent that learns a game by itself, with what its teacher left it or without."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _stages
import gymnasium as gym
import numpy as np
from _games import Game
from _recordings import shuffled
from _teaching import score

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos import Agent
from hakisa_algos.data.rollout import Relabel
from hakisa_algos.policy.random_policy import RandomPolicy
from hakisa_algos.stages.demonstrations import check_game, demonstrations
from hakisa_algos.stages.recording import Recording
from hakisa_algos.training.checkpoint import is_empty
from hakisa_algos.training.evaluate import Evaluation, evaluate
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.stored_run import StoredRun
from hakisa_algos.training.trainer import Trainer

WINDOW = 200  # consecutive lives
SMOOTH, FIRST = 100, 20  # lives of a point of the curve, and of its first one
SEED = 1_000  # of evaluations: where games have seeds, all players meet the same
RECORDED = "recorded.json"  # what the teacher's play was, in the home folder
WALL, LIVE = "benchmark/wall_minutes", "benchmark/live_minutes"


@dataclass(frozen=True)
class Arm:
    """What is done with the teacher's play.

    Attributes:
        algorithm: That learns.
        clone: It begins from the clone.
        held: And is held to it, after its critic has warmed up.
    """

    algorithm: str
    clone: bool = False
    held: bool = False

    @property
    def is_taught(self) -> bool:
        """Whether it needs a recording."""
        return self.clone or self.algorithm == "dqn"


ARMS = {
    "alone": Arm("ppo"),
    "plain": Arm("ppo", clone=True),
    "prior": Arm("ppo", clone=True, held=True),
    "dqn": Arm("dqn"),
}
# What it is taught by: the teacher's play, the same with its actions shuffled, or play at random.
TEACHER, SHUFFLED, RANDOM = SOURCES = ("teacher", "shuffled", "random")
NAMES = (*ARMS, *(f"{name}_{source}" for name in ("plain", "prior", "dqn") for source in (SHUFFLED, RANDOM)))


def lives_of(run: Path) -> Path:
    """Of every life of a run the step by which it had ended, and its points; beside its folder."""
    return run.with_name(f"{run.name}_lives.jsonl")


class Diary:
    """A callback: keeps the points of every life, and how long it took.

    What a killed run had played after its last checkpoint is played again, and does not count.

    Args:
        run: Its folder.
        step: That it begins with.
        points: Of the game, per unit of reward.
        minutes: After which it stops the run, which goes on from there the next time; None: it does not.
    """

    def __init__(self, run: Path, step: int, points: float, minutes: float | None = None) -> None:
        self._path, self._points, self._minutes = lives_of(run), points, minutes
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        lines = self._path.read_text().split("\n")[:-1]  # what follows the last end of a line was cut short
        self.lives: list[list[float]] = [life for life in map(json.loads, lines) if life[0] <= step]
        self._path.write_text("".join(json.dumps(life) + "\n" for life in self.lives))
        metrics = run / "metrics.jsonl"
        rows = [row for row in read_metrics(metrics) if row["step"] <= step] if metrics.exists() else []
        self._wall, self._live = (rows[-1][name] if rows else 0.0 for name in (WALL, LIVE))
        self._began = time.perf_counter()

    def __call__(self, trainer: Trainer, metrics: dict[str, float]) -> bool:
        """After every update; whether it goes on."""
        new = trainer.statistics.count - len(self.lives)
        returns = trainer.statistics.returns[-new:] if new else []
        lives = [[trainer.step, round(self._points * one, 3)] for one in returns]
        self.lives += lives
        with self._path.open("a") as file:
            file.write("".join(json.dumps(life) + "\n" for life in lives))
        minutes = (time.perf_counter() - self._began) / 60
        metrics[WALL] = self._wall + minutes
        metrics[LIVE] = self._live + sum(trainer.collector.nanoseconds.values()) / 6e10
        mean = np.mean([points for _, points in self.lives[-SMOOTH:]] or [np.nan])
        print(
            f"{trainer.step:8d} {metrics[LIVE]:6.2f} live min, {metrics[WALL]:6.2f} min: {mean:8.2f} points in each of "
            f"the last of {len(self.lives)}",
            flush=True,
        )
        return self._minutes is None or minutes < self._minutes


def source_of(home: Path, source: str) -> Path:
    """The recording to learn from."""
    if source == SHUFFLED:
        return shuffled(home / "recordings" / TEACHER, home / "recordings" / SHUFFLED)
    return home / "recordings" / source


def clone_of(home: Path, source: str) -> Path:
    """The run of the clone of that recording."""
    return home / "clones" / source


def configured(game: Game, arm: Arm, given: argparse.Namespace) -> Any:
    """The hyperparameters: the same in all arms, but for what the arm is about."""
    steps = round(60 * given.minutes * game.rate) * given.displays if given.minutes else given.steps or game.steps
    config: Any = game.dqn if arm.algorithm == "dqn" else game.ppo
    config = dataclasses.replace(config, total_steps=steps, num_envs=given.displays)
    if arm.clone:
        config = dataclasses.replace(config, freeze_normalizer=True)
    if arm.held:
        config = dataclasses.replace(config, critic_warmup=given.warmup)
    return dataclasses.replace(config, **given.config)


def begin(game: Game, arm: Arm, source: str, home: Path, given: argparse.Namespace) -> Agent:
    """The agent before its first step."""
    how: dict[str, Any] = {
        "algorithm": arm.algorithm,
        "seed": given.seed,
        "threads": given.threads,
        "env_options": game.options,
    }
    config = configured(game, arm, given)
    if arm.algorithm == "dqn":
        recordings = [Recording.open(source_of(home, source))]
        check_game(recordings, game.env, game.options)
        return Agent(game.env, config, demonstrations=demonstrations(recordings), **how)
    if arm.held:
        return Agent(game.env, config, prior=clone_of(home, source), **how)
    agent = Agent(game.env, config, **how)
    if arm.clone:
        clone = StoredRun.read(clone_of(home, source)).checkpoint
        assert clone is not None
        agent.learner.begin_from(clone.state["learner"]["policy"])
    return agent


def charged(loss: float) -> Relabel | None:
    """Rewards less what the end of an episode costs; what is counted as points stays as it was."""
    return (lambda rows, at: rows.take("reward", at) - loss * rows.take("terminated", at)) if loss else None


def train(game: Game, arm: Arm, source: str, home: Path, run: Path, given: argparse.Namespace) -> str | None:
    """Trains in a run folder, from its last checkpoint on; returns what stopped it, if something did."""
    if (run / "config.json").exists() and not is_empty(run / "checkpoints"):
        agent = Agent.load(run, game.env, threads=given.threads)
    else:
        shutil.rmtree(run, ignore_errors=True)
        agent = begin(game, arm, source, home, given)
    total = agent.config.total_steps
    options = RunOptions(
        # Only a prior's weight goes by evaluations.
        evaluate_every=max(1, total // given.evaluations) if arm.held else 0,
        evaluate_episodes=given.evaluation_lives,
        evaluate_steps=game.longest,
        checkpoint_every=max(1, total // 25),
        picture_every=0.0,
        threads=given.threads,
    )
    try:
        if agent.steps >= total:
            return None
        diary = Diary(run, agent.steps, game.points, given.wall_minutes)
        agent.learn(run=run, options=options, callbacks=diary, relabel=charged(game.loss))
        return agent.stopped_by
    finally:
        agent.close()


def played(game: Game, found: Evaluation) -> dict[str, Any]:
    """Points per life, all of them included."""
    points = np.round(game.points * found.returns, 3)
    return score(points) | {
        "cut": int(found.cut.sum()),
        "steps": float(found.lengths.mean()),
        "points": points.tolist(),
    }


def of_run(game: Game, run: Path, lives: int, best: bool, given: argparse.Namespace) -> dict[str, Any]:
    """What the agent of a run makes, by its best actions or by drawn ones; nothing else is open meanwhile."""
    agent = Agent.load(run, game.env, env_options=game.options, threads=given.threads)
    try:
        how: dict[str, Any] = {"deterministic": best, "num_envs": given.displays, "max_steps": game.longest}
        return played(game, agent.evaluate(lives, seed=SEED, progress=print, **how))
    finally:
        agent.close()


def of_chance(game: Game, lives: int, given: argparse.Namespace) -> dict[str, Any]:
    """What random actions make."""
    envs = gym.make_vec(game.env, given.displays, **game.options)
    try:
        policy = RandomPolicy(envs.single_observation_space, envs.single_action_space)
        policy.seed(SEED)
        found = evaluate(policy, envs, episodes=lives, seed=SEED, deterministic=False, max_steps=game.longest)
    finally:
        envs.close()
    return played(game, found)


def worst(points: Sequence[float], window: int = WINDOW) -> dict[str, float]:
    """The lowest mean of so many consecutive lives (of all, where there are fewer), and where they begin."""
    n = min(window, len(points))
    sums = np.concatenate([[0.0], np.cumsum(points)])
    means = (sums[n:] - sums[:-n]) / n
    return {"mean": float(means.min()), "lives": n, "from_life": int(means.argmin())}


def curve(lives: Sequence[Sequence[float]], number: int = 100) -> list[list[float]]:
    """Steps, and the mean points of the last lives by then, at about so many places."""
    at = np.unique(np.linspace(min(FIRST, len(lives)), len(lives), number).round().astype(int))
    points = [life[1] for life in lives]
    return [[lives[i - 1][0], round(float(np.mean(points[max(0, i - SMOOTH) : i])), 3)] for i in at.tolist() if i]


def weights(metrics: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Steps from which on the prior has another weight, and the weight."""
    found: list[list[float]] = []
    for row in metrics:
        weight = row.get("train/prior_weight")
        if weight is not None and (not found or found[-1][1] != weight):
            found.append([row["step"], weight])
    return found


def measure(game: Game, name: str, home: Path, given: argparse.Namespace) -> dict[str, Any] | None:
    """Trains and evaluates; None if it was stopped."""
    kind, _, source = name.partition("_")
    arm, source = ARMS[kind], source or TEACHER
    run = home / "runs" / f"{name}_seed{given.seed}"
    stopped = train(game, arm, source, home, run, given)
    if stopped:
        why = f"after {given.wall_minutes:g} minutes" if stopped == "callback" else f"by {stopped}"
        print(f"Stopped {why}, and saved: the same command goes on.")
        return None
    began = time.perf_counter()
    final = {}
    for way, best in (("best", True), ("drawn", False)):
        final[way] = _stages.kept(
            run / f"final_{way}.json", lambda best=best: of_run(game, run, given.lives, best, given)
        )
        print(way, {key: value for key, value in final[way].items() if key != "points"}, flush=True)
    seconds = time.perf_counter() - began
    rows = read_metrics(run / "metrics.jsonl")
    steps = rows[-1]["step"]
    lives = [json.loads(line) for line in lives_of(run).read_text().splitlines()]
    config = json.loads((run / "config.json").read_text())
    evaluations = [row for row in rows if "eval/mean_reward" in row]
    warm = [row["step"] for row in rows if row.get("train/critic_warmup")]
    human = json.loads((home / RECORDED).read_text())["minutes"] if arm.is_taught and source != RANDOM else 0.0
    return {
        "game": game.name,
        "arm": name,
        "seed": given.seed,
        "env_options": dict(game.options),
        "reward": f"points / {game.points:g}" + (f", less {game.loss:g} where an episode ends" if game.loss else ""),
        "config": config["config"],
        "options": config["options"],
        "taught_by": source if arm.is_taught else None,
        "human_minutes": human,
        "env_steps": steps,
        "wall_minutes": round(rows[-1][WALL], 2),
        "live_minutes": round(rows[-1][LIVE], 2),
        "game_minutes": round(rows[-1][LIVE] * given.displays if game.live else steps / game.rate / 60, 1),
        "update_share": round(rows[-1]["time/update_share"], 4),
        "evaluation_minutes_at_the_end": round(seconds / 60, 2),
        "evaluations": [
            [row["step"], *(round(game.points * row[f"eval/mean_reward{way}"], 2) for way in ("", "_stochastic"))]
            for row in evaluations
        ],
        "critic_warmed_up_at": warm[-1] if warm else None,
        "prior_weight": weights(rows),
        "training_lives": len(lives),
        "worst_window": worst([points for _, points in lives]) if lives else None,
        "curve_steps_points": curve(lives) if lives else [],
        "final": final,
    }
