"""LBreakout2 live: PPO from pixels and keys, against random play and a scripted ball tracker, in one run.

What there is so far is kept after each part of the run: the figures and the curve of learning in
benchmarks/results/lbreakout2.json and .png, a video of the trained agent beside them as .mp4, and a still picture of
its game, at the highest score of the video, in docs/images/lbreakout2.jpg. Checkpoints are in a run folder.

    python benchmarks/screen_learning.py
    python benchmarks/screen_learning.py --trained runs/FOLDER  # all but the training, whose figures are taken over
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import _results
import cv2
import gymnasium as gym
import numpy as np
import torch
from _ball import BallOffset
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.wrappers import TimeLimit

from hakisa_algos import PPO, Agent
from hakisa_algos.cli.scene import Scene
from hakisa_algos.errors import require
from hakisa_algos.learners.ppo_config import FOR_PICTURES
from hakisa_algos.policy.random_policy import RandomPolicy
from hakisa_algos.training.evaluate import Evaluation, evaluate
from hakisa_algos.training.plots import Chart, curves
from hakisa_algos.training.run_folder import system_info
from hakisa_algos.training.trainer import Trainer
from hakisa_algos.training.video import VideoWriter
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.game import GameProfile, Reading, Reward
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.vector import ProcessVectorEnv

sys.path.insert(0, str(Path(__file__).parents[1]))  # the worker processes get it from here
from tests.screen.ball_tracker import BallTracker

GAME = "lbreakout2"
POINTS = 100  # of the game, per unit of reward
LONGEST_S = 120  # a life that lasts longer is cut
OF_TRAINING = ("seed", "reward_in_training", "config", "torch_threads", "bf16", "curve_steps_minutes_score", "training")
RECORD = "training.json"  # of these, in the run folder
PICTURES = Path(__file__).parents[1] / "docs" / "images"
MORE_THAN_RANDOM, OF_THE_TRACKER = 5.0, 0.2

# 30 minutes of 8 games at 30 Hz are 432,000 steps, a third of what FOR_PICTURES is made for, from half as many envs: so
# each is learned from twice as often. A ball takes about 40 steps from the paddle to the bricks and back.
CONFIG = dataclasses.replace(FOR_PICTURES, num_envs=8, n_steps=128, epochs=6, gamma=0.97)


class Tally(VectorWrapper):
    """Counts what the rows of the envs say of themselves. The reward is the score; in training there is more to it.

    Attributes:
        loss: What a life's end costs, in units of reward.
        shaped: Whether the rewards of other readings than the score's count.
        scores: Of the last 100 lives, in points.
    """

    def __init__(self, envs: VectorEnv) -> None:
        super().__init__(envs)
        self.train(0.0, False)
        self.restart()

    def train(self, loss: float, shaped: bool) -> None:
        """What the reward is from now on."""
        self.loss, self.shaped = loss, shaped

    def restart(self) -> None:
        """From zero."""
        self.steps = self.resetting = self.late = self.failures = 0
        self.missed = np.zeros(self.num_envs, np.int64)
        self.scores: deque[float] = deque(maxlen=100)
        self._score = np.zeros(self.num_envs)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """As below."""
        if self.steps == 0:
            self.began = time.perf_counter()  # only now: the first reset starts the games
        observation, reward, terminated, truncated, infos = self.env.step(actions)
        self.steps += 1
        self.missed += np.asarray(infos.get("missed", 0), np.int64)
        self.resetting += int(np.sum(infos["resetting"]))
        said = infos.get("_transition", np.zeros(self.num_envs, bool))
        self.late += int(np.sum(said & ~infos["transition"] & ~infos["resetting"])) if said.any() else 0
        self.failures += sum(bool(words) for words in infos.get("failure", ()))
        score = infos.get("reward_parts", {}).get("score", np.zeros(self.num_envs))
        self._score += score
        for column in np.flatnonzero(terminated | truncated):
            self.scores.append(POINTS * self._score[column])
            self._score[column] = 0.0
        return observation, (reward if self.shaped else score) - self.loss * terminated, terminated, truncated, infos

    def shares(self, seconds: float) -> dict[str, Any]:
        """How well the games kept their time.

        Args:
            seconds: How long they have been played.

        Returns:
            The rate at which steps of all games really went; of all rows, the shares of those of games that were being
            reset and those that were late or lost; and per row and game the deadlines that were missed.
        """
        rows = max(self.steps * self.num_envs, 1)
        return {
            "steps_per_second": round(self.steps / seconds, 2),
            "resetting_share": round(self.resetting / rows, 4),
            "late_share": round(self.late / rows, 4),
            "missed_per_row": [round(missed / max(self.steps, 1), 4) for missed in self.missed.tolist()],
            "failures": self.failures,
        }


class Tracked(gym.Wrapper):
    """Plays by itself: whatever the action, the ball tracker chooses."""

    def reset(self, **options: Any) -> Any:
        """With a tracker that remembers nothing."""
        self.tracker = BallTracker()
        return self.env.reset(**options)

    def step(self, action: Any) -> Any:
        """As the tracker wants it."""
        return self.env.step(self.tracker.act(self.env.unwrapped.render()))


def make_tracked(hz: float) -> gym.Env:
    """A game that plays by itself."""
    env = ScreenGameEnv(GAME, rate=hz, timeout=5.0, render_mode="rgb_array")
    return TimeLimit(Tracked(env), round(LONGEST_S * hz))


def with_shaping(weight: float) -> GameProfile:
    """The game with a reward for every pixel that the paddle comes nearer to below the ball, and the same back again.

    Points alone had taught nothing after eleven minutes.
    """
    profile = load_profile(GAME)
    if not weight:
        return profile
    readings = (*profile.readings, Reading("offset", BallOffset()))
    rewards = (*profile.rewards, Reward("offset", -weight, on="change"))
    return dataclasses.replace(profile, readings=readings, rewards=rewards)


def make_games(displays: int, hz: float, shaping: float) -> Tally:
    """The games that the agent and chance play."""
    options = {"game": with_shaping(shaping), "rate": hz, "timeout": 5.0, "max_episode_steps": round(LONGEST_S * hz)}
    return Tally(gym.make_vec("hakisa_envs:Hakisa/ScreenGame-v0", displays, **options))


def drawn(envs: VectorEnv, seed: int) -> RandomPolicy:
    """Random play."""
    policy = RandomPolicy(envs.single_observation_space, envs.single_action_space)
    policy.seed(seed)
    return policy


def measure(name: str, policy: Any, envs: Tally, lives: int, seed: int, deterministic: bool = False) -> dict[str, Any]:
    """Score per life of a policy: of its best actions, or as it draws them in training."""
    envs.restart()
    played: Evaluation = evaluate(policy, envs, episodes=lives, seed=seed, deterministic=deterministic)
    scores = POINTS * played.returns
    error = scores.std(ddof=1) / np.sqrt(len(scores))
    seconds = time.perf_counter() - envs.began
    print(
        f"{name}: {scores.mean():.0f} +/- {error:.0f} points a life, {len(scores)} lives, {seconds:.0f} s", flush=True
    )
    return {
        "mean_score_per_life": round(float(scores.mean()), 1),
        "standard_error": round(float(error), 1),
        "median_score_per_life": float(np.median(scores).round(1)),
        "lives": len(scores),
        "mean_steps_per_life": round(float(played.lengths.mean()), 1),
        **envs.shares(seconds),
    }


class Curve:
    """A callback: notes the mean score of the last 100 lives against minutes of play, and stops in time."""

    def __init__(self, minutes: float, envs: Tally) -> None:
        self.minutes, self.envs = minutes, envs
        self.points: list[tuple[int, float, float]] = []
        self.update_share = 0.0

    def __call__(self, trainer: Trainer, metrics: Mapping[str, float]) -> bool | None:
        live = sum(trainer.collector.nanoseconds.values()) / 6e10
        score = float(np.mean(self.envs.scores or np.nan))
        if np.isfinite(score):
            self.points.append((trainer.step, round(live, 3), round(score, 1)))
        self.update_share = metrics["time/update_share"]
        if round(trainer.step / trainer.learner.config.n_steps / trainer.envs.num_envs) % 10 == 0:
            words = (metrics.get(f"train/{name}", np.nan) for name in ("entropy_fraction", "explained_variance"))
            print(
                f"{trainer.step:8d} {live:5.1f} min, {score:6.0f} points a life, update {self.update_share:.0%}, "
                "entropy {:.2f}, explained {:.2f}".format(*words),
                flush=True,
            )
        return False if live >= self.minutes else None


def train(agent: Agent, envs: Tally, minutes: float, run: str) -> dict[str, Any]:
    """So many minutes of play; returns its figures."""
    curve = Curve(minutes, envs)
    envs.restart()
    began = time.perf_counter()
    agent.learn(callbacks=[curve], run=run)
    wall = time.perf_counter() - began
    spent = agent._trainer.collector.nanoseconds
    live = sum(spent.values()) / 1e9
    figures = {
        "command": _results.command(),
        "system": system_info(),
        "wall_minutes": round(wall / 60, 2),
        "live_minutes": round(live / 60, 2),
        "env_steps": agent._trainer.step,
        "update_share": round(curve.update_share, 4),
        "policy_share": round(spent["act"] / 1e9 / wall, 4),
        **envs.shares(live),
    }
    print(figures, flush=True)
    return {
        "config": dataclasses.asdict(agent.config),
        "torch_threads": agent.threads,
        "bf16": agent.policy.bf16,
        "curve_steps_minutes_score": curve.points[:: max(1, len(curve.points) // 200)],
        "training": figures,
    }


def draw(path: Path, points: Sequence[tuple[int, float, float]], levels: Mapping[str, float]) -> None:
    """The curve as a PNG, with the other players as lines."""
    _, minutes, scores = zip(*points, strict=True) if points else ((), (), ())
    lines = {"PPO while it learns, mean of 100 lives": (minutes, scores)}
    curves(path, Chart(lines, "LBreakout2, live", "minutes of live play", "points per life", levels))


def film(agent: Agent, video_path: Path, still_path: Path, hz: float, seconds: float) -> None:
    """What the trained agent's game looks like: a video, and what it sees beside the window at its best moment."""
    env = ScreenGameEnv(GAME, rate=hz, timeout=5.0, render_mode="rgb_array", episode="game")
    best, scene = -1.0, None
    try:
        with VideoWriter(video_path, hz) as video:
            observation, _ = env.reset()
            state, over = None, False
            for _ in range(round(seconds * hz)):
                if over:
                    observation, _ = env.reset()
                action, state = agent.predict(observation, state, deterministic=True)
                words = env.describe(action)
                observation, _, terminated, truncated, info = env.step(action)
                over = terminated or truncated
                picture = env.render()
                assert picture is not None
                video.add(picture)
                score, lives = (info["readings"].get(name) for name in ("score", "lives"))
                if score is not None and lives is not None and score > best:
                    best = score
                    seen = np.repeat(observation[-1, ..., None], 3, axis=2)
                    scene = Scene(seen, picture)
                    still = scene.draw(seen, picture, [f"{score:.0f} points, {lives:.0f} balls left; {words}"])
    finally:
        env.close()
    if scene is not None:
        still_path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(still_path), still[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def main() -> None:
    """Random play, training, the trained agent and the tracker, one after the other on the same displays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--displays", type=int, default=8)
    parser.add_argument("--hz", type=float, default=30.0)
    parser.add_argument("--minutes", type=float, default=30.0, help="of live play to learn from")
    parser.add_argument("--lives", type=int, default=100, help="that each player is measured on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loss", type=float, default=1.0, help="what a lost ball costs in training, in reward")
    parser.add_argument("--shaping", type=float, default=0.01, help="in training, what each pixel nearer the ball pays")
    parser.add_argument("--config", type=json.loads, default={}, help="changed hyperparameters, as JSON")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--video-seconds", type=float, default=30.0, help="0: no video")
    parser.add_argument("--run", help="the run folder; default: runs/NAME and the time")
    parser.add_argument("--trained", help="a run folder: no training, and its figures stay as they are stored")
    parser.add_argument("--name", default="lbreakout2", help="of the result files")
    arguments = parser.parse_args()

    total = round(arguments.minutes * 60 * arguments.hz) * arguments.displays
    given = {"total_steps": total, "num_envs": arguments.displays} | arguments.config
    config = dataclasses.replace(CONFIG, **given)
    if arguments.video_seconds:
        require("imageio_ffmpeg", "video")  # now, not after all the rest
    run = arguments.run or f"runs/{arguments.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    players: dict[str, dict[str, Any]] = {}
    figures: dict[str, Any] = {
        "game": f"{GAME}, Medium, from level 1",
        "displays": arguments.displays,
        "hz": arguments.hz,
        "seed": arguments.seed,
        "reward_in_training": (
            f"points / {POINTS}, less {arguments.loss:g} for a lost ball, and {arguments.shaping:g} for each pixel "
            "that the paddle comes nearer to below the ball (taken back where it goes away); all read off the screen"
        ),
        "score": "points alone",
        "torch": torch.__version__,
        "goal": {"over_random": MORE_THAN_RANDOM, "of_tracker": OF_THE_TRACKER},
        "players": players,
    }
    if arguments.trained:
        figures |= json.loads((Path(arguments.trained) / RECORD).read_text())

    def keep() -> Path:
        path = _results.save(arguments.name, figures)
        scores = {name: player["mean_score_per_life"] for name, player in players.items()}
        draw(path.with_suffix(".png"), figures.get("curve_steps_minutes_score", []), scores)
        return path

    def ask(name: str, policy: Any, envs: Tally, deterministic: bool = False) -> None:
        players[name] = measure(name, policy, envs, arguments.lives, arguments.seed, deterministic)
        keep()

    envs = make_games(arguments.displays, arguments.hz, arguments.shaping)
    try:
        ask("random", drawn(envs, arguments.seed), envs)
        if arguments.trained:
            agent: Agent = PPO.load(arguments.trained, envs, threads=arguments.threads)
        else:
            agent = PPO(envs, config, seed=arguments.seed, threads=arguments.threads)
            envs.train(arguments.loss, shaped=True)
            figures |= train(agent, envs, arguments.minutes, run)
            envs.train(0.0, shaped=False)
            record = json.dumps({name: figures[name] for name in OF_TRAINING}, indent=1)
            (Path(run) / RECORD).write_text(record + "\n")
            keep()
        ask("agent", agent.policy, envs, deterministic=True)
        ask("agent_sampled", agent.policy, envs)
    finally:
        envs.close()
    path = keep()
    if arguments.video_seconds:
        film(agent, path.with_suffix(".mp4"), PICTURES / f"{path.stem}.jpg", arguments.hz, arguments.video_seconds)
    games = Tally(ProcessVectorEnv([partial(make_tracked, arguments.hz)] * arguments.displays, step_timeout=15.0))
    try:
        ask("tracker", drawn(games, 0), games)
    finally:
        games.close()

    score = {name: player["mean_score_per_life"] for name, player in players.items()}
    over_random = score["agent"] / max(score["random"], 1e-9)
    of_tracker = score["agent"] / max(score["tracker"], 1e-9)
    reached = over_random >= MORE_THAN_RANDOM and of_tracker >= OF_THE_TRACKER
    print(f"{over_random:.1f} x random, {of_tracker:.0%} of the tracker: {'reached' if reached else 'not reached'}")
    figures["goal"]["reached"] = bool(reached)
    figures |= {"agent_over_random": round(over_random, 2), "agent_of_tracker": round(of_tracker, 3)}
    print(keep())


if __name__ == "__main__":
    main()
